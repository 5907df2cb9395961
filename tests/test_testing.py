"""The pytest plugin for hosts: it costs nothing to load, and its fixtures lead every way out to the sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from track360_django.testing import _lead_to

ROOT = Path(__file__).parent.parent
# Named, so that it makes no difference whether this package is installed with its entry point.
PLUGINS = ("-p", "pytest_django.plugin", "-p", "track360_django.testing")

HOST_SETTINGS = """
SECRET_KEY = "x"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "track360_django"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
USE_TZ = True
TRACK360 = {
    "BASE_URL": "https://partners.example.com", "BRAND_TOKEN": "real", "ENABLED": False,
    "PROXIES": {"http": "http://192.0.2.1:3128"},
    "BRANDS": {"one": {"BASE_URL": "https://one.example.com", "BRAND_TOKEN": "real-one"}, "two": {}},
}
"""
HOST_TESTS = """
from django.conf import settings

def test_settings(track360_sandbox):
    assert settings.TRACK360["BASE_URL"] == track360_sandbox.url
    assert settings.TRACK360["BRAND_TOKEN"] == "sandbox-token"
    assert settings.TRACK360["ENABLED"] and "PROXIES" not in settings.TRACK360
    tokens = {brand["BRAND_TOKEN"] for brand in settings.TRACK360["BRANDS"].values()}
    assert tokens == {"sandbox-token-one", "sandbox-token-two"}
    assert {brand["BASE_URL"] for brand in settings.TRACK360["BRANDS"].values()} == {track360_sandbox.url}

def test_outbox(track360_outbox):
    from track360_django.models import Activity, Customer
    customer = Customer.objects.create(brand="one", lane=0, customer_id="7")
    for number, name in enumerate(["Deposit", "Bet"]):
        body = '{"eventname": "%s", "customerid": "7"}' % name
        Activity.objects.create(
            brand="one", lane=0, customer=customer, eventname=name, eventid=str(number), body=body
        )
    assert [each.customer_id for each in track360_outbox.customers] == ["7"]
    assert track360_outbox.activities.count() == 2
    assert track360_outbox.bodies("Deposit") == [{"eventname": "Deposit", "customerid": "7"}]
    assert len(track360_outbox.bodies()) == 2
    track360_outbox.deliver()

def test_settings_are_back(db):
    assert settings.TRACK360["BRAND_TOKEN"] == "real"
"""


def test_fixtures_serve_a_host(tmp_path: Path) -> None:
    """A host's own test run gets the sandbox, its settings led there, and the outbox."""
    (tmp_path / "host_settings.py").write_text(HOST_SETTINGS)
    (tmp_path / "test_host.py").write_text(HOST_TESTS)
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "DJANGO"))
    }
    paths = os.pathsep.join([str(ROOT), str(tmp_path)])

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *PLUGINS],
        cwd=tmp_path,
        env={
            **environment,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": paths,
            "DJANGO_SETTINGS_MODULE": "host_settings",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "3 passed" in run.stdout, run.stdout + run.stderr


def test_plugin_and_server_load_without_django() -> None:
    """Importing the plugin loads no Django; importing the sandbox needs no settings."""
    code = (
        "import sys, track360_django.testing; assert 'django' not in sys.modules;"
        "import track360_django.sandbox.server, track360_django.sandbox.__main__;"
        "from django.conf import settings; assert not settings.configured"
    )
    environment = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}

    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, timeout=30)


def test_missing_setting_is_made() -> None:
    """A host without a TRACK360 setting gets one that leads to the sandbox."""
    assert _lead_to("http://127.0.0.1:1", {}) == {
        "BASE_URL": "http://127.0.0.1:1",
        "BRAND_TOKEN": "sandbox-token",
        "ENABLED": True,
        "ALLOW_HTTP": True,
    }
