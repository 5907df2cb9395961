"""Django REST framework with a signup view that is written by hand, and the mixin of `contrib` in its serializer."""

from __future__ import annotations

from typing import Any, Final

from django.urls import path

from tests.sources.host import OTHER_VALUE, PASSWORD, VALUE, Host, Row, Story, rows
from tests.sources.visitor import Visitor, succeed

# What a client may send for a value, none of which is one.
NO_VALUES: Final = (None, "", 5, ["a"], {"a": "b"}, "x" * 51, "a\x00b", "a\ufffdb", True)


class Site(Host):
    """A view and a serializer as DRF's tutorial writes them."""

    apps = ("rest_framework",)
    is_api = True

    def urls(self) -> list[Any]:
        """Return the one view."""
        from django.contrib.auth.models import User
        from rest_framework import generics, serializers

        from track360_django.contrib.rest_framework import TrackingSerializerMixin

        class SignupSerializer(TrackingSerializerMixin, serializers.ModelSerializer):  # type: ignore[misc]  # no types
            class Meta:
                model = User
                fields = ["username", "password"]
                extra_kwargs = {"password": {"write_only": True}}

            def create(self, validated_data: dict[str, Any]) -> User:
                return User.objects.create_user(**validated_data)

        return [path("signup/", generics.CreateAPIView.as_view(serializer_class=SignupSerializer))]

    def sign_up(self, visitor: Visitor, name: str) -> None:
        """Call the API."""
        assert succeed(visitor.post("/signup/", _form(name))).json() == {"username": name}

    def refuse(self, visitor: Visitor, name: str) -> None:
        """Call it without a password."""
        assert visitor.post("/signup/", {"username": name}).status_code == 400

    def stories(self) -> dict[str, Story]:
        """Return the stories of what a client sends in the body."""
        return super().stories() | {
            "body_and_landing": self.tell_body_and_landing,
            "form": self.tell_form,
            "no_values": self.tell_no_values,
        }

    def tell_body_and_landing(self, url: str, name: str) -> list[Row]:
        """Send the value in the body, which counts more than what the browser remembers."""
        visitor = Visitor(url)
        visitor.land(OTHER_VALUE)
        answer = succeed(visitor.post("/signup/", _form(name) | {"tracking_data": VALUE}))
        assert answer.json() == {"username": name}
        return rows()

    def tell_form(self, url: str, name: str) -> list[Row]:
        """Send it as a form does."""
        form = _form(name) | {"tracking_data": VALUE}
        succeed(Visitor(url).session.post(f"{url}/signup/", data=form, timeout=30))
        return rows()

    def tell_no_values(self, url: str, name: str) -> list[Row]:
        """Send what is no value; everybody is signed up all the same."""
        for number, value in enumerate(NO_VALUES):
            succeed(Visitor(url).post("/signup/", _form(f"{name}-{number}") | {"tracking_data": value}))
        return rows()


def _form(name: str) -> dict[str, str]:
    return {"username": name, "password": PASSWORD}
