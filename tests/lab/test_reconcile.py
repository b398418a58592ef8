"""The reconciler, with logs that were made up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from reconcile import Heard, compare, read, reconcile, runs

LAB = Path(__file__).resolve().parent


def heard(*numbers: int, epoch: str = "e", **more: Any) -> list[Heard]:
    return [Heard(float(at), epoch, number, **more) for at, number in enumerate(numbers)]


def audit(**more: Any) -> dict[str, Any]:
    said = {"accepted": 3, "acknowledged": 3, "queued": 0, "dropped": {}, "balanced": True}
    return said | {"node": "n", "epoch": "e", "last": 3} | more


def test_everything_came() -> None:
    found = reconcile(heard(1, 2, 3), audit())
    assert found["ok"]
    assert (found["heard"], found["missing"], found["gaps"], found["out_of_order"]) == (3, 0, [], 0)


def test_what_is_missing_is_named() -> None:
    found = reconcile(heard(1, 4, 7), audit(accepted=8, acknowledged=8, last=8))
    assert not found["ok"]
    assert (found["missing"], found["gaps"]) == (5, [(2, 3), (5, 6), (8, 8)])


@pytest.mark.parametrize(
    "excuse",
    [
        {"queued": 2, "acknowledged": 1},
        {"dropped": {"full": 1, "age": 1}},
        {"queued": 1, "dropped": {"age": 1}},
    ],
)
def test_what_waits_or_was_counted_as_dropped_is_not_missing(excuse: dict[str, Any]) -> None:
    found = reconcile(heard(2), audit(**excuse))
    assert (found["ok"], found["unheard"], found["missing"]) == (True, 2, 0)
    assert reconcile(heard(), audit(**excuse))["missing"] == 1


@pytest.mark.parametrize("mark", ["replayed", "dup"])
def test_twice_with_a_mark_is_in_order(mark: str) -> None:
    found = reconcile([*heard(1, 2, 3), *heard(2, **{mark: True})], audit())
    assert (found["ok"], found["twice_marked"], found["twice_unmarked"]) == (True, 1, 0)


def test_twice_without_a_mark_is_not() -> None:
    found = reconcile(heard(1, 2, 2, 3), audit())
    assert (found["ok"], found["twice_marked"], found["twice_unmarked"]) == (False, 0, 1)


def test_the_mark_of_the_first_one_says_nothing_about_the_second() -> None:
    found = reconcile([*heard(1, replayed=True), *heard(1, 2, 3)], audit())
    assert (found["twice_marked"], found["twice_unmarked"]) == (0, 1)


def test_an_id_stands_for_one_event() -> None:
    same = [*heard(1, 2, 3, digest="a"), *heard(2, replayed=True, digest="a")]
    assert reconcile(same, audit())["changed"] == 0
    other = reconcile([*same, *heard(2, replayed=True, digest="b")], audit())
    assert (other["ok"], other["changed"]) == (False, 1)


def test_only_fresh_ones_have_an_order() -> None:
    assert compare([1, 2, 3], heard(1, 3, 2))["out_of_order"] == 1
    late = [*heard(3), *heard(1, 2, replayed=True)]
    assert compare([1, 2, 3], late)["out_of_order"] == 0


def test_somebody_else_is_unknown() -> None:
    found = reconcile(heard(1, 2, 3, 9), audit())
    assert (found["ok"], found["unknown"]) == (False, 1)


def test_gap_records_are_added_up_once() -> None:
    gap = Heard(1.0, "e", 3, dropped=2)
    again = Heard(2.0, "e", 3, replayed=True, dropped=2)
    found = reconcile([gap, again], audit(accepted=3, acknowledged=1, dropped={"full": 2}))
    assert (found["ok"], found["dropped_said"], found["missing"]) == (True, 2, 0)


def test_an_earlier_epoch_shows_its_holes() -> None:
    found = reconcile([*heard(1, 3, epoch="old"), *heard(1, 2, 3)], audit())
    assert (found["ok"], found["earlier"], found["unknown"]) == (False, {"old": 1}, 0)
    assert reconcile([*heard(2, 1, epoch="old"), *heard(1, 2, 3)], audit())["ok"]


def test_a_balance_that_does_not_add_up_is_no_good() -> None:
    assert not reconcile(heard(1, 2, 3), audit(balanced=False))["ok"]


def test_the_longest_silence() -> None:
    messages = [Heard(10.0, "e", 1), Heard(10.5, "e", 2), Heard(14.0, "e", 3)]
    assert compare([1, 2, 3], messages)["silence_s"] == 3.5


def test_runs() -> None:
    assert runs([]) == []
    assert runs([1, 2, 3, 7, 9, 10]) == [(1, 3), (7, 7), (9, 10)]


def line(id_: str, **more: Any) -> str:
    return json.dumps({"at": 1.5, "id": id_, "replayed": False, "dup": False} | more) + "\n"


def test_a_log_is_read_up_to_its_torn_end_and_for_one_node() -> None:
    lines = [line("n/e/1"), line("m/e/1"), line("n/e/2", dup=True), line("n/e/3", type="gap", count=4)]
    assert read([*lines, '{"at": 1.6, "id": "n/e'], "n") == [
        Heard(1.5, "e", 1),
        Heard(1.5, "e", 2, dup=True),
        Heard(1.5, "e", 3, dropped=4),
    ]
    assert len(read(lines)) == 4


@pytest.mark.parametrize(("numbers", "code"), [((1, 2, 3), 0), ((1, 3), 1)])
def test_as_a_command(tmp_path: Path, numbers: tuple[int, ...], code: int) -> None:
    log = tmp_path / "heard.jsonl"
    log.write_text("".join(line(f"n/e/{number}") for number in numbers))
    answer = subprocess.run(
        [sys.executable, str(LAB / "reconcile.py"), str(log)],
        input=json.dumps(audit()), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert answer.returncode == code, answer
    assert json.loads(answer.stdout)["missing"] == 3 - len(numbers)
