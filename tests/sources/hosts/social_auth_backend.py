"""The host's own class for python-social-auth; importing the package warns of what it imports itself."""

from __future__ import annotations

from social_core.backends.open_id_connect import OpenIdConnectAuth


class FormPost(OpenIdConnectAuth):
    """A provider that answers with a form, as Apple does."""

    name = "form-post"
