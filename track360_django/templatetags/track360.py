"""`{% load track360 %}{% track360_field %}`: what a form without cookies sends back. Never an error in a page."""

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
    Return hidden inputs with what this visitor's signup will be credited to; nothing if there is nothing.

    It belongs into a form that the visitor may send without our cookie: before consent, in a frame. A page that shows it
    is never cached for somebody else; a fragment between `{% cache %}` and `{% endcache %}` is, so never put it there.
    """
    return hidden_inputs(context.get("request"))


def hidden_inputs(request: Any) -> SafeString:
    """
    Return the same for any other template language, such as Jinja2: text that is safe in HTML.

    In async code with sessions in the database, call `await request.track360.aload()` before.
    """
    fields = _fields_of(getattr(request, "track360", None))
    return format_html_join("", '<input type="hidden" name="{}" value="{}">', fields.items())


def _fields_of(touches: object) -> Mapping[str, str]:
    if not isinstance(touches, attribution.Touches):
        return {}
    try:
        return touches.as_fields()
    except Exception as error:  # noqa: BLE001  a session store that is down must not cost the host the page
        kind = type(error).__name__
        logger.error("track360: a form goes without its hidden field (%s).", kind)  # noqa: TRY400  it may quote a row
        return {}
