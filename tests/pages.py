"""The pages of the documentation, read as tests need them: code blocks, links, headings, rows of tables, prose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
DOCS: Final = ROOT / "docs"

_FENCE: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
_CODE: Final = re.compile(r"`[^`\n]+`")
_NO_PROSE: Final = ("|", "#", ">")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block: its language, its text, and the line that it begins on."""

    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        """Return the path within the project."""
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        """Return the page as it is written."""
        return self.path.read_text(encoding="utf-8")

    def blocks(self, *languages: str) -> Iterator[Block]:
        """Return the fenced blocks in order; of some languages, if given."""
        text = self.text
        for match in _FENCE.finditer(text):
            if not languages or match[1] in languages:
                yield Block(language=match[1], text=match[2], line=text.count("\n", 0, match.start()) + 2)

    def without_blocks(self) -> str:
        """Return the page without its fenced blocks; the lines keep their numbers."""
        return _FENCE.sub(lambda match: "\n" * match[0].count("\n"), self.text)

    def links(self) -> Iterator[str]:
        """Return where the page's links lead."""
        return (match[1] for match in _LINK.finditer(_CODE.sub("", self.without_blocks())))

    def anchors(self) -> set[str]:
        """Return the names that a link may have behind its `#`."""
        return {_slug(match[1]) for match in _HEADING.finditer(self.without_blocks())}

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Return the rows of all tables as cells."""
        for line in self.without_blocks().splitlines():
            if line.startswith("|"):
                yield tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])

    def prose(self) -> Iterator[tuple[int, str]]:
        """Return the lines of sentences with their numbers, code in them replaced by the letter x."""
        for number, line in enumerate(self.without_blocks().splitlines(), start=1):
            if line and not line.startswith(_NO_PROSE):
                yield number, _CODE.sub("x", line)


def _slug(heading: str) -> str:
    words = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return words.replace(" ", "-")


PAGES: Final = tuple(Page(path) for path in sorted((*ROOT.glob("*.md"), *DOCS.rglob("*.md"))))


def page(name: str) -> Page:
    """Return a page of `docs` by its path there."""
    return Page(DOCS / name)
