"""One camera for several pipelines of a worker: opened once, and each picture read and decoded once.

::

    pipeline A ── read() ──▶                            ──▶ A: its crop, its model
                            [ thread of the camera ]
    pipeline B ── read() ──▶   open, read, close         ──▶ B: its crop, its model

Each pipeline has a :class:`Tap`, which is a source to its capture thread. The camera is open while any tap
is. A picture serves every pipeline that wants one within 0.2 s; who is slower misses pictures, as with a
camera of its own. A fault of the camera is one of all pipelines that use it, and each of them tells of it.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, cast

from edged.errors import Reason, Unavailable
from edged.sources import Hint, SourceConfig, View
from edged.sources.decoding import Decoding
from edged.system import clock
from edged.worker import masking

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edged.sources import Frame, Source

SHARED_S = 0.2  # a picture is good for every pipeline for this long


class Share(NamedTuple):
    """What one pipeline wants of a camera.

    Attributes:
        config: the camera's keys, with this pipeline's own crop, rotation and interval.
        hint: what its driver would get for this pipeline alone.
    """

    config: SourceConfig
    hint: Hint


class SharedCamera:
    """One camera of a worker, for those of its pipelines that name it.

    Args:
        name: the camera's name, for stack dumps.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._shares: list[Share] = []
        self._opening = threading.Lock()
        self._session: _Session | None = None

    def join(self, share: Share) -> Callable[[], Source]:
        """Take in a pipeline; return what makes its source, before any of them is open."""
        self._shares.append(share)
        return lambda: Tap(self)

    def session(self) -> _Session:
        """Return the session that is going on, used by one more tap, or a new one."""
        with self._opening:
            before = self._session
            if before is None or not before.enter():
                if before is not None:
                    before.thread.join()  # the device must be free
                self._session = before = _Session(self._name, lambda: _create(self._shares))
            return before


