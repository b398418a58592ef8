"""The pages as text: links, paths and lines."""

from __future__ import annotations

import configparser
import re
from typing import TYPE_CHECKING

import pytest

from unit.docs.documents import GENERATED, PAGES, ROOT, named

if TYPE_CHECKING:
    from pathlib import Path

LINE = 120
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
_PATH = re.compile(r"`((?:edged|docs|tests|config|deploy|systemd|\.ci|\.github)/[\w./*<>{},-]+)`")
_PLACEHOLDER = re.compile(r"/[A-Z-]{3,}(/|$|\.py)")


def _without_blocks(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", _without_blocks(page.read_text("utf-8")), re.MULTILINE)
    return {
        "".join(
            c for c in re.sub(r"\(http[^)]*\)", "", heading).lower() if c.isalnum() or c in " -_"
        ).replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for found in _LINK.finditer(_without_blocks(page.read_text("utf-8"))):
        path, _, anchor = (found[1] or found[2]).partition("#")
        if path.startswith(("http:", "https:")):
            continue
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{named(page)}: {found[0]}"
        if anchor:
            assert anchor in _anchors(there), f"{named(page)}: {found[0]}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=named)
def test_paths_that_are_named_exist(page: Path) -> None:
    for path in _PATH.findall(_without_blocks(page.read_text("utf-8"))):
        if _PLACEHOLDER.search(path):
            continue
        assert list(ROOT.glob(path.rstrip("/"))), f"{named(page)}: `{path}`"


@pytest.mark.parametrize("page", [page for page in PAGES if page not in GENERATED], ids=named)
def test_lines_fit(page: Path) -> None:
    text = re.sub(r"<!-- generated: .*?<!-- end -->", "", page.read_text("utf-8"), flags=re.DOTALL)
    rows = "| " if page.name == "field.md" else "\0"  # a table with links; a row cannot be wrapped
    assert [line for line in text.splitlines() if len(line) > LINE and not line.startswith(rows)] == []


def test_messages_of_troubleshooting_are_printed_by_the_code() -> None:
    text = (ROOT / "docs" / "operation.md").read_text("utf-8").partition("## Troubleshooting")[2]
    messages = re.findall(r"^\| `([^`]+)` \|", text.partition("\n## ")[0], re.MULTILINE)
    assert len(messages) >= 10
    code = "\n".join(path.read_text("utf-8") for path in (ROOT / "edged").rglob("*.py"))
    assert [message for message in messages if message not in code] == []


def test_decisions_are_numbered_dated_and_short() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04d}" for number in range(1, len(pages) + 1)]
    for page in pages:
        lines = page.read_text("utf-8").splitlines()
        assert re.match(rf"# {page.name[:4]}: \S", lines[0]), page.name
        assert re.match(r"20\d\d-\d\d-\d\d · (accepted|superseded by \d{4})$", lines[2]), page.name
        headings = [line for line in lines if line.startswith("## ")]
        assert headings == ["## Context", "## Choice", "## Consequence"], page.name
        assert len(lines) <= 60, page.name


def test_the_house_is_drawn_with_all_its_rooms() -> None:
    file = configparser.ConfigParser()
    file.read(ROOT / "setup.cfg", "utf-8")
    floors = file["importlinter:contract:layers"]["layers"].replace("|", " ").split()
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    house = text.partition("## The house")[2].partition("## ")[0].partition("```text")[2].partition("```")[0]
    for room in floors:
        assert re.search(rf"\b{room.removeprefix('edged.')}\b", house), room


def test_drawings_name_modules_that_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    named_in = re.findall(
        r"\b((?:worker|sources|sensors|inference|tasks|pipeline|ipc|supervisor|daemon|spool|sinks)/[\w/]+\.py)",
        text,
    )
    for path in named_in:
        assert "NAME" in path or (ROOT / "edged" / path).exists(), path


def test_tests_that_the_page_on_hardware_names_exist() -> None:
    named_there = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/hardware.md").read_text("utf-8")))
    texts = [path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    assert named_there
    assert [name for name in sorted(named_there) if not any(f"def {name}(" in text for text in texts)] == []
