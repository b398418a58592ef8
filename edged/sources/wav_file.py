"""Reads .wav files: PCM of 8, 16, 24 and 32 bits, floats of 32 and 64 bits, any number of channels.

Python's own module reads no floats and, before 3.12, not the extensible form that many recorders write. A
file may be crafted: sizes are checked against what is there, and it is read in pieces.
"""

from __future__ import annotations

import os
import struct
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

from edged.system.files import open_regular

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LOWEST_HZ, HIGHEST_HZ = 4000, 384_000
_MOST_CHANNELS = 64
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_NAMES = {2: "ADPCM", 6: "A-law", 7: "mu-law", 0x11: "IMA ADPCM", 0x31: "GSM", 0x55: "MP3"}
_OPEN_END = frozenset({0, 0xFFFFFFFF})  # the size of data that a program wrote into a pipe
_LARGEST_HEADER = 1 << 20  # bytes before the samples
_MOST_BYTES = 1 << 20  # that are read at once, whatever rate and channels a header has


class Unreadable(OSError):  # noqa: N818 - the state of a file rather than an error of ours
    """The file is not sound that can be read; one clause."""


class CutShort(Unreadable):
    """The file is shorter than its header tells: it may still be being written."""


class WavHeader(NamedTuple):
    """What the header of a file tells.

    Attributes:
        rate_hz: samples a second.
        channels: 1 for mono.
        bits: of one sample of one channel: 8, 16, 24, 32 or 64.
        is_float: samples are floats, -1..1.
        data_at: the place of the first sample, in bytes.
        frames: samples of each channel.
    """

    rate_hz: int
    channels: int
    bits: int
    is_float: bool
    data_at: int
    frames: int

    @property
    def frame_bytes(self) -> int:
        """The bytes of one sample of all channels."""
        return self.channels * self.bits // 8


