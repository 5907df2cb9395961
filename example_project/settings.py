"""
The example host's settings: an ordinary Django project that uses track360_django.

Servers come from the environment (`DATABASE_URL`, `CELERY_BROKER_URL`); without it, SQLite beside the project and a
Redis at its usual address.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import django
from django.core.exceptions import ImproperlyConfigured

from track360_django.tasks import BEAT_SCHEDULE

BASE_DIR = Path(__file__).resolve().parent.parent

# Note [SQLite under a web server and workers]
# WAL lets readers go on while one writes; IMMEDIATE takes the write lock when a transaction begins, so that waiting
# works: a deferred transaction that finds another writer fails at once, whatever its timeout.
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
}


def database_from_url(url: str) -> dict[str, Any]:
    """
    Return the settings of the database that a URL names.

    Known are `sqlite:///relative.sqlite3`, `sqlite:////absolute.sqlite3`, `postgresql://user@host/name?host=/sockets`
    and `mysql://user@host/name?unix_socket=/path` (MariaDB, too).
    """
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        name = BASE_DIR / unquote(parts.path.removeprefix("/"))
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(name),
            "OPTIONS": dict(SQLITE_OPTIONS),
            # A file: the tests start web servers and workers that share it.
            "TEST": {"NAME": str(name.with_suffix(".test.sqlite3"))},
        }
    if parts.scheme in {"postgres", "postgresql"}:
        options = dict(parse_qsl(parts.query))
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.removeprefix("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": options.pop("host", parts.hostname or ""),
            "PORT": str(parts.port or ""),
            "OPTIONS": options,
        }
    if parts.scheme in {"mysql", "mariadb"}:
        if not importlib.util.find_spec("MySQLdb") and importlib.util.find_spec("pymysql"):
            # Django's driver is mysqlclient, which needs a compiler; this one stands in for it.
            importlib.import_module("pymysql").install_as_MySQLdb()
        options = dict(parse_qsl(parts.query))
        return {
            "ENGINE": "django.db.backends.mysql",
            "NAME": unquote(parts.path.removeprefix("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": options.pop("unix_socket", parts.hostname or ""),
            "PORT": str(parts.port or ""),
            # MySQL's "utf8" has no emoji. READ COMMITTED is Django's default, and what this package is tried with.
            "OPTIONS": {"charset": "utf8mb4", "isolation_level": "read committed", **options},
            "TEST": {"CHARSET": "utf8mb4"},
        }
    known = "sqlite:///, postgresql:// and mysql://"
    message = f"DATABASE_URL begins with {parts.scheme!r}: this project knows {known}."
    raise ImproperlyConfigured(message)


DEBUG = os.environ.get("DJANGO_DEBUG", "1").lower() in {"1", "true", "yes", "on"}
# An example may carry a key; a project that serves people may not.
SECRET_KEY = os.environ.get(
    "DJANGO_SECRET_KEY", "example-only-a-key-that-protects-nobody-and-must-not-be-copied"
)
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", "testserver"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "track360_django",
    "example_project.accounts",
    "example_project.cashier",
    "example_project.games",
    "example_project.demo",
]
if DEBUG:
    # Track360 imitated: for development only.
    INSTALLED_APPS.append("track360_django.sandbox")

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "track360_django.middleware.TrackingMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "example_project" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
ASGI_APPLICATION = "example_project.asgi.application"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

DATABASES = {"default": database_from_url(os.environ.get("DATABASE_URL") or "sqlite:///example.sqlite3")}

AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
LOGIN_URL = "login"
ACCOUNT_EMAIL_VERIFICATION = "none"
LOGIN_REDIRECT_URL = "/"
# Mail goes nowhere here. Django 6.1 names the setting anew and warns of the old one.
_MAIL_NOWHERE = "django.core.mail.backends.locmem.EmailBackend"
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": _MAIL_NOWHERE}}
else:
    EMAIL_BACKEND = _MAIL_NOWHERE

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL") or "redis://127.0.0.1:6379/0"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Nobody reads results here, and a result backend that is down costs a caller 19 seconds.
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
# Without results there are none to expire: else beat schedules a task that removes them.
CELERY_RESULT_EXPIRES = None
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {**BEAT_SCHEDULE}

TRACK360 = {
    # In development both are the sandbox's, which this very project serves.
    "BASE_URL": os.environ.get("TRACK360_BASE_URL") or "http://127.0.0.1:8000",
    "BRAND_TOKEN": os.environ.get("TRACK360_BRAND_TOKEN") or "sandbox-token",
    "CUSTOMER_FIELDS": {
        "regtime": "date_joined",
        "firstName": "first_name",
        "lastName": "last_name",
        "country": "profile__country",
    },
    # The KPIs that were agreed with Track360, named as they are sent; another name is a warning.
    "EVENTS": ("Deposit", "Chargeback", "Withdrawal", "Bonus", "DailyStats"),
    # The field that carries Casino, Sports, Poker or Bingo: the API guide names none, so it was agreed.
    "PRODUCT_FIELD": "product",
    # Browsers drop secure cookies that come over plain http.
    "COOKIE_SECURE": not DEBUG,
}
