"""The pieces for packages that announce no signup; tests/sources runs them in real hosts, here is what goes wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from pytest_django import Settings as HostSettings
from rest_framework import generics, serializers, views
from rest_framework.authentication import BaseAuthentication
from rest_framework.response import Response

from tests.configuration import configure
from tests.pages import ROOT
from track360_django.contrib.oidc import TrackingBackendMixin
from track360_django.contrib.rest_framework import TrackingField, TrackingSerializerMixin
from track360_django.contrib.social_auth import report_customer
from track360_django.models import Customer

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.contrib.test_contrib")]

VALUE: Final = "2001_1000_abcdefg"
ATTRIBUTED: Final = {"tracking_data": VALUE}


def lead_astray(_request: object) -> str:
    """Be a resolver of brands that fails."""
    raise RuntimeError


class SignupSerializer(TrackingSerializerMixin, serializers.ModelSerializer):  # type: ignore[misc]  # no types
    """A signup that is written by hand."""

    class Meta:
        model = User
        fields = ["username", "is_staff", "is_active"]


class StrictSerializer(SignupSerializer):
    """The same, and a client may send nothing that the serializer does not know."""

    def validate(self, attrs: Any) -> Any:
        """Refuse fields that nobody knows."""
        if unknown := set(self.initial_data) - set(self.fields):
            raise serializers.ValidationError(sorted(unknown))
        return attrs


class NotesSerializer(TrackingSerializerMixin, serializers.ModelSerializer):  # type: ignore[misc]  # no types
    """A signup whose own field has the name of the parameter."""

    tracking_data = serializers.CharField(source="last_name")

    class Meta:
        model = User
        fields = ["username", "tracking_data"]


class PhoneSerializer(TrackingSerializerMixin, serializers.ModelSerializer):  # type: ignore[misc]  # no types
    """A login by a number, which is a signup for whom nobody knows."""

    class Meta:
        model = User
        fields = ["username"]
        extra_kwargs: Final[Mapping[str, Any]] = {"username": {"validators": []}}

    def create(self, validated_data: Any) -> Any:
        """Return who has the number."""
        return User.objects.get_or_create(**validated_data)[0]


class Signup(generics.CreateAPIView):  # type: ignore[misc]  # comes without types
    """A signup view."""

    serializer_class = SignupSerializer


class ByKey(BaseAuthentication):  # type: ignore[misc]  # comes without types
    """A key, which is no user's."""

    def authenticate(self, request: Any) -> tuple[None, str]:  # noqa: ARG002  its signature
        """Let everybody in."""
        return None, "key"


class Change(generics.UpdateAPIView):  # type: ignore[misc]  # comes without types
    """A view that changes a user."""

    queryset = User.objects.all()
    serializer_class = SignupSerializer


class Nested(views.APIView):  # type: ignore[misc]  # comes without types
    """A signup view whose clients wrap what they send."""

    def post(self, request: Any) -> Any:
        """Sign somebody up."""
        serializer = SignupSerializer(data=request.data["user"], context={"request": request})
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return Response(serializer.data)


class Backend(TrackingBackendMixin, OIDCAuthenticationBackend):  # type: ignore[misc]  # comes without types
    """mozilla-django-oidc, as the how-to has it."""


class Reluctant(OIDCAuthenticationBackend):  # type: ignore[misc]  # comes without types
    """A backend that creates nobody."""

    def create_user(self, claims: Mapping[str, Any]) -> None:
        """Create nobody."""


class ReluctantBackend(TrackingBackendMixin, Reluctant):
    """The same, with the mixin."""


def log_in_by_pipeline(request: HttpRequest, is_new: int) -> HttpResponse:
    """Do what the pipeline of python-social-auth does with a user."""
    user = User.objects.create_user("alex", is_staff="staff" in request.GET)
    if not is_new:
        Customer.objects.all().delete()
    # What the step asks of a strategy; the package itself runs in tests/sources.
    strategy = SimpleNamespace(request=None if "bare" in request.GET else request)
    report_customer(strategy, None, {}, user=user, is_new=bool(is_new), uid="1")
    return HttpResponse("welcome")


def log_in_by_claims(request: HttpRequest) -> HttpResponse:
    """Do what mozilla-django-oidc does for somebody whom nobody knows."""
    backend = ReluctantBackend() if "reluctant" in request.GET else Backend()
    if "bearer" not in request.GET:
        backend.request = request
    user = backend.create_user({"email": "alex@example.com"})
    return HttpResponse(user and user.email)


urlpatterns = [
    path("", lambda _: HttpResponse("page")),
    path("signup/", Signup.as_view()),
    path("strict/", Signup.as_view(serializer_class=StrictSerializer)),
    path("notes/", Signup.as_view(serializer_class=NotesSerializer)),
    path("by-key/", Signup.as_view(authentication_classes=[ByKey])),
    path("phone/", Signup.as_view(serializer_class=PhoneSerializer)),
    path("nested/", Nested.as_view()),
    path("change/<int:pk>/", Change.as_view()),
    path("pipeline/<int:is_new>/", log_in_by_pipeline),
    path("claims/", log_in_by_claims),
]


