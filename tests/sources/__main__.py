"""`python -m tests.sources <host>`: tell every story under every server and session backend; print the rows as JSON."""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import django
from celery import current_app
from django.conf import settings
from django.core.management import call_command

from tests.sources.host import Host, Row

BACKENDS: Final = ("db", "cache", "signed_cookies")
TEMPLATES: Final = Path(__file__).with_name("templates")


def main(name: str) -> None:
    """Serve one host in all ways and print what its stories left."""
    host: Host = importlib.import_module(f"tests.sources.hosts.{name}").Site()
    with tempfile.TemporaryDirectory() as folder:
        settings.configure(**settings_of(host, Path(folder) / "host.sqlite3"))
        django.setup()
        # A broker that is there, for wake-ups that nobody reads.
        current_app.conf.update(broker_url="memory://")
        call_command("migrate", run_syncdb=True, verbosity=0)
        print(json.dumps({"django": django.__version__, "told": tell(host)}))  # noqa: T201  what the test reads


def tell(host: Host) -> dict[str, dict[str, list[Row]]]:
    """Return the rows of each story under each server with each session backend."""
    from tests.sources.serving import SERVERS

    told: dict[str, dict[str, list[Row]]] = {}
    for server, serve in SERVERS.items():
        with serve() as served:
            for backend in BACKENDS:
                # Read when the middleware is made, which is when an application is.
                settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{backend}"
                served.renew()
                told[f"{server} {backend}"] = {
                    story: _tell_one(function, served.url, f"{server}-{backend}-{story}".replace("_", "-"))
                    for story, function in host.stories().items()
                }
    return told


def _tell_one(story: Any, url: str, name: str) -> list[Row]:
    from django.core import mail
    from django.core.cache import cache

    from track360_django.models import Activity, Customer

    Activity.objects.all().delete()
    Customer.objects.all().delete()
    cache.clear()
    mail.outbox = []
    rows: list[Row] = story(url, name)
    return rows


def settings_of(host: Host, database: Path) -> dict[str, Any]:
    """Return the settings of a host: Django's start project, ours, and the package's."""
    apps = [
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.sites",
        "django.contrib.staticfiles",
        *host.apps,
        "track360_django",
    ]
    plain: dict[str, Any] = {
        "DEBUG": False,
        "SECRET_KEY": "protects-nothing-but-is-long-enough-for-every-package-there-is",
        "ALLOWED_HOSTS": ["127.0.0.1"],
        "INSTALLED_APPS": apps,
        "MIDDLEWARE": [
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "track360_django.middleware.TrackingMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            *host.middleware,
        ],
        "ROOT_URLCONF": "tests.sources.urls",
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [TEMPLATES],
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        "DATABASES": {
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": database,
                "OPTIONS": {
                    "timeout": 20,
                    "transaction_mode": "IMMEDIATE",
                    "init_command": "PRAGMA synchronous=OFF",
                },
            }
        },
        # Their tables are made from the models: what they were once is not what is tried here.
        "MIGRATION_MODULES": _OursAlone(),
        "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
        "EMAIL_BACKEND": "django.core.mail.backends.locmem.EmailBackend",
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "STATIC_URL": "/static/",
        "USE_TZ": True,
        "SITE_ID": 1,
        "LOGIN_REDIRECT_URL": "/",
        "LOGGING": {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"console": {"class": "logging.StreamHandler", "level": "WARNING"}},
            "root": {"handlers": ["console"], "level": "WARNING"},
        },
        "TRACK360": {"BASE_URL": "http://127.0.0.1:1", "BRAND_TOKEN": "token"},
        "TRACK360_TEST_HOST": host,
    }
    return {**plain, **host.configuration()}


class _OursAlone(dict[str, None]):
    """Says of every app but ours that it has no migrations."""

    def __contains__(self, label: object) -> bool:
        return label != "track360_django"

    def __getitem__(self, label: str) -> None:
        return None


if __name__ == "__main__":
    main(sys.argv[1])
