"""
Facts from Track360's API guide: names, limits, sections. No decisions about requests.

Section names are those of the guide, so that an error can refer to them.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Endpoint = Literal["customers", "activities"]

API_KEY_HEADER: Final = "x-api-key"
MEDIA_TYPE: Final = "application/json"
PATHS: Final[Mapping[Endpoint, str]] = {
    "customers": "/tracking/events/customers",
    "activities": "/tracking/events/activities",
}
TRACKING_DATA_MAX_CHARACTERS: Final = 50

# Sections that an error can refer to.
AUTHENTICATION: Final = "Authentication, Required header"
REQUEST_FORMAT: Final = "General API Conventions, Request format"
BATCHING: Final = "General API Conventions, Batching"
UNIQUENESS: Final = "General API Conventions, Uniqueness"
EVENT_REPORTING: Final = "Activity API, Event reporting logic"
FIELDS: Final[Mapping[Endpoint, str]] = {
    "customers": "Customer API, Field definitions",
    "activities": "Activity API, Field definitions",
}
TRACKING_PARAMETERS: Final = "Field Reference Tables, Tracking parameters"


class Kind(Enum):
    """The kind of value that a field has."""

    IDENTIFIER = "identifier"
    TEXT = "text"
    TRACKING = "tracking"
    MOMENT = "moment"
    NUMBER = "number"
    CURRENCY = "currency"


CUSTOMER_FIELDS: Final[Mapping[str, Kind]] = {
    "customerId": Kind.IDENTIFIER,
    "regtime": Kind.MOMENT,
    "country": Kind.TEXT,
    "firstName": Kind.TEXT,
    "lastName": Kind.TEXT,
    "tracking_data": Kind.TRACKING,
}
# KPIs that the guide's tables and examples have in one object; a brand may agree on others.
KPI_FIELDS: Final = ("Deposit", "Withdrawal", "GGR", "NGR", "Bet", "Bets", "Games")
ACTIVITY_FIELDS: Final[Mapping[str, Kind]] = {
    "eventname": Kind.IDENTIFIER,
    "customerid": Kind.IDENTIFIER,
    "eventid": Kind.IDENTIFIER,
    "createtime": Kind.MOMENT,
    "Value": Kind.NUMBER,
    "Currency": Kind.CURRENCY,
    **dict.fromkeys(KPI_FIELDS, Kind.NUMBER),
}
DEFINED: Final[Mapping[Endpoint, Mapping[str, Kind]]] = {
    "customers": CUSTOMER_FIELDS,
    "activities": ACTIVITY_FIELDS,
}
# The required fields of each API, as the text of the guide says.
REQUIRED: Final[Mapping[Endpoint, tuple[tuple[str, str], ...]]] = {
    "customers": (("customerId", UNIQUENESS),),
    "activities": (("eventname", EVENT_REPORTING), ("customerid", EVENT_REPORTING)),
}
