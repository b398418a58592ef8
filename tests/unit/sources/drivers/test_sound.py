from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edged.errors import Reason, Unavailable
from edged.sources import Hint, Viewing, discovery
from edged.sources.drivers.sound import Config, Sound
from unit.sources.wav_files import tone, wav, write

if TYPE_CHECKING:
    from pathlib import Path

    from edged.sources import Window

HINT = Hint(steps=1600)


def all_of(source: Sound) -> list[Window]:
    found: list[Window] = []
    with pytest.raises(Unavailable) as ended:
        found.extend(iter(functools.partial(source.read, 0.0), None))
    assert ended.value.reason is Reason.ENDED
    return found


def opened(path: Path, hint: Hint = HINT, **keys: Any) -> Sound:
    source = Sound(Config(path=path, **keys), hint)
    source.open()
    return source


def test_a_file_is_cut_into_windows_of_the_models_length(tmp_path: Path) -> None:
    samples = tone(440, 0.4)
    source = opened(write(tmp_path / "a.wav", samples))
    assert source.begun
    found = all_of(source)
    assert [window.values.shape for window in found] == [(1600, 1)] * 4, "a hop is 0.1 s at least"
    assert np.abs(found[1].values[:, 0] - samples[1600:3200]).max() < 1e-4
    ends = [(w.number, w.level_dbfs, round(w.ends_s, 3)) for w in found]
    assert ends == [(0, -9.0, 0.1), (1, -9.0, 0.2), (2, -9.0, 0.3), (3, -9.0, 0.4)]


def test_length_and_hop_may_be_written(tmp_path: Path) -> None:
    source = opened(write(tmp_path / "a.wav", tone(440, 0.5)), window_s=0.1, hop_s=0.05)
    assert len(all_of(source)) == 9
    with pytest.raises(Unavailable, match="write window_s"):
        opened(tmp_path / "a.wav", Hint())


@pytest.mark.parametrize("rate_hz", [8000, 44100, 48000])
def test_another_rate_is_converted(tmp_path: Path, rate_hz: int) -> None:
    samples = np.stack([tone(440, 0.4, rate_hz)] * 2, axis=1)
    found = all_of(opened(write(tmp_path / "a.wav", samples, rate_hz, "i24")))
    assert np.abs(found[1].values[:, 0] - tone(440, 0.4)[1600:3200]).max() < 5e-3


def test_a_folder_is_read_in_the_order_of_names_and_what_cannot_be_read_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "b.wav", tone(440, 0.1, volume=0.1))
    write(tmp_path / "a.WAV", tone(440, 0.1, volume=1.0))
    (tmp_path / "c.wav").write_bytes(wav(tone(440, 0.1))[:-100])
    (tmp_path / "notes.txt").touch()
    source = opened(tmp_path)
    found = all_of(source)
    assert [window.level_dbfs for window in found] == [-3.0, -23.0]
    assert [window.begins for window in found] == [True, True]
    assert source.dropped == {"invalid": 1}
    assert "c.wav is left out: it is cut short: 3100 of 3200 bytes" in caplog.text


def test_it_begins_again_with_loop(tmp_path: Path) -> None:
    source = opened(write(tmp_path / "a.wav", tone(440, 0.1)), loop=True)
    found = [source.read(0.0) for _ in range(5)]
    assert [window.number for window in found if window is not None] == [0, 1, 2, 3, 4]
    assert [round(window.ends_s, 3) for window in found if window] == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_it_may_take_the_time_of_the_recording(tmp_path: Path) -> None:
    now = [10.0]
    config = Config(path=write(tmp_path / "a.wav", tone(440, 0.5)), realtime=True)

    def sleep(seconds: float) -> None:
        now[0] += seconds

    source = Sound(config, HINT, monotonic=lambda: now[0], sleep=sleep)
    source.open()
    assert source.read(0.02) is None
    assert source.read(0.2) is not None
    assert now[0] == pytest.approx(10.1)
    now[0] = 10.35
    source.idle(None)
    assert not source.dropped
    source.idle(0)
    assert source.dropped == {"skipped": 1}, "0.3 is less than a hop ago"


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.wav", b"", "a.wav cannot be read: it is empty"),
        ("nothing.wav", None, "there is no .*nothing.wav; create it"),
        ("folder/a.wav", b"RIFF", r"no sound in .*folder can be read: a\.wav is left out: it ends"),
        ("folder/a.txt", b"", "there is no .wav file in .*folder"),
    ],
)
def test_nothing_to_read_is_told_with_its_reason(
    tmp_path: Path, name: str, data: bytes | None, why: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(Unavailable, match=why) as caught:
        opened(path.parent if "/" in name else path)
    assert caught.value.reason is Reason.ABSENT


def test_a_person_names_a_file_or_a_folder_of_sound(tmp_path: Path) -> None:
    file = write(tmp_path / "a.wav", tone(440, 0.1))
    for path in (file, tmp_path):
        offer = discovery.recognise(str(path), Viewing())
        assert offer is not None
        assert offer.keys == {"kind": "sound", "path": str(path), "loop": False, "realtime": False}
    (tmp_path / "photo.jpg").touch()
    offer = discovery.recognise(str(tmp_path), Viewing())
    assert offer is not None
    assert offer.keys["kind"] == "folder"


def test_a_model_of_keywords_gets_features(tmp_path: Path) -> None:
    file = write(tmp_path / "a.wav", tone(700, 0.5))
    found = all_of(opened(file, Hint(steps=3), features="micro"))
    assert {window.values.shape for window in found} == {(3, 40)}
    assert [window.begins for window in found] == [True, *[False] * (len(found) - 1)], "it remembers"
    assert [round(window.ends_s, 2) for window in found][:3] == [0.03, 0.06, 0.09]
    assert found[5].level_dbfs == -9.0
    rows = [window.values.shape for window in all_of(opened(file, Hint(steps=20), features="micro"))]
    assert rows == [(20, 40)] * 4
    slow = all_of(opened(file, Hint(steps=49), features="micro", feature_step_s=0.02))
    assert len(slow) == 1, "filled up with silence"


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"rate_hz": 8000}, "features are of sound at 16000 Hz"),
        ({"feature_step_s": 0.015}, "must be a multiple of 0.01 s"),
    ],
)
def test_features_have_their_own_rate(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Config(path="/a.wav", features="micro", **keys)


def test_files_that_go_while_they_are_repeated_are_missed(tmp_path: Path) -> None:
    file = write(tmp_path / "a.wav", tone(440, 0.1))
    source = opened(tmp_path, loop=True)
    file.unlink()
    assert source.read(0.0) is not None, "it was read ahead"
    with pytest.raises(Unavailable, match=r"there is no \.wav file in") as caught:
        source.read(0.0)
    assert caught.value.reason is Reason.ABSENT
