"""Events from the spool into a sink that takes them one by one, such as JSON lines on standard output."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal, Protocol

from edged.errors import Unavailable
from edged.system.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edged.sinks import Sink
    from edged.spool import Spool

log = logging.getLogger(__name__)

SHORTEST_S, LONGEST_S = 1.0, 30.0  # before an event that was not taken is tried again
AT_ONCE = 50  # rows between two turns of the event loop


class _Timer(Protocol):
    def cancel(self) -> None:
        """Make no call any more."""


class SpooledSink:
    """Takes events out of the spool for a sink; what the sink does not take waits there.

    Args:
        sink: gets the events.
        spool: where events wait.
        call_later: ``loop.call_later``.
    """

    def __init__(
        self, sink: Sink, spool: Spool, call_later: Callable[[float, Callable[[], None]], _Timer]
    ) -> None:
        self._sink = sink
        self._spool = spool
        self._call_later = call_later
        self._retry: _Timer | None = None
        self._backoff = Backoff(SHORTEST_S, LONGEST_S)
        self._trouble = ""

    @property
    def state(self) -> str:
        """``none``: there is no broker; ``not written`` while lines are not taken."""
        return "not written" if self._trouble else "none"

    @property
    def detail(self) -> str:
        """A sentence that goes with the state."""
        return self._trouble or "events are written as JSON lines"

    @property
    def problems(self) -> Sequence[str]:
        """Nothing: where a line is not taken, ``detail`` has it."""
        return ()

    @property
    def degraded(self) -> Literal[""]:
        """Nothing: there is no login here."""
        return ""

    def open(self) -> None:
        """Write what waits."""
        self.drain()

    def check(self) -> None:
        """Do nothing: a line that was not taken is tried again by itself."""

    def drain(self) -> None:
        """Write what waits, ``AT_ONCE`` rows at a time; after a failure, pause first."""
        if self._retry is None and self._write():
            self._later(0.0)

    def retain(self, suffix: str, payload: bytes | str) -> None:
        """Do nothing: there are no topics."""

    def result(self, pipeline: str, payload: bytes) -> None:
        """Write one inference, or drop it where the line before was not taken."""
        del pipeline
        self.reading(payload)

    def reading(self, line: bytes) -> None:
        """Write one reading, or drop it where the line before was not taken."""
        if not self._trouble:
            self._try(line)

    def close(self, timeout_s: float) -> None:
        """Write what still waits, and end; what is not taken at once stays in the spool."""
        del timeout_s  # the sink never waits longer than its patience, and the first failure ends this
        if self._retry is not None:
            self._retry.cancel()
        while not self._trouble and self._write():
            pass
        self._sink.close()

    def _write(self) -> bool:
        """Write some rows; return whether there may be more."""
        rows = self._spool.pending(AT_ONCE)
        for number, row in enumerate(rows):
            if not self._try(row.message(replayed=False)):
                self._spool.released([rest.sequence for rest in rows[number:]])
                self._later(self._backoff.pause_s())
                return False
            self._spool.acknowledged(row.sequence)
        return len(rows) == AT_ONCE

    def _try(self, line: bytes) -> bool:
        try:
            self._sink.send(line)
        except Unavailable as error:
            if not self._trouble:
                log.warning("events are not written and wait: %s", error)
            self._trouble = str(error)
            return False
        if self._trouble:
            log.info("events are written again")
        self._trouble = ""
        self._backoff.reset()
        return True

    def _later(self, delay_s: float) -> None:
        self._retry = self._call_later(delay_s, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self.drain()
