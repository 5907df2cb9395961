"""The tasks of those who don't use this package: get the row, post one record, mark the row."""

from __future__ import annotations

from typing import Any

import requests
from celery import shared_task
from django.conf import settings
from django.utils import timezone

from benchmarks.project.models import NaivePayment

TIMEOUT_SECONDS = 10

session = requests.Session()


@shared_task
def report_naively(pk: int) -> None:
    """Report one payment over a connection of its own."""
    _report(pk, requests.post)


@shared_task
def report_kept_alive(pk: int) -> None:
    """Report one payment over the process's kept-alive connection."""
    _report(pk, session.post)


def _report(pk: int, post: Any) -> None:
    payment = NaivePayment.objects.get(pk=pk)
    response = post(
        f"{settings.TRACK360['BASE_URL']}/tracking/events/activities",
        json=[record_of(payment)],
        headers={"x-api-key": settings.TRACK360["BRAND_TOKEN"]},
        timeout=TIMEOUT_SECONDS,
    )
    response.raise_for_status()
    payment.sent_at = timezone.now()
    payment.save(update_fields=["sent_at"])


def record_of(payment: NaivePayment) -> dict[str, str]:
    """Return a payment as the API takes it."""
    return {
        "eventname": "Payment",
        "eventid": payment.reference,
        "customerid": str(payment.user_id),
        "createtime": payment.completed_at.strftime("%Y-%m-%d %H:%M"),
        "Value": str(payment.amount),
        "Currency": payment.currency,
    }
