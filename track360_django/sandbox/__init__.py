"""
Track360 imitated on loopback: what a client is tried against before the real API sees it.

The sandbox reads the API guide for itself and imports nothing from outside this folder: a judge that shared
code with the client it judges would share its mistakes. It runs in two ways over one core (`api`): as a Django
app (`path("", include("track360_django.sandbox.urls"))`) and as a server of its own (`server.SandboxServer`,
or `python -m track360_django.sandbox`), which needs no settings.
"""
