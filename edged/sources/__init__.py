"""Sources: where samples come from. This file is the contract; each driver is one file in ``drivers``.

``kind: v4l2`` in the configuration loads the module ``edged.sources.drivers.v4l2`` (or, for others' drivers,
the entry point ``v4l2`` of the group ``edged.sources``), which exposes

* ``Config``, a subclass of :class:`SourceConfig` (pictures) or :class:`InputConfig` (windows, text), whose
  field descriptions are its reference page, and
* ``create(config, hint) -> Source``, which does no I/O: ``edged check`` calls it on any laptop. In a
  worker, :mod:`edged.worker.masking` alone calls it, and blacks out what the key ``mask`` says.

The module imports nothing heavy at its top: numpy, cv2 and vendor modules are imported inside ``open()``, in
the worker, after the fork. The first line of a driver's docstring is its help line.

Contract of a Source of pictures, held by one conformance test over every driver:

* ``open()`` touches the device. It raises ``Unavailable`` (device away, busy, denied) or ``DriverError``
  (package missing, with the command that installs it).
* ``read(timeout_s)`` gives the **newest** frame that is not older than the previous one returned. It blocks
  for at most ``timeout_s`` and then raises ``Unavailable(Reason.TIMEOUT)``, or returns None where the source
  works and no frame is due yet, as in a time lapse; a finite source that has given everything raises
  ``Unavailable(Reason.ENDED)``. Frames that were skipped to be newest are counted in ``Frame.skipped``.
* ``close()`` gives everything back; it may be called twice, and before ``open()``. Where it cannot, it raises
  ``Unavailable(Reason.KEPT)``: the worker ends, and another one opens the device.
* One thread calls all three.

A source of windows or text is a :class:`FeedSource` instead, whose samples come at times of their own.

No other file knows a driver by name: a driver itself states what the rest of edged has to know of it. All of
it has a default:

* Its ``Config`` states what it ``gives`` (a picture, a window, text), whether its samples are ``numbered``,
  which device it ``holds``, which sensors' channels it ``follows``, and what it ``measures`` itself: see
  :class:`InputConfig`. A key that names a file has the type ``Path``, or :data:`edged.drivers.PathOrUrl`
  where it may also be an address, or :data:`edged.drivers.SecretFile` where the file holds a secret, whose
  content comes with the :class:`Hint`; relative paths are then made absolute.
* ``needs(config) -> Needs`` names the files that it reads, the devices that it opens, the programs that it
  starts, and whether it reaches a camera over the network: the walls around its worker let nothing else
  through. A driver without it may open every device. With ``network`` the worker keeps a route out, and every
  event says so.
* ``library()`` imports and returns a vendor's package, or raises ``DriverError``.
* ``find(root) -> list[Offer]``: the devices that this machine has, as sysfs below ``root`` tells; for ``edged
  init``, ``edged try`` and ``edged doctor``. It opens none for capture and imports nothing heavy.
* ``identify() -> list[Offer]``: the same as the vendor's package tells, where only that can. It is called in
  a process of its own, after ``find`` found something, and raises ``DriverError`` or ``Unavailable``. It may
  disturb a device in use: it is not called while a pipeline of this kind runs, or ``in_use`` names a process.
* ``in_use() -> str``: the process that uses one of its devices now, as far as it is seen without opening one.
* ``recognise(text, viewing) -> Offer | None``: what ``edged try --source`` names, if it is of this kind.
* ``recorded(config, hint, time) -> Source``: of a recording, its samples in the recording's own time
  (:class:`edged.sources.replay.RecordedTime`), each once and with a ``Frame.name``; for ``edged try -c``.
* ``ALSO_CALLED``: words that others use for this kind, in lower case, such as ``webcam``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Protocol, Self

from pydantic import Field, StringConstraints, model_validator

from edged.drivers import Registry, Section, wrong
from edged.models.spec import Gives, SampleSpec
from edged.sources import mask as masks
from edged.sources.decoding import Decoding
from edged.sources.progress import Place, Progress

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from edged.ipc.readings_page import Reader


Pixels = Annotated[int, Field(ge=16, le=8192)]
Size = tuple[Pixels, Pixels]  # of a picture: width, height
Interval = Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)]
Rotation = Literal["0", "90", "180", "270"]
Crop = tuple[int, int, int, int]  # x, y, width, height
CHANNEL_PATH = r"^[a-z0-9-]{1,32}(/[a-z0-9_]{1,32})?$"
ChannelPath = Annotated[str, StringConstraints(pattern=CHANNEL_PATH)]  # a sensor, or sensor/channel


@dataclass(frozen=True, slots=True)
class View:
    """What one pipeline sees of the pictures.

    Attributes:
        width, height: its model's input in pixels; 0 where unknown.
        rotate: the rotation in degrees, clockwise.
        crop: the part that it takes, in pixels after rotation; None: all of it.
    """

    width: int
    height: int
    rotate: Rotation = "0"
    crop: Crop | None = None


@dataclass(frozen=True, slots=True)
class Hint:
    """A pipeline's preferences, and what a driver may need of it.

    Attributes:
        width, height: the model's input in pixels, so that a driver can let its hardware scale; 0 where
            unknown. Of several pipelines that share the source, what is enough for all of them.
        steps: the length of the model's input, where it takes windows; 0 where unknown.
        patience_s: how long the pipeline waits for data before it calls the source hung, in s.
        readings: the page with the sensors' readings, for a driver that follows some; None where there is
            none.
        secrets: the content of each file that a key of the type :data:`edged.drivers.SecretFile` names, by
            key; main reads them, as a worker may not.
        progress: how far the source has come, for a driver of files or recordings.
        decoding: where a driver that decodes files notes which one, so that a file that ends its worker is
            left out by the next one.
        views: what each of several pipelines that share the source takes of its pictures; the source's own
            ``crop`` and ``rotate`` mean nothing then. Empty: there is only one.
    """

    width: int = 0
    height: int = 0
    patience_s: float = 5.0
    readings: Reader | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    decoding: Decoding = field(default_factory=Decoding, repr=False)
    progress: Progress = field(default_factory=Progress, repr=False)
    steps: int = 0
    views: tuple[View, ...] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture.

    Attributes:
        pixels: uint8, ``[height, width, 3]`` in the order that ``order`` names, or ``[height, width]`` for
            grey. It belongs to the reader: no driver writes into it after it was returned.
        captured_at: wall time of the exposure, seconds since 1970 (of the read where the device does not
            tell).
        order: ``bgr`` | ``rgb`` | ``grey``.
        number: counts the source's frames from 0; it is the event's ``frame`` where the source is numbered.
        skipped: frames dropped since the previous one because a newer one was there.
        shrink: the picture was decoded at 1/shrink of its size: 1, 2, 4 or 8. What is given in pixels of the
            picture, as ``crop`` is, refers to its own size.
        place: where it is, for main to remember over a restart.
        name: the file that it is, for a person who tries a recording; it leaves a worker in no event.
    """

    pixels: NDArray[np.uint8]
    captured_at: float
    order: str = "bgr"
    number: int = 0
    skipped: int = 0
    shrink: int = 1
    place: Place | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """Numbers over time.

    Attributes:
        values: float32, ``[steps, channels]``, normalised as the model was trained.
        captured_at: wall time of the last sample, seconds since 1970.
        begins: it does not go on where the window before it ended, so a model with a memory starts afresh.
        number: counts the source's windows from 0.
        level_dbfs: how loud it is, for sound; else None.
        ends_s: of sound, the time of its end since the source was opened, in s of the recording.
        name: as of a :class:`Frame`.
    """

    values: NDArray[np.float32]
    captured_at: float
    begins: bool = True
    number: int = 0
    level_dbfs: float | None = None
    ends_s: float = 0.0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text.

    Attributes:
        values: the text, as an array of one string.
        captured_at: wall time at which it was read, seconds since 1970.
        number: counts the source's texts from 0.
        name: as of a :class:`Frame`.
    """

    values: NDArray[np.str_]
    captured_at: float
    number: int = 0
    name: str = ""


class Source(Protocol):
    """Gives frames, the newest first and the old ones never.

    Attributes:
        live: a camera, whose noise makes two equal pictures in a row impossible: the same picture many times
            means that it hangs. False for photographs and files, which may repeat.
        view: after ``open()``, how much a camera's mode shows of the sensor's width and height, each at most
            1; empty where that is everything, or unknown. A source may lack it.
    """

    live: bool

    def open(self) -> None:
        """Touch the device. Raises ``Unavailable`` or ``DriverError``."""

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest frame; None: it works, and none is due within ``timeout_s``.

        Raises:
            Unavailable: with TIMEOUT, LOST or ENDED.
        """

    def close(self) -> None:
        """Give everything back; harmless when called twice."""


