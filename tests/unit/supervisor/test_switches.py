"""A camera that a person switched off stays off, whatever happens to edged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.supervisor import switches
from edged.supervisor.switches import MOST, NAME, Switches

if TYPE_CHECKING:
    from pathlib import Path


def kept(folder: Path) -> Switches:
    found = Switches()
    found.keep_in(folder)
    return found


def test_a_switch_outlives_the_process(tmp_path: Path) -> None:
    first = kept(tmp_path)
    assert first.at_start("porch", "last"), "on, as nobody switched it"
    first.switched("porch", on=False)
    first.switched("yard", on=False)
    first.switched("yard", on=True)  # killed here
    again = kept(tmp_path)
    assert not again.at_start("porch", "last")
    assert again.at_start("yard", "last")
    assert again.all() == first.all()
    assert not again.trouble
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("enabled", [True, False])
def test_the_configuration_wins_says_so_and_forgets_the_switch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, enabled: bool
) -> None:
    caplog.set_level("INFO")
    kept(tmp_path).switched("porch", on=not enabled)
    assert kept(tmp_path).at_start("porch", enabled) is enabled
    assert f"enabled: {str(enabled).lower()}, which wins" in caplog.text
    caplog.clear()
    again = kept(tmp_path)
    assert again.at_start("porch", enabled) is enabled
    assert not caplog.text, "said once"
    assert again.at_start("porch", "last"), "as if it never had been switched"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        '{"switches": 7}',
        '{"switches": {"porch": 7}}',
        '{"switches": {"porch": {"on": "no", "at": 1}}}',
        '{"switches": {"porch": {"on": false, "at": 1e999}}}',
        "\x00" * 70_000,
    ],
)
def test_a_damaged_file_keeps_nothing_from_working(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    found = kept(tmp_path)
    assert found.at_start("porch", "last")
    found.switched("porch", on=False)
    assert not kept(tmp_path).at_start("porch", "last")


def test_an_unreadable_file_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / NAME).write_text("{")
    kept(tmp_path)
    assert "pipelines start as configured" in caplog.text


def test_a_folder_that_takes_no_file_is_told_once_and_in_health(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = kept(tmp_path / "absent")
    found.switched("porch", on=False)
    found.switched("porch", on=True)
    assert caplog.text.count("cannot be kept in") == 1
    assert found.trouble
    (tmp_path / "absent").mkdir()
    found.switched("porch", on=False)
    assert not found.trouble
    assert not kept(tmp_path / "absent").at_start("porch", "last")


def test_a_write_that_is_cut_off_leaves_the_switch_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(tmp_path).switched("porch", on=False)

    def cut_off(path: Path, content: bytes, mode: int) -> None:
        path.write_bytes(content[:20])
        path.chmod(mode)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(switches.files, "write_flushed", cut_off)
    kept(tmp_path).switched("porch", on=True)
    monkeypatch.undo()
    assert not kept(tmp_path).at_start("porch", "last")


def test_whoever_plays_with_a_switch_waits_for_the_disk_once_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, flushed = [0.0], [0]
    flush = switches.files.write_flushed

    def count(path: Path, content: bytes, mode: int) -> None:
        flushed[0] += 1
        flush(path, content, mode)

    monkeypatch.setattr(switches.files, "write_flushed", count)
    found = Switches(lambda: now[0])
    found.keep_in(tmp_path)
    for number in range(100):
        now[0] = number / 200
        found.switched("porch", on=number % 2 == 0)
        assert kept(tmp_path).at_start("porch", "last") is (number % 2 == 0), "it is in the file at once"
    found.flush()
    assert flushed == [1]
    now[0] = 1.1
    found.flush()
    found.flush()
    assert flushed == [2], "the last one is on the disk, too"


def test_names_that_come_and_go_fill_nothing(tmp_path: Path) -> None:
    found = Switches()
    for number in range(MOST + 10):
        found.switched(f"p{number}", on=False)
    found.keep_in(tmp_path)  # nothing is there
    for number in range(MOST + 10):
        found.switched(f"p{number}", on=False)
    assert len(found.all()) == MOST
    assert f"p{MOST + 9}" in kept(tmp_path).all()
    assert "p0" not in kept(tmp_path).all()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12))
def test_the_last_switch_counts(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[str, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("switches")
    last: dict[str, bool] = {}
    for name, on in flips:
        kept(folder).switched(name, on)
        last[name] = on
    assert {name: kept(folder).at_start(name, "last") for name in "abc"} == {
        name: last.get(name, True) for name in "abc"
    }
    if flips:
        assert json.loads((folder / NAME).read_text())["v"] == 1
