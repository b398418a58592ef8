"""Reads the weights out of an old PyTorch file, without PyTorch and without running what it holds."""

from __future__ import annotations

import collections
import pickle
import struct
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_MAGIC = 0x1950A86A20F9469CFC6C
_TYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Unpickler(pickle.Unpickler):
    """Builds nothing but dictionaries and descriptions of tensors."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, size, stride, *_: (storage, offset, size, stride)
        if module == "torch" and name in _TYPES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} has no business in a file of weights")

    def persistent_load(self, pid: Any) -> Any:
        _, kind, key, *_ = pid
        return kind, key


def read(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors by name."""
    with path.open("rb") as file:
        if _load(file) != _MAGIC:
            raise ValueError(f"{path}: no PyTorch file of the old kind")
        _load(file)  # version of the protocol
        _load(file)  # the machine that wrote it
        described = _load(file)
        kinds = {storage[1]: storage[0] for storage, *_ in described.values()}
        stored = {key: _storage(file, _TYPES[kinds[key]]) for key in _load(file)}
    return {name: _tensor(stored[storage[1]], *rest) for name, (storage, *rest) in described.items()}


def _load(file: BinaryIO) -> Any:
    return _Unpickler(file).load()


def _storage(file: BinaryIO, kind: np.dtype[Any]) -> NDArray[Any]:
    (count,) = struct.unpack("<q", file.read(8))
    return np.frombuffer(file.read(count * kind.itemsize), kind)


def _tensor(flat: NDArray[Any], offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> NDArray[Any]:
    steps = tuple(step * flat.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(flat[offset:], size, steps).copy()
