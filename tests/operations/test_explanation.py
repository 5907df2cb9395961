"""What the tables say about records and endpoints, in sentences."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from track360_django.models import Activity, Customer, Endpoint, Status
from track360_django.operations import explanation, reasons

NOW = datetime(2025, 7, 21, 14, 3, 9, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def activity_of(customer: Customer | None) -> Activity:
    """Return an activity that waits for its customer."""
    return Activity(customer=customer, status=Status.HELD, due_at=None)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(
            Customer(status=Status.HELD, due_at=LATER),
            "The signup is under way: released when its request ends, by itself at 2025-07-21 14:08:09 UTC.",
            id="held-by-the-safety-net",
        ),
        pytest.param(
            Customer(status=Status.HELD, due_at=None, reason="inactive"),
            "Waits: the user is not active yet, and REPORT_ON is 'activation'. Nothing to do: they are released when "
            "they become active.",
            id="held-until-active",
        ),
        pytest.param(
            activity_of(Customer(status=Status.PENDING)),
            "Waits until its customer is accepted, who is on the way.",
            id="held-for-a-pending-customer",
        ),
        pytest.param(
            activity_of(Customer(status=Status.DELIVERED)),
            "Waits until its customer is accepted, which has happened: it goes out with the next delivery.",
            id="held-and-not-looked-at",
        ),
        pytest.param(activity_of(None), "Waits until its customer is accepted.", id="held-for-nobody"),
        pytest.param(
            Customer(status=Status.PENDING, due_at=LATER),
            "Next attempt at 2025-07-21 14:08:09 UTC.",
            id="pending-later",
        ),
        pytest.param(
            Customer(status=Status.PENDING, due_at=NOW), "Goes out with the next delivery.", id="pending-now"
        ),
        pytest.param(
            Customer(status=Status.DEAD, reason="http_302"),
            "Dead: Track360 redirects, but the token is never sent to another address. Correct BASE_URL (API guide, "
            "Before starting), then requeue it.",
            id="dead-with-advice",
        ),
        *(
            pytest.param(Activity(status=Status.DEAD, reason=reason), expected, id=reason)
            for reason, expected in (
                (
                    "no_brand",
                    (
                        "Dead: nobody can tell which brand it belongs to, or that brand is not in BRANDS any more. Name the brand "
                        "in the declaration, or put it back into BRANDS (see the error), then requeue it."
                    ),
                ),
                (
                    "other_brand",
                    (
                        "Dead: it was reported at another brand than the one that is named now, or its customer is one of "
                        "another. Correct the brand that the declaration or the call names, then requeue it."
                    ),
                ),
                (
                    "unknown_brand",
                    (
                        "Dead: the brand that is named is none of BRANDS. Correct the name, or add the brand to BRANDS, then "
                        "requeue it."
                    ),
                ),
            )
        ),
        pytest.param(
            Activity(status=Status.DEAD, reason="row_gone"),
            "Dead: the row it came from is gone. Correct the cause, then requeue it.",
            id="dead-without-advice",
        ),
        pytest.param(
            Activity(status=Status.DEAD, reason="new_word"),
            "Dead: new_word. Correct the cause, then requeue it.",
            id="dead-of-something-new",
        ),
    ],
)
def test_record_tells_its_state_and_what_comes_next(record: Customer | Activity, expected: str) -> None:
    """Each state is a sentence that names the cause, the time or the way out."""
    assert explanation.state_of(record, NOW) == expected


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        pytest.param(Endpoint(), "Open.", id="open"),
        pytest.param(
            Endpoint(paused_until=LATER, reason="timeout"),
            "Paused until 2025-07-21 14:08:09 UTC: Track360 did not answer in time. No record is lost. It is tried "
            "again by itself.",
            id="paused",
        ),
        pytest.param(
            Endpoint(paused_until=NOW, reason="tls"),
            "Tried with the next record that is due. Before: TLS failed. Look at the certificate of BASE_URL, at "
            "CA_BUNDLE and at the clock of the workers, then resume it.",
            id="probing",
        ),
    ],
)
def test_endpoint_tells_whether_it_takes_records(endpoint: Endpoint, expected: str) -> None:
    """An endpoint is open, paused until a time, or about to be tried, and says what to do."""
    assert explanation.state_of_endpoint(endpoint, NOW) == expected


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("no_parameter", "no landing with tracking data that could be kept was remembered for them"),
        ("refused_too_long", "the landing's value could not be returned exactly (too_long)"),
        ("new_word", "new_word"),
        ("", "no reason is known"),
    ],
)
def test_unattributed_customer_has_a_reason(reason: str, expected: str) -> None:
    """Why somebody is credited to nobody is told in words."""
    assert reasons.why_unattributed(reason) == expected


def test_customer_tells_both_touches() -> None:
    """First and last touch are told with their values and times."""
    touch = {"at": int(NOW.timestamp()), "params": {"tracking_data": "2001_1000_abcdefg"}}
    customer = Customer(tracking=touch["params"], first_touch=touch, last_touch=touch)

    told = list(explanation.attribution_of(customer))

    assert told == [
        "Attributed: tracking_data='2001_1000_abcdefg'.",
        "First touch: tracking_data='2001_1000_abcdefg' at 2025-07-21 14:03:09 UTC.",
        "Last touch: tracking_data='2001_1000_abcdefg' at 2025-07-21 14:03:09 UTC.",
    ]
