"""`{% load track360 %}{% track360_field %}`: the tracking data for a form without cookies. Never an error in a page."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django import template
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from track360_django import attribution

logger = logging.getLogger(__name__)

register = template.Library()


@register.simple_tag(takes_context=True)
def track360_field(context: Mapping[str, Any]) -> SafeString:
    """
    Return hidden inputs with the tracking data for this visitor's signup; nothing if there is none.

    Use it in a form that the visitor may send without our cookie: before consent, or in a frame. A page that contains it
    is never cached for another visitor. A fragment between `{% cache %}` and `{% endcache %}` is, so never use it there.
    """
    return hidden_inputs(context.get("request"))


def hidden_inputs(request: Any) -> SafeString:
    """
    Return the same inputs for another template language, such as Jinja2, as text that is safe in HTML.

    In async code with sessions in the database, call `await request.track360.aload()` first.
    """
    fields = _fields_of(getattr(request, "track360", None))
    return format_html_join("", '<input type="hidden" name="{}" value="{}">', fields.items())


def _fields_of(touches: object) -> Mapping[str, str]:
    if not isinstance(touches, attribution.Touches):
        return {}
    try:
        return touches.as_fields()
    except Exception as error:  # noqa: BLE001  a session store that is down must not break the host's page
        kind = type(error).__name__
        logger.error("track360: a form is rendered without its hidden field (%s).", kind)  # noqa: TRY400  it may quote a row
        return {}
