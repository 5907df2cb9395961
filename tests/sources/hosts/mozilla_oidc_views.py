"""The host's own classes for mozilla-django-oidc; it reads its settings when it is imported."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView

from track360_django.contrib.oidc import TrackingBackendMixin


class Backend(TrackingBackendMixin, OIDCAuthenticationBackend):  # type: ignore[misc]  # comes without types
    """The package's backend, which reports whom it creates."""


@method_decorator(csrf_exempt, name="dispatch")
class Callback(OIDCAuthenticationCallbackView):  # type: ignore[misc]  # comes without types
    """Turns the provider's POST into a GET, which brings the visitor's cookies; the how-to shows it."""

    http_method_names = ["get", "post"]

    def post(self, request: HttpRequest, *_: Any) -> HttpResponse:
        """Come again."""
        return HttpResponseRedirect(f"{request.path}?{request.POST.urlencode()}")
