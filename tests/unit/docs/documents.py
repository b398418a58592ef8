"""Reads the Markdown of this repository: which pages there are, and their fenced blocks."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "deploy/README.md")),
        *(ROOT / "docs").rglob("*.md"),
    ]
)
GENERATED = {ROOT / "docs" / "configuration.md"}
_BLOCK = re.compile(
    r"(?:^ *<!-- test: (?P<marker>[^\n]*?) -->\n)?^ *```(?P<language>[a-z]*)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: the file that it is in.
        line: the line of its fence, counted from 1.
        language: the word after the fence; empty for none.
        text: its lines.
        marker: what a comment ``<!-- test: … -->`` right above it says; empty for none.
    """

    page: Path
    line: int
    language: str
    text: str
    marker: str

    @property
    def word(self) -> str:
        """The first word of the marker."""
        return self.marker.partition(" ")[0]

    @property
    def rest(self) -> str:
        """What follows the first word of the marker."""
        return self.marker.partition(" ")[2]

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(
            page,
            text.count("\n", 0, found.start("language")) + 1,
            found["language"],
            textwrap.dedent(found["text"]),
            found["marker"] or "",
        )
        for found in _BLOCK.finditer(text)
    ]


def commands(block: Block) -> list[str]:
    """Return the commands of a console block: what follows ``$ ``, over lines that end with a backslash."""
    joined = block.text.replace("\\\n", " ")
    return [line.removeprefix("$ ") for line in joined.splitlines() if line.startswith("$ ")]


def all_blocks(language: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page) if block.language == language]


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))
