"""What goes into a model or comes out of it, and whether edged can use it; for every kind of model."""

from __future__ import annotations

from dataclasses import dataclass

_TYPES = frozenset({"uint8", "int8", "float32"})


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or an output.

    Attributes:
        shape: as allocated.
        dtype: numpy's name of it, such as ``uint8``.
        scale, zero_point: real = (stored - zero_point) * scale; scale 0 where it is not quantised.
        dynamic: which dimensions the file leaves open, by position.
        channels: how many scales there are; more than 1 is quantised for each channel.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0
    dynamic: tuple[int, ...] = ()
    channels: int = 1

    @property
    def shown(self) -> str:
        """Its shape for messages, such as ``1 x 224 x 224 x 3``."""
        return " x ".join(map(str, self.shape)) or "a single number"

    @property
    def sides(self) -> tuple[int, ...]:
        """The dimensions that are more than a bracket."""
        return tuple(side for side in self.shape if side != 1)

    def unfit(self, what: str, *, scaled: bool) -> str:
        """Return why edged cannot use it, in a few words; nothing where it can.

        Args:
            what: it is: ``input`` or ``output``.
            scaled: whole numbers must say which real ones they stand for.
        """
        if self.dtype not in _TYPES:
            return f"its {what} is {self.dtype}, not uint8, int8 or float32"
        if self.channels > 1:
            return f"its {what} has a scale for each channel"
        if self.scale < 0:
            return f"its {what} has a negative scale"
        if scaled and self.dtype != "float32" and self.scale == 0:
            return f"its {self.dtype} {what} has no scale"
        return ""
