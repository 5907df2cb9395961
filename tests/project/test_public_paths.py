"""What a host may import stays where it is, whatever moves behind it."""

from __future__ import annotations

import importlib
import re
from importlib.util import find_spec

import pytest
from django.utils.module_loading import import_string

from tests.pages import page

# As `docs/reference/api.md` and `tests/typing/api.py` show them.
PUBLIC = {
    "activities": (
        *("DailyActivity", "ModelActivity", "Requeued", "declarations", "daily_declarations", "register"),
        *("register_daily", "report", "report_many", "requeue", "unregister", "unregister_daily"),
    ),
    "admin": ("ActivityAdmin", "CustomerAdmin", "EndpointAdmin", "LaneAdmin"),
    "attribution": ("Landing", "Touch", "Touches", "carry", "landing_of"),
    "conf": ("BrandError",),
    "contrib.oidc": ("TrackingBackendMixin",),
    "contrib.rest_framework": ("TrackingSerializerMixin",),
    "contrib.social_auth": ("report_customer",),
    "customers": ("Registration", "Reported", "report", "report_many", "update"),
    "daily": ("DayReport", "Total", "compile_day", "report_day", "report_days", "report_windows"),
    "delivery": ("BUDGET_SECONDS", "Report", "drain"),
    "exceptions": ("PayloadError", "Track360Error"),
    "managers": ("ReportingManager", "ReportingQuerySet"),
    "middleware": ("TrackingMiddleware",),
    "models": ("Activity", "Customer", "Endpoint", "EndpointName", "Lane", "Status"),
    "presets": ("FOREX", "IGAMING", "PROP_TRADING", "Preset"),
    "products": ("Names", "Record", "Shape", "apply", "field", "names_of", "prefix", "suffix"),
    "reconcile": ("fill", "run"),
    "sandbox": (),
    "sandbox.server": ("SandboxServer",),
    "sandbox.store": ("Store",),
    "sandbox.urls": ("urlpatterns",),
    "signals": (
        *("activity_delivered", "attribution_dropped", "customer_delivered", "customer_signed_up"),
        *("endpoint_paused", "record_dead"),
    ),
    "signup": ("announce", "is_signup"),
    "tasks": ("BEAT_SCHEDULE", "daily", "deliver", "prune", "reconcile", "sweep"),
    "templatetags.track360": ("hidden_inputs", "track360_field"),
    "testing": ("Outbox", "track360_outbox", "track360_sandbox"),
    "urls": ("app_name", "urlpatterns"),
}
needs = {"contrib.rest_framework": "rest_framework"}


@pytest.mark.parametrize("module", PUBLIC)
def test_public_module_has_its_names(module: str) -> None:
    """Each public module is imported under its path, and has the names that the pages show."""
    if module in needs and find_spec(needs[module]) is None:
        pytest.skip(f"needs {needs[module]}")

    found = importlib.import_module(f"track360_django.{module}")

    assert [name for name in PUBLIC[module] if not hasattr(found, name)] == []


@pytest.mark.parametrize(
    "path", ["products.suffix", "products.prefix", "contrib.social_auth.report_customer"]
)
def test_path_in_a_settings_file_leads_to_a_function(path: str) -> None:
    """Paths that a host writes down as text lead where they led."""
    assert callable(import_string(f"track360_django.{path}"))


def test_pages_of_the_reference_name_public_modules_alone() -> None:
    """The page of the API speaks of no module that is not public."""
    named = set(
        re.findall(
            r"track360_django\.((?:contrib\.|templatetags\.)?[a-z_0-9]+)", page("reference/api.md").text
        )
    )

    assert named <= PUBLIC.keys()
