"""The imports of the tests: what several modules use is in modules that are no tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages import ROOT


def names_of(text: str) -> Iterator[str]:
    """Yield the full name of each module that a source text imports, and of each name that it takes from one."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or ''}.{alias.name}" for alias in node.names)


def from_tests(text: str) -> list[str]:
    """Return the names that a source text imports from test modules."""
    return [name for name in names_of(text) if any(part.startswith("test_") for part in name.split("."))]


@pytest.mark.parametrize(
    "text",
    [
        "from tests.daily.test_daily import row",
        "from tests.daily import test_daily",
        "from .test_daily import row",
        "from . import test_daily",
        "import tests.daily.test_daily",
        "def test_import() -> None:\n    from tests.daily.test_daily import row",
    ],
)
def test_import_from_a_test_module_is_found(text: str) -> None:
    """An import from a test module is found in each of its forms."""
    assert from_tests(text)


def test_other_imports_are_not_found() -> None:
    """Modules that are no tests are free to import."""
    assert not from_tests("from tests.daily.player_days import row\nimport tests.latest_row")


@pytest.mark.parametrize("folder", ["benchmarks", "example_project", "tests", "track360_django"])
def test_no_module_imports_from_a_test_module(folder: str) -> None:
    """A test module can be moved, renamed or divided, and no other module has to follow."""
    paths = sorted((ROOT / folder).rglob("*.py"))
    found = {str(path.relative_to(ROOT)): names for path in paths if (names := from_tests(read(path)))}

    assert paths
    assert found == {}


def read(path: Path) -> str:
    """Return the text of a module."""
    return path.read_text(encoding="utf-8")
