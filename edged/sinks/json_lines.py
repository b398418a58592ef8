"""JSON lines as the outlet: where no broker is configured, events leave the spool on standard output."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal, Protocol

from edged.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.sinks.jsonl import JsonlSink
    from edged.spool import Spool

log = logging.getLogger(__name__)

SHORTEST_S, LONGEST_S = 1.0, 30.0  # before a line that was not taken is tried again
AT_ONCE = 50  # rows between two looks at the rest of the world


class _Timer(Protocol):
    def cancel(self) -> None:
        """Not any more."""


class Lines:
    """Writes each event once its turn has come; where nobody reads, events wait in the spool.

    Args:
        sink: writes the lines.
        spool: where events wait.
        call_later: ``loop.call_later``.
    """

    def __init__(
        self, sink: JsonlSink, spool: Spool, call_later: Callable[[float, Callable[[], None]], _Timer]
    ) -> None:
        self._sink = sink
        self._spool = spool
        self._call_later = call_later
        self._again: _Timer | None = None
        self._wait_s = SHORTEST_S
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
    def degraded(self) -> Literal[""]:
        """Nothing: nobody logs in here."""
        return ""

    def open(self) -> None:
        """Send what waits."""
        self.drain()

    def check(self) -> None:
        """Do nothing: a line that was not taken is tried again by itself."""

    def drain(self) -> None:
        """Write what waits, some of it at a time; after a failure it waits for a while."""
        if self._again is None and self._write():
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
        if self._again is not None:
            self._again.cancel()
        while not self._trouble and self._write():
            pass
        self._sink.close()

    def _write(self) -> bool:
        """Write some rows; tells whether there may be more."""
        rows = self._spool.pending(AT_ONCE)
        for number, row in enumerate(rows):
            if not self._try(row.message(replayed=False)):
                self._spool.released([rest.sequence for rest in rows[number:]])
                self._later(self._wait_s)
                self._wait_s = min(2 * self._wait_s, LONGEST_S)
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
        self._trouble, self._wait_s = "", SHORTEST_S
        return True

    def _later(self, delay_s: float) -> None:
        self._again = self._call_later(delay_s, self._retry)

    def _retry(self) -> None:
        self._again = None
        self.drain()
