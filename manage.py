#!/usr/bin/env python3
"""
Django's manage.py for the example project.

`demo` and `test` first make the environment they need (see bootstrap.py); every other command is plain Django.
"""

import os
import sys

# What each command needs beside the package itself: the name of an extra in pyproject.toml.
EXTRAS = {"demo": "demo", "test": "test"}

TOO_OLD = """This project needs Python 3.11 or newer; this is Python {} ({}).
Install a newer one, or name one that is there, such as: python3.12 manage.py {}"""

NO_DJANGO = """This Python has no Django ({}).
{}"""


def main() -> None:
    """Run a management command."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command in EXTRAS:
        if sys.version_info < (3, 11):  # noqa: UP036 - read by whatever `python3` is, before anything newer is
            sys.exit(TOO_OLD.format(sys.version.split()[0], sys.executable, command))
        import bootstrap  # noqa: PLC0415 - an older Python could not read it

        bootstrap.ensure(EXTRAS[command])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
    try:
        from django.core.management import execute_from_command_line  # noqa: PLC0415 - it may come with the bootstrap
    except ModuleNotFoundError as error:
        if error.name != "django":
            raise
        sys.exit(say_where_django_is())

    execute_from_command_line(sys.argv)


def say_where_django_is() -> str:
    """Return what to type instead, in a Python that has no Django."""
    arguments = " ".join(sys.argv[1:])
    if sys.version_info < (3, 11):  # noqa: UP036 - see above
        return TOO_OLD.format(sys.version.split()[0], sys.executable, arguments)
    import bootstrap  # noqa: PLC0415 - an older Python could not read it

    venv = bootstrap.choose_folder("demo")
    better = f"{bootstrap.shown(bootstrap.python_of(venv))} manage.py {arguments}".rstrip()
    if bootstrap.read_stamp(venv):
        return NO_DJANGO.format(sys.executable, f"The project's environment has it: {better}")
    return NO_DJANGO.format(
        sys.executable, f"Run `python3 manage.py demo` first, which installs it; then: {better}"
    )


if __name__ == "__main__":
    main()
