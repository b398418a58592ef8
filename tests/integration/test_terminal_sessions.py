"""docs/terminal.md is what the verbs of today show, and their tables fit a terminal of 80 columns."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from unit.docs.documents import ROOT

sys.path.append(str(ROOT / "docs" / "make"))

import sessions

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.mosquitto]

PAGE = ROOT / "docs" / "terminal.md"
TABLES = ("try", "try -c", "labels", "bench", "models", "status", "log", "audit", "fleet", "support-bundle")


def blocks(page: str) -> Iterator[tuple[str, list[str]]]:
    """Give each verb and the lines that it shows."""
    for section in page.split("\n## edged ")[1:]:
        verb, _, rest = section.partition("\n")
        yield verb, rest.partition("```console\n")[2].partition("\n```")[0].splitlines()[1:]


@pytest.fixture(scope="module")
def made() -> str:
    return sessions.page()


def test_each_verb_shows_what_the_page_has(made: str) -> None:
    assert sessions.plain(sessions.wrapped(made)) == sessions.plain(PAGE.read_text("utf-8")), (
        "run: python docs/make --sessions"
    )


def test_each_verb_shows_something_and_no_traceback(made: str) -> None:
    shown = dict(blocks(made))
    assert list(shown) == [session.verb for session in (*sessions.ALONE, *sessions.BESIDE)]
    for verb, lines in shown.items():
        assert lines, verb
        assert "Traceback" not in "\n".join(lines), verb


def test_tables_fit_80_columns(made: str) -> None:
    for verb, lines in blocks(made):
        if verb in TABLES:
            assert max(map(len, lines)) <= sessions.COLUMNS, verb
