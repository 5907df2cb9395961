"""What is shipped: one version everywhere, five dependencies, a wheel with all of the package and nothing else."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from django.core.management import call_command
from packaging.requirements import Requirement

import track360_django
from tests.pages import ROOT

PACKAGE: Final = ROOT / "track360_django"


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """Return what pyproject.toml says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """Return the wheel, built with hatchling as an installer would."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip(
            "hatchling is not installed here: `pip install '.[dev]'` has it, and .ci/run builds the wheel"
        )
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


def files_of_package() -> set[str]:
    """Return the files of the package's folder, compiled ones left out, as a wheel names them."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        # Another process of the suite may be writing there just now.
        if path.parent.name != "__pycache__" and path.is_file()
    }


def test_version_is_one(project: dict[str, Any]) -> None:
    """The package's version is what the build reads and what the changelog begins with."""
    tops = re.findall(r"^## \[([0-9][^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert project["project"]["dynamic"] == ["version"]
    assert ROOT / project["tool"]["hatch"]["version"]["path"] == PACKAGE / "__init__.py"
    assert tops[0] == track360_django.__version__


def test_runtime_dependencies_are_five(project: dict[str, Any]) -> None:
    """Whoever installs the package gets Django, requests, celery, redis and packaging, and nothing more."""
    requirements = [Requirement(text) for text in project["project"]["dependencies"]]

    assert {each.name for each in requirements} == {"Django", "requests", "celery", "redis", "packaging"}
    assert all(each.specifier and each.marker is None and not each.extras for each in requirements)


def test_plugin_is_an_entry_point_of_pytest() -> None:
    """A host's pytest finds the fixtures without being told."""
    (found,) = importlib.metadata.entry_points(group="pytest11", name="track360_django.testing")

    assert found.load().__name__ == "track360_django.testing"


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    """Models and migrations agree, in the package and in the example project."""
    call_command("makemigrations", check_changes=True, dry_run=True, verbosity=0)


def test_package_is_typed() -> None:
    """The marker that lets type checkers read the package is there."""
    assert (PACKAGE / "py.typed").is_file()


def test_wheel_has_all_of_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    """Migrations, templates, the script and py.typed are in the wheel; tests, the example project and the bootstrap are not."""
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert shipped == files_of_package()
    assert {
        "track360_django/py.typed",
        "track360_django/migrations/0001_initial.py",
        "track360_django/sandbox/templates/track360_sandbox/records.html",
        "track360_django/management/commands/track360.py",
        "track360_django/static/track360_django/capture.js",
        "track360_django/templatetags/track360.py",
    } <= shipped


def test_wheel_has_the_version_the_licence_and_the_entry_point(wheel: zipfile.ZipFile) -> None:
    """What an installer reads of the wheel is the version of the package, its licence and its pytest plugin."""
    info = f"track360_django-{track360_django.__version__}.dist-info"
    metadata = wheel.read(f"{info}/METADATA").decode()

    assert f"\nVersion: {track360_django.__version__}\n" in metadata
    assert "\nLicense-Expression: MIT\n" in metadata
    assert f"{info}/licenses/LICENSE" in wheel.namelist()
    assert b"[pytest11]\ntrack360_django.testing = track360_django.testing" in wheel.read(
        f"{info}/entry_points.txt"
    )


def test_wheel_can_be_imported(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """What is in the wheel, and nothing beside it, is a package that Django loads with its migrations."""
    wheel.extractall(tmp_path)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import django\n"
        "from django.conf import settings\n"
        "apps = ['auth', 'contenttypes', 'sessions']\n"
        "settings.configure(INSTALLED_APPS=[*('django.contrib.' + app for app in apps), 'track360_django'],"
        " SECRET_KEY='wheel', USE_TZ=True)\n"
        "django.setup()\n"
        "from django.db.migrations.loader import MigrationLoader\n"
        "assert ('track360_django', '0001_initial') in MigrationLoader(None).disk_migrations\n"
        "import track360_django\n"
        "print(track360_django.__file__)\n"
    )

    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)
