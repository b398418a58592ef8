"""Sources: where frames come from. This file is the contract; each driver is one file beside it.

``kind: v4l2`` in the configuration loads the module ``edged.sources.drivers.v4l2`` (or, for others' drivers,
the entry point ``v4l2`` of the group ``edged.sources``), which exposes

* ``Config``, a pydantic model (a subclass of :class:`edged.sources.SourceConfig`) whose field
  descriptions are its reference page, and
* ``create(config, hint) -> Source``, which does no I/O: ``edged check`` calls it on any laptop.

The module imports nothing heavy at its top: numpy, cv2 and vendor modules are imported inside ``open()``, in
the worker, after the fork. The first line of a driver's docstring is its help line.

Contract of a Source, held by one conformance test over every driver:

* ``open()`` touches the device. It raises ``Unavailable`` (device away, busy, denied) or ``DriverError``
  (package missing, with the command that installs it).
* ``read(timeout_s)`` gives the **newest** frame that is not older than the previous one returned. It blocks
  for at most ``timeout_s`` and then raises ``Unavailable(Reason.TIMEOUT)``; a finite source that has given
  everything raises ``Unavailable(Reason.ENDED)``. Frames that were skipped to be newest are counted in
  ``Frame.skipped``.
* ``close()`` gives everything back; it may be called twice, and before ``open()``.
* One thread calls all three.

A driver whose device is reached over a network also has a function ``needs_network(config) -> bool``; its
worker then keeps a route out, and says so in every event. A driver without that function needs none. One that
needs a vendor's package has ``library()``, which imports and returns it, or raises ``DriverError``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from edged.drivers import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


Pixels = Annotated[int, Field(ge=16, le=8192)]
Size = tuple[Pixels, Pixels]  # of a picture: width, height


@dataclass(frozen=True, slots=True)
class Hint:
    """What the pipeline would like, so that a driver can ask its hardware for less work.

    Attributes:
        width, height: the model's input in pixels; 0 where unknown.
    """

    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture.

    Attributes:
        pixels: uint8, ``[height, width, 3]`` in the order that ``order`` names, or ``[height, width]`` for
            grey. It belongs to the reader: no driver writes into it after it was returned.
        captured_at: wall time of the exposure, seconds since 1970 (of the read where the device does not
            say).
        order: ``bgr`` | ``rgb`` | ``grey``.
        number: counts the source's frames from 0; with ``folder`` and ``video`` it is the event's ``frame``.
        skipped: frames dropped since the previous one because a newer one was there.
    """

    pixels: NDArray[np.uint8]
    captured_at: float
    order: str = "bgr"
    number: int = 0
    skipped: int = 0


class Source(Protocol):
    """Gives frames, the newest first and the old ones never.

    Attributes:
        live: a camera, whose noise makes two equal pictures in a row impossible: the same picture many times
            means that it hangs. False for photographs and files, which may repeat.
    """

    live: bool

    def open(self) -> None:
        """Touch the device. Raises ``Unavailable`` or ``DriverError``."""

    def read(self, timeout_s: float) -> Frame:
        """Return the newest frame. Raises ``Unavailable`` with TIMEOUT, LOST or ENDED."""

    def close(self) -> None:
        """Give everything back; harmless when called twice."""


class Intake(BaseModel):
    """What feeds a pipeline: a source of pictures, or the readings of sensors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str = Field(description="the driver: the name of its module")


class SourceConfig(Intake):
    """The keys that every source has; a driver's ``Config`` adds its own."""

    interval_s: Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)] = Field(
        default=1.0, description="time between two classifications, in s; 0 is as fast as the model goes"
    )
    rotate: Literal["0", "90", "180", "270"] = Field(
        default="0", description="turn the picture clockwise by so many degrees before anything else"
    )
    crop: tuple[int, int, int, int] | None = Field(
        default=None, description="classify only this part: [x, y, width, height] in pixels after rotation"
    )


_registry = Registry("edged.sources", "source", "edged.sources.drivers")


def kinds() -> list[str]:
    """Return the names of all drivers: those of this package and those that others registered."""
    return _registry.kinds()


def own_kinds() -> list[str]:
    """Return the names of the drivers of this package."""
    return sorted(_registry.own())


def load(kind: str) -> Any:
    """Return the driver module of that kind.

    Raises:
        DriverError: there is no such driver; the message lists those that exist.
    """
    return _registry.load(kind)
