"""The description of a model's input or output, and whether edged can use it."""

from __future__ import annotations

from dataclasses import dataclass

_TYPES = frozenset({"uint8", "int8", "int16", "float32", "float16"})
_FLOATS = frozenset({"float32", "float16"})
_LIMITS = {"uint8": (0, 255), "int8": (-128, 127), "int16": (-32768, 32767)}


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or an output.

    Attributes:
        name: its name in the model.
        shape: the shape as allocated.
        dtype: numpy's name of its type, such as ``uint8``.
        scale, zero_point: real = (stored - zero_point) * scale; scale is 0 where it is not quantised.
        dynamic: the positions of the dimensions that the file leaves open.
        channels: the number of scales; more than 1 means that it is quantised per channel.
        unsized: the file has a size of -1 in the shape itself, which no runtime accepts.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0
    dynamic: tuple[int, ...] = ()
    channels: int = 1
    unsized: bool = False

    @property
    def shown(self) -> str:
        """The shape for messages, such as ``1 x 224 x 224 x 3``."""
        return " x ".join(map(str, self.shape)) or "a single number"

    @property
    def sides(self) -> tuple[int, ...]:
        """The dimensions other than 1."""
        return tuple(side for side in self.shape if side != 1)

    @property
    def is_float(self) -> bool:
        """Return whether it holds real numbers."""
        return self.dtype in _FLOATS

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest real number that a quantised tensor can hold."""
        lowest, highest = _LIMITS.get(self.dtype, (0, 0))
        return (lowest - self.zero_point) * self.scale, (highest - self.zero_point) * self.scale

    def unfit(self, what: str, *, scaled: bool) -> str:
        """Return why edged cannot use the tensor, as a clause; empty where it can.

        Args:
            what: ``input`` or ``output``.
            scaled: an integer tensor must have a scale.
        """
        if self.dtype not in _TYPES:
            return f"its {what} is {self.dtype}, not uint8, int8, int16, float16 or float32"
        if self.unsized:
            return f"its {what} has a size of -1, which no runtime accepts; convert it with a fixed size"
        if self.channels > 1:
            return f"its {what} is quantised per channel"
        if self.scale < 0:
            return f"its {what} has a negative scale"
        if (scaled or self.dtype == "int16") and not self.is_float and self.scale == 0:
            return f"its {self.dtype} {what} has no scale"
        return ""