class WavFile:
    """One open file, read from its beginning to its end.

    Attributes:
        header: what its header tells.

    Args:
        path: the file.

    Raises:
        Unreadable: it is not a whole .wav file of a kind that can be read.
        OSError: it cannot be opened, or is not a regular file.
    """

    def __init__(self, path: Path) -> None:
        self._file = open_regular(path)
        try:
            self.header = read_header(self._file)
            self._file.seek(self.header.data_at)
        except BaseException:
            self._file.close()
            raise
        self._left = self.header.frames

    def read(self, frames: int) -> NDArray[np.float32]:
        """Return the next samples, mixed down to mono, -1..1: fewer than asked for, or none at the end."""
        header = self.header
        wanted = min(frames, self._left, max(1, _MOST_BYTES // header.frame_bytes))
        data = self._file.read(wanted * header.frame_bytes)
        got = len(data) // header.frame_bytes
        self._left -= got
        if got < wanted:  # it was truncated since it was opened
            self._left = 0
        return mono(decode(data[: got * header.frame_bytes], header.bits, header.is_float), header.channels)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def decode(data: bytes, bits: int, is_float: bool) -> NDArray[np.float32]:
    """Return samples as numbers -1..1.

    Args:
        data: little-endian samples; 8 bits are unsigned.
        bits: of a sample.
        is_float: they are floats; those that are not numbers become 0.
    """
    if is_float:
        with np.errstate(all="ignore"):  # what is not a number, or too large for one
            values = np.frombuffer(data, "<f4" if bits == 32 else "<f8").astype(np.float32)
        return np.clip(np.nan_to_num(values, copy=False, nan=0.0, posinf=1.0, neginf=-1.0), -8.0, 8.0)
    if bits == 8:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / np.float32(128)
    if bits == 24:
        low = np.zeros((len(data) // 3, 4), np.uint8)
        low[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return low.view("<i4").reshape(-1).astype(np.float32) / np.float32(1 << 31)
    return np.frombuffer(data, f"<i{bits // 8}").astype(np.float32) / np.float32(1 << (bits - 1))


def mono(samples: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """Return the mean of the channels of interleaved samples."""
    if channels == 1:
        return samples
    mixed: NDArray[np.float32] = samples.reshape(-1, channels).mean(axis=1, dtype=np.float32)
    return mixed


def read_header(file: IO[bytes]) -> WavHeader:
    """Read a header.

    Raises:
        Unreadable: it is not a .wav file of a kind that can be read.
    """
    size = os.fstat(file.fileno()).st_size
    start = file.read(12)
    if len(start) < 12:
        raise CutShort("it is empty" if not start else "it ends in its header")
    if start[:4] in {b"RF64", b"BW64"}:
        raise Unreadable("it is an RF64 file, for more than 4 GB: save it as WAV")
    if start[:4] != b"RIFF" or start[8:] != b"WAVE":
        raise Unreadable(f"it is not a .wav file{_looks_like(start)}")
    form: tuple[int, int, int, int, bool] | None = None
    while file.tell() < _LARGEST_HEADER:
        head = file.read(8)
        if len(head) < 8:
            raise CutShort("it ends before its samples")
        length = int.from_bytes(head[4:], "little")
        if head[:4] == b"fmt ":
            form = _form(file.read(min(length, 64)))
            file.seek(max(0, length - 64) + length % 2, os.SEEK_CUR)
        elif head[:4] == b"data":
            if form is None:
                raise Unreadable("it has samples before their format")
            return _header(form, file.tell(), length, size)
        else:
            file.seek(length + length % 2, os.SEEK_CUR)
    raise Unreadable("its header has no samples")


def _form(data: bytes) -> tuple[int, int, int, int, bool]:
    """Return rate, channels, bits, bytes of a frame, and whether samples are floats."""
    if len(data) < 16:
        raise CutShort("it ends in its header")
    code, channels, rate, _, align, bits = struct.unpack_from("<HHIIHH", data)
    if code == _EXTENSIBLE and len(data) >= 26:
        code = int.from_bytes(data[24:26], "little")
    if code not in {_PCM, _FLOAT}:
        name = _NAMES.get(code, f"format {code}")
        raise Unreadable(f"it is compressed ({name}): save it as WAV with 16 bits (PCM)")
    known = {32, 64} if code == _FLOAT else {8, 16, 24, 32}
    if bits not in known or align != channels * bits // 8:
        raise Unreadable(
            f"its samples have {bits} bits in {align} bytes, not 8, 16, 24 or 32 (floats 32, 64)"
        )
    if not 1 <= channels <= _MOST_CHANNELS:
        raise Unreadable(f"it has {channels} channels")
    if not LOWEST_HZ <= rate <= HIGHEST_HZ:
        raise Unreadable(f"it has {rate} samples a second, not {LOWEST_HZ} to {HIGHEST_HZ}")
    return rate, channels, bits, align, code == _FLOAT


def _header(form: tuple[int, int, int, int, bool], at: int, length: int, size: int) -> WavHeader:
    rate, channels, bits, align, is_float = form
    there = max(0, size - at)
    if length in _OPEN_END:
        length = there
    if length > there:
        raise CutShort(f"it is cut short: {there} of {length} bytes of sound are there")
    if length < align:
        raise Unreadable("it has no sound in it")
    return WavHeader(rate, channels, bits, is_float, at, length // align)


def _looks_like(start: bytes) -> str:
    for head, name in (
        (b"ID3", "MP3"),
        (b"OggS", "Ogg"),
        (b"fLaC", "FLAC"),
        (b"FORM", "AIFF"),
        (b"caff", "CAF"),
    ):
        if start.startswith(head):
            return f" but {name}: ffmpeg -i FILE -ar 16000 -ac 1 OUT.wav"
    return " but MP4: ffmpeg -i FILE -ar 16000 -ac 1 OUT.wav" if start[4:8] == b"ftyp" else ""