@pytest.fixture(autouse=True)
def _know_the_provider(settings: HostSettings) -> None:
    """Say what mozilla-django-oidc has to know."""
    for name in ("OP_TOKEN_ENDPOINT", "OP_USER_ENDPOINT", "RP_CLIENT_ID", "RP_CLIENT_SECRET"):
        setattr(settings, f"OIDC_{name}", "https://provider.test/")


def send(client: Client, address: str = "/signup/", **body: Any) -> Any:
    """Send JSON."""
    answer = client.post(address, body, content_type="application/json")
    assert answer.status_code in (200, 201), answer.content
    return answer.json()


def tracking() -> list[dict[str, str]]:
    """Return what the customers are credited to."""
    return list(Customer.objects.order_by("pk").values_list("tracking", flat=True))


def test_start_of_django_imports_none_of_these_pieces() -> None:
    """A host that does not use a package need not have it."""
    code = (
        "import sys, django; django.setup(); import track360_django.checks, track360_django.admin; "
        "names = ('track360_django.contrib', 'rest_framework', 'mozilla_django_oidc', 'social_core', 'social_django'); "
        "print([name for name in names if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"DJANGO_SETTINGS_MODULE": "example_project.settings"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.strip() == "[]", done.stderr


# Django REST framework.


def test_value_in_the_body_is_the_customers_and_not_the_models(client: Client) -> None:
    """The user is created without the field, the answer is without it, and the customer has the value."""
    answer = send(client, username="alex", tracking_data=VALUE)

    assert answer == {"username": "alex", "is_staff": False, "is_active": True}
    assert tracking() == [ATTRIBUTED]


def test_value_in_an_inner_object_is_the_customers(client: Client) -> None:
    """What the serializer is given counts, wherever in the body it was."""
    send(client, "/nested/", user={"username": "alex", "tracking_data": VALUE})

    assert tracking() == [ATTRIBUTED]


def test_inner_value_that_was_seen_long_ago_is_expired(client: Client) -> None:
    """The time at which a client saw the value counts here, too."""
    send(client, "/nested/", user={"username": "alex", "tracking_data": VALUE, "t360_at": "1500000000"})

    assert tracking() == [{}]


def test_value_is_kept_while_its_user_waits_for_activation(client: Client, settings: HostSettings) -> None:
    """With `REPORT_ON = "activation"` the row is held with the value of the body."""
    configure(settings, REPORT_ON="activation")

    send(client, "/nested/", user={"username": "alex", "is_active": False, "tracking_data": VALUE})

    assert tracking() == [ATTRIBUTED]
    assert Customer.objects.get().status == "held"


def test_strict_serializer_knows_the_fields(client: Client) -> None:
    """Who refuses unknown fields refuses none of ours."""
    send(client, "/strict/", username="alex", tracking_data=VALUE, t360_at="1500000000", t360="")

    assert Customer.objects.count() == 1


def test_field_of_the_host_with_the_same_name_stays(client: Client) -> None:
    """A field that the serializer has already is the host's, and its value counts all the same."""
    send(client, "/notes/", username="alex", tracking_data=VALUE)

    assert User.objects.get().last_name == VALUE
    assert tracking() == [ATTRIBUTED]


@pytest.mark.parametrize("value", [None, 5, ["a"], {"a": "b"}, "x" * 51, "a\x00b"], ids=repr)
def test_what_is_no_value_refuses_no_signup(client: Client, value: object) -> None:
    """A client that sends nonsense in the field signs somebody up."""
    send(client, username="alex", tracking_data=value)
    send(client, "/nested/", user={"username": "bo", "tracking_data": value})

    assert tracking() == [{}, {}]


def test_field_validates_to_nothing() -> None:
    """The field alone leaves nothing in `validated_data`, and is asked of nobody."""

    class Alone(serializers.Serializer):  # type: ignore[misc]  # comes without types
        tracking_data = TrackingField()

    with_value, without = Alone(data={"tracking_data": VALUE}), Alone(data={})

    assert (with_value.is_valid(), without.is_valid()) == (True, True)
    assert dict(with_value.validated_data) == {}


def test_change_of_a_user_reports_nobody(client: Client) -> None:
    """A serializer that updates signs nobody up."""
    user = User.objects.create_user("alex")
    client.force_login(user)

    body = {"username": "bo", "tracking_data": VALUE}
    answer = client.put(f"/change/{user.pk}/", body, content_type="application/json")

    assert answer.status_code == 200, answer.content
    assert not Customer.objects.exists()


def test_user_of_staff_is_not_reported_by_a_serializer(client: Client) -> None:
    """A colleague earns nobody a commission."""
    send(client, username="alex", is_staff=True, tracking_data=VALUE)

    assert not Customer.objects.exists()


def test_user_whom_somebody_logged_in_creates_is_not_reported(client: Client) -> None:
    """Who uses the API to make users signs nobody up."""
    client.force_login(User.objects.create_user("boss"))

    send(client, username="alex", tracking_data=VALUE)

    assert User.objects.count() == 2
    assert not Customer.objects.exists()


def test_program_with_a_key_reports_with_what_it_sends_along(client: Client) -> None:
    """A telephone's app has a key, too: its users sign up, so those of any program with one are customers."""
    send(client, "/by-key/", username="alex", tracking_data=VALUE)
    send(Client(), "/by-key/", username="bo")

    assert tracking() == [ATTRIBUTED, {}]


def test_serializer_that_finds_somebody_known_reports_new_users_alone(client: Client) -> None:
    """Who was there before did not sign up by the link of today, though `create` returns them."""
    known = User.objects.create_user("alex")

    for username in ("alex", "bo"):
        send(client, "/phone/", username=username, tracking_data=VALUE)

    assert Customer.objects.get().user_pk != str(known.pk)
    assert tracking() == [ATTRIBUTED]


@pytest.mark.parametrize("address", ["/signup/", "/nested/"])
def test_resolver_that_fails_costs_no_signup(client: Client, settings: HostSettings, address: str) -> None:
    """An error of a setting is logged; the user is there."""
    configure(
        settings, BRAND_RESOLVER="tests.contrib.test_contrib.lead_astray", BRANDS={"one": {}, "two": {}}
    )

    send(
        client,
        address,
        username="alex",
        tracking_data=VALUE,
        user={"username": "alex", "tracking_data": VALUE},
    )

    assert User.objects.count() == 1
    assert not Customer.objects.exists()


# python-social-auth.


@pytest.mark.parametrize("query", ["", "?bare"], ids=["request", "no-request"])
def test_new_user_of_the_pipeline_is_a_customer(client: Client, query: str) -> None:
    """The step reports who was created, with the touch of the visitor, by the strategy's request or the current one."""
    client.get(f"/?tracking_data={VALUE}")

    client.get(f"/pipeline/1/{query}")

    customer = Customer.objects.get()
    assert (customer.source, customer.status, customer.tracking) == ("social_auth", "pending", ATTRIBUTED)


@pytest.mark.parametrize("address", ["/pipeline/0/", "/pipeline/1/?staff"], ids=["known", "staff"])
def test_others_of_the_pipeline_are_not_reported(client: Client, address: str) -> None:
    """The step leaves alone whoever was there before, and colleagues."""
    client.get(address)

    assert not Customer.objects.exists()


def test_error_of_ours_breaks_no_pipeline(client: Client, settings: HostSettings) -> None:
    """A setting that leads to nothing costs the report, not the login."""
    configure(settings, CUSTOMER_ID="nothing")

    answer = client.get("/pipeline/1/")

    assert answer.status_code == 200
    assert User.objects.count() == 1
    assert not Customer.objects.exists()


# mozilla-django-oidc.


@pytest.mark.parametrize("query", ["", "?bearer"], ids=["login", "bearer-token"])
def test_user_whom_claims_create_is_a_customer(client: Client, query: str) -> None:
    """The mixin reports them, with the backend's request or the current one."""
    client.get(f"/?tracking_data={VALUE}")

    answer = client.get(f"/claims/{query}")

    assert answer.content == b"alex@example.com"
    customer = Customer.objects.get()
    assert (customer.source, customer.status, customer.tracking) == ("oidc", "pending", ATTRIBUTED)


@pytest.mark.parametrize(("is_staff", "customers"), [(False, 1), (True, 0)], ids=["visitor", "colleague"])
def test_user_whom_claims_create_while_another_is_logged_in(
    client: Client, customers: int, *, is_staff: bool
) -> None:
    """Who logs in as somebody new over their old session has signed up, unless they try it out as one of the staff."""
    client.force_login(User.objects.create_user("old", is_staff=is_staff))
    client.get(f"/?tracking_data={VALUE}")

    client.get("/claims/")

    assert tracking() == [ATTRIBUTED] * customers


def test_backend_that_creates_nobody_reports_nobody(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """A backend may decide that somebody is not welcome; that is no fault to tell of."""
    client.get("/claims/?reluctant")

    assert caplog.messages == []
    assert not Customer.objects.exists()


def test_error_of_ours_breaks_no_login_by_claims(client: Client, settings: HostSettings) -> None:
    """A setting that leads to nothing costs the report, not the login."""
    configure(settings, CUSTOMER_ID="nothing")

    assert client.get("/claims/").content == b"alex@example.com"
    assert not Customer.objects.exists()
