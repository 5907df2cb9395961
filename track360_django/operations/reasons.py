"""
The text of each reason: what it means, and what a person can do. Nothing here reads a table.

A reason's word is made elsewhere. The texts of answers are in `api.responses`, which says them in the error, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from track360_django.api import responses
from track360_django.api.responses import Meaning
from track360_django.models import Activity, Customer

_SEE_ERROR: Final = "Correct the value that the error names"

# Reasons of the outbox, the payloads, the client and the producers. "API guide, X" is a section of Track360's guide.
MEANINGS: Final[Mapping[str, Meaning]] = {
    # Answers.
    **responses.MEANINGS,
    # Held.
    "customer_not_accepted": Meaning(what="its customer is not accepted yet"),
    "unknown_customer": Meaning(
        what="no user of this project has the customer id",
        advice="Report the customer with customers.report(), or correct the id that the activity names "
        "(API guide, Uniqueness)",
    ),
    "not_reported": Meaning(
        what="nobody reported the customer, and UNKNOWN_CUSTOMERS is 'hold'",
        advice="Report the customer with customers.report()",
    ),
    "staff": Meaning(
        what="the user is staff, who are not reported",
        advice="If they are a customer all the same, report them with customers.report()",
    ),
    "inactive": Meaning(
        what="the user is not active yet, and REPORT_ON is 'activation'",
        advice="Nothing to do: they are released when they become active",
    ),
    "unverified": Meaning(
        what="the user has not confirmed their address yet, and REPORT_ON is 'activation'",
        advice="Nothing to do: they are released when they confirm it",
    ),
    "guest": Meaning(
        what="the user is a guest, who has not signed up yet",
        advice="Nothing to do: they are reported when they sign up",
    ),
    "no_user": Meaning(
        what="the user is gone", advice="Report the customer with customers.report() if they exist"
    ),
    "not_a_customer": Meaning(
        what="the user is no customer, but activities name them",
        advice="Report them with customers.report() if they are one",
    ),
    # Not written down as they should be.
    "no_customer": Meaning(
        what="the declaration's `customer` leads to nobody",
        advice="Correct the row or the declaration (API guide, Activity API, customerid)",
    ),
    "no_eventid": Meaning(
        what="there is no event id",
        advice="Give the declaration an `eventid` (API guide, Activity API, eventid)",
    ),
    "no_product_field": Meaning(
        what="a product is reported and no field was agreed for it",
        advice="Set PRODUCT_FIELD (API guide, Grouping by date or by KPI type)",
    ),
    "product_field": Meaning(
        what="PRODUCT_FIELD could not make the record tell its product",
        advice="Correct the function, or agree on another field",
    ),
    "unknown_currency": Meaning(
        what="the currency is none of ISO 4217 and none of CURRENCIES",
        advice="Correct the row, or add the code to CURRENCIES",
    ),
    "invalid_currency": Meaning(what="the currency is no ISO code of three letters", advice=_SEE_ERROR),
    "invalid_time": Meaning(what="a time can't be reported exactly", advice=_SEE_ERROR),
    "invalid_number": Meaning(what="a number can't be reported exactly", advice=_SEE_ERROR),
    "invalid_field": Meaning(what="a field can't be reported exactly", advice=_SEE_ERROR),
    "reserved_field": Meaning(
        what="an additional field has the name of one of the API's own",
        advice="Rename it, or use the argument of that name",
    ),
    "eventid_taken": Meaning(
        what="another record has its event id, and says something else",
        advice="Report it in one way alone, or give it an id that is unique for the event name",
    ),
    "differing_field": Meaning(
        what="rows of one day's total differ in something that can't be added up",
        advice="Leave the field out of rows(), or let it be part of `product`",
    ),
    "regrouped": Meaning(
        what="a day's total may hold money that was reported under another id, which can't be taken back there",
        advice='Set CORRECTIONS="resend" if that is agreed with Track360, or keep the old grouping in rows()',
    ),
    "before_send": Meaning(what="BEFORE_SEND returned no record", advice="Correct the function"),
    "declaration": Meaning(what="the declaration failed for its row", advice="Correct the declaration"),
    "pruned": Meaning(
        what="what it takes back was pruned, and its row has no amount any more",
        advice="Report the reversal with activities.report()",
    ),
    "unclear_reversal": Meaning(
        what="nobody can tell exactly what it takes back",
        advice="Report the reversal with activities.report()",
    ),
    "row_gone": Meaning(what="the row it came from is gone"),
    "row_not_due": Meaning(what="the row it came from no longer fulfils the declaration's `when`"),
    # Of whose brand nobody is certain.
    "no_brand": Meaning(
        what="nobody can tell which brand it belongs to, or that brand is not in BRANDS any more",
        advice="Name the brand in the declaration, or put it back into BRANDS (see the error)",
    ),
    "other_brand": Meaning(
        what="it was reported at another brand than the one that is named now, or its customer is one of another",
        advice="Correct the brand that the declaration or the call names",
    ),
    "unknown_brand": Meaning(
        what="the brand that is named is none of BRANDS",
        advice="Correct the name, or add the brand to BRANDS",
    ),
    # Not accepted.
    "too_old": Meaning(
        what="Track360 did not accept it within MAX_AGE_DAYS",
        advice="Correct what the error names",
    ),
    "customer_gone": Meaning(
        what="its customer was taken for none and dropped when it was written",
        advice="Report the activity again",
    ),
    "kills_its_worker": Meaning(
        what="each worker that took it died",
        advice="Look at what BEFORE_SEND, CUSTOMER_FIELDS or RESPONSE_CHECK do with it",
    ),
}

UNATTRIBUTED: Final[Mapping[str, str]] = {
    "no_request": "they were reported outside of a request",
    "no_parameter": "no landing with tracking data that could be kept was remembered for them",
    "no_consent": "their browser did not consent to being remembered",
    "expired": "the landing that was remembered is older than the attribution window",
    "unreadable": "what their browser remembers could not be read",
    "refused_unknown_promo_code": "they gave a promo code that PROMO_CODES does not know",
    "refused_damaged_link": "the link that they came with is damaged: its tracking data can't be read exactly",
    "refused_unknown_parameter": "the header that they came with holds another name than those of TRACKING_PARAMS",
    "refused_forged": "the link or header that they came with holds a carry token (t360) that is not ours",
    "refused_expired": "the link that they came with holds a carry token (t360) that has expired",
}


def meaning_of(reason: str) -> Meaning:
    """Return what a reason means; a word for those that have no entry."""
    if known := MEANINGS.get(reason):
        return known
    if reason.startswith("http_3"):
        return responses.REDIRECT
    if reason.startswith("http_4"):
        return Meaning(
            what=f"Track360 refused it ({_http(reason)})", advice="Look at the answer in the error"
        )
    if reason.startswith("http_"):
        return Meaning(what=f"Track360 could not take it ({_http(reason)})")
    return Meaning(what=reason or "no reason is known")


def why_held(model: type[Customer | Activity], reason: str) -> str:
    """Return what records that are held wait for, also those that nobody has looked at yet."""
    if reason:
        return meaning_of(reason).what
    return (
        "the signup is under way" if model is Customer else "its customer is on the way: waits until accepted"
    )


def _http(reason: str) -> str:
    return reason.replace("_", " ").upper()


def why_unattributed(reason: str) -> str:
    """Return why a customer has no tracking data, in words."""
    if reason in UNATTRIBUTED:
        return UNATTRIBUTED[reason]
    if reason.startswith("refused_"):
        return f"the landing's value could not be returned exactly ({reason.removeprefix('refused_')})"
    return reason or "no reason is known"
