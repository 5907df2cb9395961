"""A serializer mixin for your own signup views with Django REST framework."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn

from django.contrib.auth import get_user_model
from rest_framework import serializers
from rest_framework.fields import empty

from track360_django import attribution, conf, signup

if TYPE_CHECKING:
    from rest_framework.serializers import Serializer
else:
    # DRF collects declared fields only from its own classes: the mixin is a plain class.
    Serializer = object

SOURCE: Final = "rest_framework"


class TrackingField(serializers.CharField):  # type: ignore[misc]  # DRF comes without types
    """
    A write-only field that accepts any value and keeps none.

    It is in the schema and in the browsable form, but neither in `validated_data` nor in an answer.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"write_only": True, "required": False, "allow_blank": True, **options})

    def run_validation(self, data: Any = empty) -> NoReturn:
        """Accept any value and keep none: `TrackingSerializerMixin` reads the request."""
        del data
        raise serializers.SkipField


class TrackingSerializerMixin(Serializer):  # type: ignore[misc]  # DRF comes without types
    """
    Reports users who are created by a serializer as customers, with the tracking data that the client sends.

    `class SignupSerializer(TrackingSerializerMixin, serializers.ModelSerializer)` has a write-only field for each
    parameter of `TRACKING_PARAMS`. The fields are never required, never refuse a request, and never reach `create`. A
    value that can't be returned exactly counts as no value. Without a value, the touch that the visitor's browser
    remembers counts. Staff users are left out, and so are users who are created by another user who is logged in.

    Source: API guide, "Tracking Parameters".
    """

    def get_fields(self) -> dict[str, Any]:
        """Add the fields. Your own field with the same name stays."""
        fields: dict[str, Any] = super().get_fields()
        for name in (*conf.settings.TRACKING_PARAMS, *conf.landing_params(), attribution.TIME_FIELD):
            fields.setdefault(name, TrackingField())
        return fields

    def save(self, *args: Any, **kwargs: Any) -> Any:
        """Save, and report the user who was created."""
        request = self.context.get("request")
        # Checked before: `create` may log the new user in.
        is_signup = self.instance is None and signup.is_signup(request)
        if is_signup:
            self._land(attribution.of(request))
        with signup.created() as created:
            user = super().save(*args, **kwargs)
        # `create` may have returned an existing user.
        if is_signup and isinstance(user, get_user_model()) and user in created:
            signup.announce(user, request=request, source=SOURCE)
        return user

    def _land(self, touches: attribution.Touches | None) -> None:
        """Use the client's tracking data as a landing, so that the user is recorded with it from the beginning."""
        sent = getattr(self, "initial_data", None)
        if touches is None or not isinstance(sent, Mapping):
            return
        fields = attribution.texts_of(sent, attribution.names_of_fields(touches.settings))
        landing = attribution.landing_of(fields, touches.settings, datetime.now(UTC))
        if landing is not None:
            touches.land(landing)
