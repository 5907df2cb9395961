"""
The sandbox: a local imitation of the Track360 API, to test a client before it calls the real API.

The sandbox implements the API guide independently and imports nothing from outside this folder: with shared code, it
would make the same mistakes as the client that it checks. It runs in two ways over one core (`api`): as a Django app
(`path("", include("track360_django.sandbox.urls"))`), and as a separate server (`server.SandboxServer`, or
`python -m track360_django.sandbox`), which needs no settings.
"""
