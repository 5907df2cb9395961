"""Attribution: read the tracking data of a landing exactly, remember it in the browser, find it again at the signup."""

from track360_django.attribution.consent import may_remember
from track360_django.attribution.cookie import SALT, SCRIPT_COOKIE, erase, write_cookie
from track360_django.attribution.landing import TIME_FIELD, capture, has_parameter, is_document, landing_of
from track360_django.attribution.request_fields import HEADER, names_of_fields, says_own_page, texts_of, watch
from track360_django.attribution.request_touches import Held, Touches, carry, current, of, serving
from track360_django.attribution.session import SESSION_KEY, reads_session, write_session
from track360_django.attribution.state import parse_state
from track360_django.attribution.touch import Landing, Memory, Touch
from track360_django.conf import CARRY_PARAM

__all__ = [
    "CARRY_PARAM",
    "HEADER",
    "SALT",
    "SCRIPT_COOKIE",
    "SESSION_KEY",
    "TIME_FIELD",
    "Held",
    "Landing",
    "Memory",
    "Touch",
    "Touches",
    "capture",
    "carry",
    "current",
    "erase",
    "has_parameter",
    "is_document",
    "landing_of",
    "may_remember",
    "names_of_fields",
    "of",
    "parse_state",
    "reads_session",
    "says_own_page",
    "serving",
    "texts_of",
    "watch",
    "write_cookie",
    "write_session",
]
