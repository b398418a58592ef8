"""Writes .wav files of every kind for tests."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def tone(hz: float, seconds: float, rate_hz: int = 16000, volume: float = 0.5) -> NDArray[np.float64]:
    return volume * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def stored(samples: NDArray[np.float64], kind: str) -> bytes:
    """Return samples of a kind: ``u8``, ``i16``, ``i24``, ``i32``, ``f32`` or ``f64``."""
    bits = int(kind[1:])
    if kind[0] == "f":
        return samples.astype(f"<f{bits // 8}").tobytes()
    if kind == "u8":
        return np.round(samples * 127 + 128).astype(np.uint8).tobytes()
    whole = np.round(samples * ((1 << (bits - 1)) - 1)).astype("<i4")
    if bits == 24:
        return whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    return whole.astype(f"<i{bits // 8}").tobytes()


def wav(
    samples: NDArray[np.float64],
    rate_hz: int = 16000,
    kind: str = "i16",
    *,
    extensible: bool = False,
    before: bytes = b"",
    length: int | None = None,
    code: int | None = None,
) -> bytes:
    """Return a file.

    Args:
        samples: ``[n]``, or ``[n, channels]``.
        kind: see :func:`stored`.
        extensible: write the form that Windows writes for many channels.
        before: chunks before the samples.
        length: what the header says of the samples, in bytes; None: the truth.
        code: the format's number; None: the one that fits.
    """
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    bits, data = int(kind[1:]), stored(samples, kind)
    code = (3 if kind[0] == "f" else 1) if code is None else code
    align = channels * bits // 8
    form = struct.pack(
        "<HHIIHH", 0xFFFE if extensible else code, channels, rate_hz, rate_hz * align, align, bits
    )
    if extensible:
        form += struct.pack("<HHIH14x", 22, bits, 0, code)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + before
    chunks += b"data" + struct.pack("<I", len(data) if length is None else length) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def write(path: Path, samples: NDArray[np.float64], rate_hz: int = 16000, kind: str = "i16") -> Path:
    path.write_bytes(wav(samples, rate_hz, kind))
    return path