class FeedSource(Protocol):
    """Gives windows or text as they come. ``open`` and ``close`` are those of :class:`Source`.

    Attributes:
        begun: data has come since it was opened: the device works, though no sample may be complete yet.
        dropped: samples and readings that were left out, by reason; the reader clears it.
    """

    dropped: Counter[str]

    @property
    def begun(self) -> bool:
        """Return whether data has come since it was opened."""

    def open(self) -> None:
        """Touch the device. Raises ``Unavailable`` or ``DriverError``."""

    def read(self, timeout_s: float) -> Window | Text | None:
        """Return the oldest sample that waits; None where none is complete within ``timeout_s``.

        Raises:
            Unavailable: TIMEOUT where the device has been silent for longer than the hint's patience: that is
                reported, and the source stays open. With LOST, it is closed and opened again; with ENDED, it
                gave everything.
        """

    def idle(self, keep: int | None) -> None:
        """Take in what the device has while no sample is wanted; called every 20 ms. Raises as ``read``.

        Args:
            keep: how many of the newest samples may be needed later: 0 while the gate is closed, 1 while a
                trigger is awaited. None: they are wanted, and the model is busy.
        """

    def close(self) -> None:
        """Give everything back; harmless when called twice."""


class Followed(NamedTuple):
    """A sensor's channel that feeds a source.

    Attributes:
        channel: ``sensor``, or ``sensor/channel`` where it has several.
        gap_s: two readings further apart than this are of no use, in s.
        steps: the keys that lead to its name in the source's block.
    """

    channel: str
    gap_s: float
    steps: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """A source that could be configured.

    Attributes:
        keys: its keys in the configuration; those that are left out have their defaults.
        name: what a person calls it.
        place: where it is, such as the path of a device.
        aliases: other values of the key that names the device, which mean the same one.
    """

    keys: Mapping[str, Any]
    name: str
    place: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Viewing:
    """The way in which a person looks at a source with ``edged try``.

    Attributes:
        live: a person watches: recordings take their time.
        repeat: recordings begin again at their end.
    """

    live: bool = False
    repeat: bool = False


