"""The table of the laboratory: what a verdict becomes, and which rows a run replaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import results
from results import CASES, LAB, Case, figures, keep, row, run

if TYPE_CHECKING:
    from pathlib import Path

CASE = Case("made_up", "nothing", "", "")
CONTROL = Case("made_up", "nothing", "", "", control=True)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(results, "LAB", tmp_path)
    monkeypatch.setattr(results, "TABLE", tmp_path / "RESULTS.md")
    return tmp_path / "RESULTS.md"


def cells(case: str, command: str, figure: str) -> tuple[str, ...]:
    return (case, "1", f"`{command}`", "nothing", figure, "holds", "today", "here")


def test_figures_are_for_people() -> None:
    verdict = {"case": "x", "ok": True, "seed": 1, "events": 100_000, "gaps": [], "by": {"main": 2}, "s": 0.5}
    assert figures(verdict) == "events 100,000, by (main 2), s 0.5"


@pytest.mark.parametrize(
    ("case", "verdict", "outcome"),
    [
        (CASE, {"ok": True}, "holds"),
        (CASE, {"ok": False}, "**does not hold**"),
        (CONTROL, {"ok": False}, "control: fails, as it must"),
        (CONTROL, {"ok": True}, "control: **does not fail**"),
        (CASE, {"ok": True, "skipped": "no root"}, "skipped"),
    ],
)
def test_the_outcome_of_a_verdict(case: Case, verdict: dict[str, object], outcome: str) -> None:
    found = row(case, "--n 1", {"case": "x", "seed": 7, "why": "a | b"} | verdict, 3.0)
    assert found[:3] == ("x", "7", "`made_up.py --n 1`")
    assert found[5] == outcome
    assert "|" not in "".join(found)


def test_a_control_that_gave_no_verdict_has_not_failed_as_it_must() -> None:
    assert row(CONTROL, "", {"case": "x", "ok": False, "died": "no"}, 1.0)[5] == "**does not hold**"


def test_a_run_replaces_its_own_rows_only(table: Path) -> None:
    keep([cells("b", "b.py --long", "old"), cells("a", "a.py", "first")])
    keep([cells("b", "b.py --long", "new")])
    keep([cells("b", "b.py", "short")])
    lines = [line for line in table.read_text("utf-8").splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[4] for line in lines] == ["figures", "---", "first", "new", "short"]


def test_a_case_without_a_verdict_has_failed(table: Path) -> None:
    (table.parent / "made_up.py").write_text("raise SystemExit('nothing is there')")
    assert list(run(CASE, "", 60)) == [{"case": "made_up", "ok": False, "died": "nothing is there"}]


def test_a_case_that_takes_too_long_has_failed(table: Path) -> None:
    (table.parent / "made_up.py").write_text("import threading\nthreading.Event().wait()")
    (verdict,) = run(CASE, "", 0.5)
    assert (verdict["ok"], "no verdict" in verdict["died"]) == (False, True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.script)
def test_the_cases_are_there(case: Case) -> None:
    assert (LAB / f"{case.script}.py").is_file()


def test_every_case_of_the_laboratory_is_run() -> None:
    scripts = {path.stem for path in LAB.glob("*.py") if "verdict(" in path.read_text("utf-8")}
    assert scripts - {"verdict", "results", "test_everything", "test_results"} == {
        case.script for case in CASES
    }
