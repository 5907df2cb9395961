"""
Presets: the names that a kind of business usually agrees on with Track360, as plain data for the settings file.

    from track360_django import presets

    TRACK360 = {..., "EVENTS": presets.IGAMING.EVENTS}
    TRACK360 = {..., "EVENTS": (*presets.FOREX.EVENTS, "Referral")}

The package reads nothing here by itself: it has no fixed KPIs. Nothing here uses Django.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Preset:
    """
    Names to agree on with Track360 before going live: a proposal, not a list that Track360 has.

    `EVENTS` are event names. `KPIS` are the KPI fields of DailyStats. `COUNTS` are those KPIs that are counts and not
    money. `PRODUCTS` are the product lines that KPIs are grouped by.
    """

    EVENTS: tuple[str, ...]
    KPIS: tuple[str, ...] = ()
    COUNTS: tuple[str, ...] = ()
    PRODUCTS: tuple[str, ...] = ()


# Source: API guide, "Supported event types (KPIs)", "Group by KPI type" and the example of DailyStats; Bonus and
# Chargeback are our choice, as customary as the others.
IGAMING: Final = Preset(
    EVENTS=("Deposit", "Withdrawal", "GGR", "NGR", "Bet", "DailyStats", "Bonus", "Chargeback"),
    KPIS=("GGR", "NGR", "Bets", "Games"),
    COUNTS=("Games",),
    PRODUCTS=("Casino", "Sports", "Poker", "Bingo"),
)

# Source: API guide, "Activity API", Field definitions, names Lots; the others are our choice.
FOREX: Final = Preset(
    EVENTS=("Deposit", "Withdrawal", "Lots", "Commission", "Spread", "PnL", "DailyStats", "Chargeback"),
    KPIS=("Lots", "Commission", "Spread", "PnL", "Trades"),
    COUNTS=("Trades",),
    PRODUCTS=("Forex", "Metals", "Indices", "Crypto"),
)

# Source: API guide, "Activity API", Field definitions, names ChallengePurchase; the others are our choice.
PROP_TRADING: Final = Preset(
    EVENTS=("ChallengePurchase", "ChallengeReset", "AddOn", "Payout", "Refund", "Chargeback", "DailyStats"),
    KPIS=("ChallengePurchases", "ChallengeResets", "Payouts", "Lots"),
    PRODUCTS=("OneStep", "TwoStep", "Instant"),
)
