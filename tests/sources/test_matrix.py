"""Every auth package, under every server, with every session backend: one signup is one customer, with its value."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from typing import Any, Final

import pytest

from tests.pages import ROOT

pytestmark = pytest.mark.standalone

ATTRIBUTED: Final = {"tracking_data": "2001_1000_abcdefg"}
# Host -> the signup source that its customers name.
SOURCES: Final = {
    "plain": "auth",
    "allauth": "allauth",
    "allauth_headless": "allauth",
    "allauth_social": "allauth",
    "dj_rest_social": "allauth",
    "djoser": "djoser",
    "mozilla_oidc": "oidc",
    "rest_framework": "rest_framework",
    "social_auth": "social_auth",
}

every_host: Final = pytest.mark.parametrize("host", SOURCES)


@functools.cache
def told(host: str) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return the rows of each story of a host, by server and session backend, told once in a process of their own."""
    command = [sys.executable, "-m", "tests.sources", host]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    stories: dict[str, dict[str, list[dict[str, Any]]]] = json.loads(done.stdout.splitlines()[-1])["told"]
    assert len(stories) == 6, stories.keys()
    return stories


@every_host
def test_sign_up_after_a_landing_is_one_customer_with_its_value(host: str) -> None:
    """Land, wander, sign up: one row, pending, from the right source, with the very value."""
    expected = {"status": "pending", "reason": "", "source": SOURCES[host], "tracking": ATTRIBUTED}

    for where, stories in told(host).items():
        assert stories["attributed"] == [{**expected, "unattributed_reason": ""}], where


@every_host
def test_sign_up_without_a_landing_is_one_customer_without_a_value(host: str) -> None:
    """Who came by themselves is a customer, and the row says why it has no value."""
    expected = {"status": "pending", "reason": "", "source": SOURCES[host], "tracking": {}}

    for where, stories in told(host).items():
        assert stories["unattributed"] == [{**expected, "unattributed_reason": "no_parameter"}], where


@every_host
def test_sign_up_that_the_package_refuses_is_no_customer(host: str) -> None:
    """A form with errors leaves nothing."""
    for where, stories in told(host).items():
        assert stories["refused"] == [], where
