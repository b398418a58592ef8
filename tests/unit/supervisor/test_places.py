from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edged.config.pipeline import PipelineSection
from edged.ipc.worker_messages import Done, decode, encode
from edged.sources.progress import MOST
from edged.supervisor import places
from edged.supervisor.places import Places

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def section(**source: Any) -> PipelineSection:
    keys = {"kind": "folder", "path": "/drop", "watch": True} | source
    return PipelineSection.model_validate({"source": keys})


def kept(folder: Path) -> Places:
    found = Places()
    found.keep_in(folder / "places")
    return found


def test_what_was_judged_is_known_after_a_restart_of_anything(tmp_path: Path) -> None:
    first = kept(tmp_path)
    assert first.of("drop", section()).last == 0
    for n in range(1, 4):
        first.done(Done("drop", n, 100.5 + n, True, n))  # killed here: nothing else is written
    again = kept(tmp_path).of("drop", section(interval_s=9))
    assert again.marks == ((1, 101.5), (2, 102.5), (3, 103.5))
    assert again.number == 3
    assert kept(tmp_path).of("drop", section(path="/other")).last == 0, "another folder"
    assert kept(tmp_path).of("other", section()).last == 0


def test_the_place_in_a_folder_is_written_now_and_then_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(places.clock, "monotonic", lambda: now[0])
    first = kept(tmp_path)
    first.of("album", section(watch=False))
    for n in range(1, 6):
        first.done(Done("album", n, 0.0, False, n))
    assert kept(tmp_path).of("album", section(watch=False)).last == 1
    first.save()
    assert kept(tmp_path).of("album", section(watch=False)).last == 5
    first.ended("album")
    assert kept(tmp_path).of("album", section(watch=False)).last == 0, "it begins again"


def test_the_file_is_bounded_and_nonsense_in_it_is_nothing(tmp_path: Path) -> None:
    first = kept(tmp_path)
    first.of("drop", section())
    for n in range(1, 3 * MOST):
        first.done(Done("drop", n, 1.7e9 + n, True, n))
    file = tmp_path / "places" / "drop"
    assert file.stat().st_size <= 64 * 2 * MOST
    again = kept(tmp_path).of("drop", section())
    assert again.last == 3 * MOST - 1
    assert again.has(1, 1.7e9 + 1)
    for text in ("", "x", "a b\nc", "\0" * 100):
        file.write_text(text)
        assert kept(tmp_path).of("drop", section()).last == 0


def test_a_full_disk_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "places").touch()
    found = kept(tmp_path)
    progress = found.of("drop", section())
    found.done(Done("drop", 1, 1.0, True, 1))
    found.done(Done("nobody", 1, 1.0, True, 1))
    found.done(Done("drop", 2, 2.0, True, 2))
    found.save()
    assert progress.last == 2
    assert caplog.text.count("cannot be kept") == 1, "one line, not one a photograph"
    (tmp_path / "places").unlink()
    found.save()
    assert kept(tmp_path).of("drop", section()).marks == ((1, 1.0), (2, 2.0))


def test_a_line_that_a_power_cut_damaged_costs_one_photograph(tmp_path: Path) -> None:
    first = kept(tmp_path)
    first.of("drop", section())
    for n in range(1, 4):
        first.done(Done("drop", n, 100.0 + n, True, n))
    file = tmp_path / "places" / "drop"
    file.write_bytes(file.read_bytes()[:-4] + b"\0\0")
    again = kept(tmp_path)
    assert again.of("drop", section()).marks == ((1, 101.0), (2, 102.0))
    again.done(Done("drop", 4, 104.0, True, 4))
    assert kept(tmp_path).of("drop", section()).marks == ((1, 101.0), (2, 102.0), (4, 104.0))


def test_the_message_crosses_the_pipe() -> None:
    done = Done("drop", (1 << 48) - 1, 1.7e9, True, 3)
    assert decode(encode(done)) == done
