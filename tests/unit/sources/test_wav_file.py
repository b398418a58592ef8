from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.sources.wav_file import CutShort, Unreadable, WavFile
from unit.sources.wav_files import tone, wav

if TYPE_CHECKING:
    from pathlib import Path

TONE = tone(440, 0.05)


def read(path: Path, data: bytes, frames: int = 100_000) -> np.ndarray:
    path.write_bytes(data)
    file = WavFile(path)
    try:
        return file.read(frames)
    finally:
        file.close()


@pytest.mark.parametrize(
    ("kind", "off"), [("u8", 8e-3), ("i16", 4e-5), ("i24", 1e-6), ("i32", 1e-6), ("f32", 1e-6), ("f64", 1e-6)]
)
@pytest.mark.parametrize("extensible", [False, True])
def test_every_kind_of_sample_is_read(tmp_path: Path, kind: str, off: float, extensible: bool) -> None:
    samples = read(tmp_path / "a.wav", wav(TONE, kind=kind, extensible=extensible))
    assert samples.dtype == np.float32
    assert np.abs(samples - TONE).max() < off


@pytest.mark.parametrize("kind", ["u8", "i16", "i24", "f32"])
def test_channels_are_mixed_down(tmp_path: Path, kind: str) -> None:
    both = np.stack([TONE, np.zeros_like(TONE)], axis=1)
    assert np.abs(read(tmp_path / "a.wav", wav(both, kind=kind)) - TONE / 2).max() < 8e-3


def test_it_is_read_in_pieces_and_then_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(TONE, before=b"LIST" + struct.pack("<I", 5) + b"abcde\0"))
    file = WavFile(path)
    parts = [file.read(300) for _ in range(4)]
    assert [len(part) for part in parts] == [300, 300, 200, 0]
    assert np.abs(np.concatenate(parts) - TONE).max() < 4e-5
    file.close()


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
def test_a_file_that_was_written_into_a_pipe_goes_to_its_end(tmp_path: Path, length: int) -> None:
    assert len(read(tmp_path / "a.wav", wav(TONE, length=length))) == len(TONE)


def test_floats_that_are_not_numbers_are_silent(tmp_path: Path) -> None:
    odd = np.array([np.nan, np.inf, -np.inf, 0.5])
    assert read(tmp_path / "a.wav", wav(odd, kind="f32")).tolist() == [0.0, 1.0, -1.0, 0.5]


@pytest.mark.parametrize(
    ("data", "why", "short"),
    [
        (b"", "it is empty", True),
        (b"RIFF", "it ends in its header", True),
        (wav(TONE)[:30], "it ends", True),
        (wav(TONE)[:-10], "it is cut short: 1590 of 1600 bytes", True),
        (wav(TONE, code=6), "compressed (A-law): save it as WAV with 16 bits", False),
        (wav(TONE, code=0x55), "compressed (MP3)", False),
        (wav(TONE, rate_hz=100), "100 samples a second", False),
        (wav(np.zeros(0)), "it has no sound in it", False),
        (b"RF64" + bytes(40), "RF64", False),
        (b"ID3" + bytes(40), "not a .wav file but MP3: ffmpeg -i FILE", False),
        (b"OggS" + bytes(40), "Ogg", False),
        (bytes(4) + b"ftypM4A " + bytes(30), "MP4", False),
        (b"\xff\xd8" + bytes(40), "it is not a .wav file", False),
        (b"RIFF" + bytes(4) + b"WAVEdata" + struct.pack("<I", 4) + bytes(4), "before their format", False),
    ],
)
def test_what_cannot_be_read_is_told_by_its_reason(
    tmp_path: Path, data: bytes, why: str, short: bool
) -> None:
    with pytest.raises(Unreadable) as caught:
        read(tmp_path / "a.wav", data)
    assert why in str(caught.value)
    assert isinstance(caught.value, CutShort) is short


@given(st.binary(max_size=200), st.integers(0, 60))
def test_no_file_does_more_than_be_refused(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int
) -> None:
    data = wav(TONE)
    path = tmp_path_factory.mktemp("wav") / "a.wav"
    try:
        samples = read(path, data[:at] + noise + data[at + len(noise) :])
    except Unreadable:
        return
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()


def test_a_header_that_promises_much_costs_little_memory(tmp_path: Path) -> None:
    loud = np.zeros((5000, 64))
    loud[7] = 1e300
    path = tmp_path / "a.wav"
    path.write_bytes(wav(loud, 384_000, "f64"))
    file = WavFile(path)
    parts = list(iter(lambda: len(file.read(384_000)), 0))
    file.close()
    assert sum(parts) == 5000
    assert max(parts) * 64 * 8 <= 1 << 20


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(OSError, match="device or pipe"):
        WavFile(tmp_path / "a.wav")
