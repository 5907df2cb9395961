"""Rows for tests of delivery: customers and activities that nobody's user stands behind."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from track360_django import activities, customers
from track360_django.db.clock import Now

if TYPE_CHECKING:
    from track360_django.models import Activity, Customer


def make_customer(customer_id: str) -> Customer:
    """Report one customer by its id."""
    return customers.report(customer_id, tracking={"tracking_data": "2001_1000_abcdefg"})


def make_customers(count: int) -> list[Customer]:
    """Report some customers; their ids spread them over the lanes."""
    return [make_customer(f"c{number}") for number in range(count)]


def make_activities(customer: Customer, count: int) -> list[Activity]:
    """Report some bets of one customer, oldest first."""
    return [
        activities.report(
            "Bet",
            customer=customer,
            value=Decimal(number),
            currency="USD",
            eventid=f"{customer.customer_id}-{number}",
        )
        for number in range(count)
    ]


def overdue(model: type[Customer | Activity]) -> None:
    """Let the time pass that waiting records have to wait."""
    model._default_manager.exclude(due_at=None).update(due_at=Now())