class Tap:
    """The source of one pipeline: the pictures of a camera that it shares.

    Attributes:
        live, view: those of the camera's own source.
    """

    def __init__(self, camera: SharedCamera) -> None:
        self._camera = camera
        self._session: _Session | None = None
        self._seen = _NOTHING
        self.live = False
        self.view: tuple[float, ...] = ()

    def open(self) -> None:
        """Open the camera, where no other pipeline has it open."""
        self.close()
        self._session, self._seen = self._camera.session(), _NOTHING
        self.live, self.view = self._session.opened()

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest picture that this pipeline has not seen; None: none is due."""
        if self._session is None:
            raise Unavailable(Reason.LOST, "the camera is not open")
        given = self._session.newest(self._seen, timeout_s)
        if given is None:
            return None
        before, self._seen = self._seen, given
        skipped = given.frame.skipped if before is _NOTHING else given.total - before.total - 1
        return replace(given.frame, skipped=skipped) if skipped != given.frame.skipped else given.frame

    def renew(self, why: str) -> None:
        """Let the camera be opened again for all: what it gives is not a picture."""
        if self._session is not None:
            self._session.fail(Unavailable(Reason.LOST, why))

    def close(self) -> None:
        """Close the camera, where no other pipeline has it open."""
        session, self._session = self._session, None
        if session is not None:
            session.leave()


class _Given(NamedTuple):
    """A picture that was read.

    Attributes:
        number: counts from 1.
        total: pictures that the camera gave until now, with those that were skipped.
        at: when it was read, monotonic, in s.
    """

    number: int
    total: int
    at: float
    frame: Frame


_NOTHING = _Given(0, 0, 0.0, cast("Frame", None))  # no frame has number 0


class _Session:
    """A camera from one opening to its close, by a thread that owns the source."""

    def __init__(self, name: str, create: Callable[[], Source]) -> None:
        self._create = create
        self._timeout_s = 0.0  # the longest that a user gave
        self._changed = threading.Condition()
        self._users = 1
        self._live, self._view, self._is_open = False, (), False
        self._wanted = False
        self._none = 0  # times that no picture was due
        self._given = _NOTHING
        self._error: Exception | None = None
        self._closing: Unavailable | None = None
        self.thread = threading.Thread(target=self._run, name=f"camera:{name}", daemon=True)
        self.thread.start()

    # For taps, in their own threads.

    def enter(self) -> bool:
        """Take in one more user; return False where the session has ended."""
        with self._changed:
            if self._error is not None or not self._users:
                return False
            self._users += 1
            return True

    def opened(self) -> tuple[bool, tuple[float, ...]]:
        """Wait until the camera is open; return whether it is live, and its view. Raises what it raised."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_open or self._error is not None)
            if self._error is not None:
                raise self._error
            return self._live, self._view

    def newest(self, seen: _Given, timeout_s: float) -> _Given | None:
        """Wait for a picture that is new to a user, and recent; None: none is due. Raises what it raised.

        The source ends the wait: a driver that hangs keeps every user waiting, where main sees it.
        """
        with self._changed:
            self._timeout_s = max(self._timeout_s, timeout_s)
            before, none = self._given.number, self._none
            while True:
                if self._error is not None:
                    raise self._error
                given = self._given
                is_recent = given.number > before or clock.monotonic() - given.at <= SHARED_S
                if given.number > seen.number and is_recent:
                    return given
                if self._none != none:
                    return None
                self._wanted = True
                self._changed.notify_all()
                self._changed.wait()

    def fail(self, error: Exception) -> None:
        """End the session with an error for every user; the first one counts."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def leave(self) -> None:
        """Leave; the last user waits until the camera is closed. Raises ``Unavailable`` where it is kept."""
        with self._changed:
            self._users -= 1
            last = not self._users
            self._changed.notify_all()
        if last:
            self.thread.join()
            if self._closing is not None:
                raise self._closing

    # The camera's thread.

    def _run(self) -> None:
        try:
            source = self._create()
        except Exception as error:  # noqa: BLE001 - each user raises it
            self.fail(error)
            return
        try:
            source.open()
            with self._changed:
                self._live, self._view = source.live, tuple(getattr(source, "view", ()))
                self._is_open = True
                self._changed.notify_all()
            while self._is_wanted():
                self._read(source)
        except Exception as error:  # noqa: BLE001 - each user raises it
            self.fail(error)
        finally:
            try:
                source.close()
            except Unavailable as error:
                self._closing = error

    def _is_wanted(self) -> bool:
        """Wait until a user wants a picture; False: there is none any more, or something failed."""
        with self._changed:
            self._changed.wait_for(lambda: self._wanted or not self._users or self._error is not None)
            return bool(self._users) and self._error is None

    def _read(self, source: Source) -> None:
        frame = source.read(self._timeout_s)
        with self._changed:
            self._wanted = False
            if frame is None:
                self._none += 1
            else:
                number, total, _, _ = self._given
                self._given = _Given(number + 1, total + frame.skipped + 1, clock.monotonic(), frame)
            self._changed.notify_all()


def _create(shares: Sequence[Share]) -> Source:
    """Return the source that serves all of these pipelines."""
    config, hint = _for_all(shares)
    source: Source = masking.create(config, hint)
    return source


def _for_all(shares: Sequence[Share]) -> tuple[SourceConfig, Hint]:
    """Return the keys and the hint with which one source is enough for all of these pipelines."""
    configs, hints = [share.config for share in shares], [share.hint for share in shares]
    rotations = {config.rotate for config in configs}
    config = configs[0].model_copy(
        update={
            "interval_s": min(config.interval_s for config in configs),
            "rotate": rotations.pop() if len(rotations) == 1 else "0",
            "crop": None,
        }
    )
    views = tuple(View(h.width, h.height, c.rotate, c.crop) for c, h in zip(configs, hints, strict=True))
    width, height = _largest(views)
    furthest = max(hints, key=lambda hint: hint.progress.number)
    return config, replace(
        furthest,
        width=width,
        height=height,
        views=views,
        patience_s=max(hint.patience_s for hint in hints),
        decoding=_decoding([hint.decoding for hint in hints]),
    )


def _largest(views: Sequence[View]) -> tuple[int, int]:
    """Return the size that is enough for each view of the whole picture; 0 where one has only a part."""
    if any(view.crop is not None or not view.width or not view.height for view in views):
        return 0, 0
    width, height = max(view.width for view in views), max(view.height for view in views)
    if len({view.rotate for view in views}) > 1:
        width = height = max(width, height)
    return width, height


def _decoding(each: Sequence[Decoding]) -> Decoding:
    """Return one that notes for every pipeline what is being decoded."""

    def note(mark: int) -> None:
        for one in each:
            one.begins(mark)

    def left_out(sentence: str) -> None:
        for one in each:
            one.left_out(sentence)

    return Decoding(note, frozenset().union(*(one.fatal for one in each)), left_out)