class InputConfig(Section):
    """The key that every source has, and what a driver states about itself.

    Attributes:
        gives: ``picture``, ``window`` or ``text``.
        numbered: a sample's number tells which one it was (a file in a folder, a frame of a recording), so
            events carry it.
        measures: the readings of its own that go with each sample, by name.
    """

    gives: ClassVar[Gives] = "picture"
    numbered: ClassVar[bool] = False
    measures: ClassVar[tuple[str, ...]] = ()

    kind: str = Field(description="the driver: the name of its module")

    @property
    def sample(self) -> SampleSpec:
        """The samples that it gives; for windows, with their number of steps and channels."""
        return SampleSpec(self.gives)

    @property
    def every_s(self) -> float:
        """The least time between two samples, in s; 0: they come as fast as they are classified."""
        return 0.0

    @property
    def opens_within_s(self) -> float:
        """The time that opening takes on a slow board, in s, where ``deadlines`` say nothing; 0: as usual."""
        return 0.0

    @property
    def holds(self) -> Mapping[str, str]:
        """The devices that no second pipeline can have at the same time, by the key that names them."""
        return {}

    @property
    def given_once(self) -> str:
        """Why no second pipeline can share it: the key that makes it give each sample once; empty: it can."""
        return ""

    @property
    def follows(self) -> tuple[Followed, ...]:
        """The sensors' channels that feed it."""
        return ()


class SourceConfig(InputConfig):
    """The keys that every source of pictures has; a driver's ``Config`` adds its own."""

    interval_s: Interval = Field(
        default=1.0, description="time between two classifications, in s (0: as fast as the model can)"
    )
    rotate: Rotation = Field(
        default="0", description="rotate the picture clockwise by this many degrees, before cropping"
    )
    crop: Crop | None = Field(
        default=None, description="classify only this part: [x, y, width, height] in pixels after rotation"
    )
    mask: masks.Polygons = Field(
        examples=[[[[0, 0], [0.3, 0], [0.3, 1], [0, 1]]]],
        default=(),
        description="polygons of [x, y] that are blacked out before anything else sees the picture: pixels "
        "after rotation, or where no number is above 1, parts of its width and height",
    )

    @model_validator(mode="after")
    def _mask_is_inside(self) -> Self:
        size = masks.size_of(self)
        if size is not None:
            width, height = size if self.rotate in ("0", "180") else size[::-1]
            if (place := masks.outside(self.mask, (width, height))) is not None:
                what = f"the point is outside the picture, which has {width}x{height} pixels after rotation"
                raise wrong(what, "mask", *place)
        return self

    @property
    def in_pixels(self) -> bool:
        """Whether a key refers to pixels of the picture in the size that is configured."""
        return self.crop is not None or not all(map(masks.is_in_parts, self.mask))

    @property
    def every_s(self) -> float:
        """The interval."""
        return self.interval_s


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
        DriverError: there is no such driver; the message lists the available ones.
    """
    return _registry.load(kind)
