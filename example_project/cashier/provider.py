"""The payment provider: how the brand knows that it is the provider who calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.crypto import constant_time_compare, salted_hmac

if TYPE_CHECKING:
    from django.http import HttpRequest

HEADER: Final = "X-Provider-Secret"


def secret() -> str:
    """Return what provider and brand share. A real provider hands it out; this one's follows from `SECRET_KEY`."""
    return salted_hmac("example_project.cashier", "payment provider", algorithm="sha256").hexdigest()


def is_caller(request: HttpRequest) -> bool:
    """Tell whether a request comes from the provider."""
    return constant_time_compare(request.headers.get(HEADER, ""), secret())
