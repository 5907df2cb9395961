"""The map for a change: each file and each name on it is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

from tests.pages import ROOT, page

PACKAGE: Final = ROOT / "track360_django"
# Without the heading of each table and the line below it.
ROWS: Final = [row for row in page("explanation/map.md").rows() if "`" in row[1]]


def quoted(cell: str) -> list[str]:
    """Return what a cell names."""
    return re.findall(r"`([^`]+)`", cell)


def find(path: str) -> Path:
    """Return where a path of the page leads: in the package, or in the project."""
    return PACKAGE / path if (PACKAGE / path).exists() else ROOT / path


def names_in(path: Path) -> set[str]:
    """Return the functions, classes, methods and values that a module defines."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_file_and_name_are_there(row: tuple[str, ...]) -> None:
    """Each file exists, and each name is defined in one of the files of its line."""
    files = [PACKAGE / path for path in quoted(row[1])]

    assert [str(path) for path in files if not path.is_file()] == []
    assert set(quoted(row[2])) <= set().union(*map(names_in, files))
    for path in [path for cell in row[3:] for path in quoted(cell)]:
        assert find(path).exists(), path


def test_map_answers_what_a_change_begins_with() -> None:
    """Both tables have their lines: a page that is not read as tables would pass without any."""
    assert len(ROWS) >= 26
    assert {row[0] for row in ROWS} >= {
        "Where is the session written at a landing?",
        "Where is an event id made?",
        "How is a daily total restated?",
        "an auth package",
        "a file format of the import",
        "a field of a request",
        "an action of the admin",
        "a setting",
        "a check",
        "a retry rule",
        "a signal",
    }
