"""strawberry-django-auth: mutations of a GraphQL API, verification by a token in a mail; its signals have no request."""

from __future__ import annotations

from typing import Any

from django.urls import path

from tests.sources.host import PASSWORD, Host, link_in_mail
from tests.sources.visitor import Visitor, succeed

REGISTER = """
mutation ($name: String!, $email: String!, $one: String!, $two: String!) {
  register(username: $name, email: $email, password1: $one, password2: $two) { success errors }
}
"""
VERIFY = "mutation ($token: String!) { verifyAccount(token: $token) { success errors } }"


def call(visitor: Visitor, query: str, **variables: str) -> Any:
    """Send a mutation, and return its result."""
    answer = succeed(visitor.post("/graphql/", {"query": query, "variables": variables})).json()
    assert "errors" not in answer, answer
    (result,) = answer["data"].values()
    return result


class Site(Host):
    """strawberry-django-auth as its quick start has it."""

    apps = ("strawberry_django", "gqlauth")
    middleware = ("gqlauth.core.middlewares.django_jwt_middleware",)
    environment = "apart"
    is_api = True

    @property
    def settings(self) -> dict[str, Any]:  # type: ignore[override]  # made late: the package reads the settings
        """Return its own."""
        from gqlauth.settings_type import GqlAuthSettings

        return {
            "GQL_AUTH": GqlAuthSettings(
                LOGIN_REQUIRE_CAPTCHA=False, REGISTER_REQUIRE_CAPTCHA=False, ALLOW_LOGIN_NOT_VERIFIED=False
            )
        }

    def urls(self) -> list[Any]:
        """Return one schema with its mutations."""
        import strawberry
        from django.views.decorators.csrf import csrf_exempt
        from gqlauth.core.middlewares import JwtSchema
        from gqlauth.user import arg_mutations
        from strawberry.django.views import GraphQLView

        @strawberry.type
        class Query:
            name: str = "page"

        @strawberry.type
        class Mutation:
            register = arg_mutations.Register.field
            verify_account = arg_mutations.VerifyAccount.field

        schema = JwtSchema(query=Query, mutation=Mutation)
        return [path("graphql/", csrf_exempt(GraphQLView.as_view(schema=schema)))]

    def sign_up(self, visitor: Visitor, name: str) -> None:
        """Call the mutation."""
        fields = {"name": name, "email": f"{name}@example.com", "one": PASSWORD, "two": PASSWORD}
        assert call(visitor, REGISTER, **fields) == {"success": True, "errors": None}

    def refuse(self, visitor: Visitor, name: str) -> None:
        """Repeat the password wrongly."""
        fields = {"name": name, "email": f"{name}@example.com", "one": PASSWORD, "two": "x"}
        assert not call(visitor, REGISTER, **fields)["success"]

    def activate(self, visitor: Visitor, name: str) -> None:  # noqa: ARG002  the mail says who it is
        """Send the token of the mail's link."""
        token = link_in_mail(r"activate/([^\s\"<]+)")[1]
        assert call(visitor, VERIFY, token=token)["success"]
