"""Integrations for packages that send no signal at a signup. Only a host that names a module imports it."""
