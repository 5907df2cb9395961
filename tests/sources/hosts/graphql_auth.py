"""
django-graphql-auth: mutations of a GraphQL API on graphene; its signals have no request.

Its last version asks for a django-graphql-jwt that no supported Django can import; here it runs on a later one.
"""

from __future__ import annotations

from typing import Any

from django.urls import path

from tests.sources.host import PASSWORD, Host, link_in_mail
from tests.sources.hosts.gqlauth import call
from tests.sources.visitor import Visitor

REGISTER = """
mutation ($name: String!, $email: String!, $one: String!, $two: String!) {
  register(username: $name, email: $email, password1: $one, password2: $two) { success errors }
}
"""
VERIFY = "mutation ($token: String!) { verifyAccount(token: $token) { success errors } }"


class Site(Host):
    """django-graphql-auth as its quick start has it."""

    apps = (
        "graphene_django",
        "graphql_jwt.refresh_token.apps.RefreshTokenConfig",
        "graphql_auth",
        "django_filters",
    )
    settings = {
        "GRAPHENE": {
            "MIDDLEWARE": ["graphql_jwt.middleware.JSONWebTokenMiddleware"],
        },
        "AUTHENTICATION_BACKENDS": [
            "graphql_auth.backends.GraphQLAuthBackend",
            "django.contrib.auth.backends.ModelBackend",
        ],
        "GRAPHQL_AUTH": {"ALLOW_LOGIN_NOT_VERIFIED": False},
    }
    environment = "apart"
    is_api = True

    def urls(self) -> list[Any]:
        """Return one schema with its mutations."""
        import graphene
        from django.views.decorators.csrf import csrf_exempt
        from graphene_django.views import GraphQLView
        from graphql_auth import mutations

        class Query(graphene.ObjectType):  # type: ignore[misc]  # comes without types
            name = graphene.String()

        class Mutation(graphene.ObjectType):  # type: ignore[misc]  # the same
            register = mutations.Register.Field()
            verify_account = mutations.VerifyAccount.Field()

        schema = graphene.Schema(query=Query, mutation=Mutation)
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
