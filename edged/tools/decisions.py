"""Reads the log of decisions that the daemon keeps, and makes of its lines what a person asks: how long."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from edged.daemon.decision_log import KEPT, NAME, OLDER
from edged.errors import Refused
from edged.events import UNKNOWN
from edged.system.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

NOTES = {"started": "edged started", "stopped": "edged stopped", "on": "switched on", "off": "switched off"}
_AGO = re.compile(r"([0-9]{1,6}) ?(s|min|m|h|d)")
_UNITS_S = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_TIMES = ("%H:%M", "%H:%M:%S")
_DATES = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")


@dataclass(frozen=True)
class Row:
    """A decision and how long it held, or a note.

    Attributes:
        at: its time.
        pipeline: empty for what concerns all.
        what: the label, or the note.
        score: that of the label, 0..1; None for a note.
        lasted_s: how long it held; None where that is not known.
        lasts: it holds to this day.
        note: this is not a decision.
        unsure: the clock was not set then.
        count: how many there were, where the pipeline counts them.
    """

    at: datetime
    pipeline: str
    what: str
    score: float | None = None
    lasted_s: float | None = None
    lasts: bool = False
    note: bool = False
    unsure: bool = False
    count: int | None = None

    @property
    def until(self) -> datetime:
        """The time until which it held, as far as that is known."""
        return self.at + timedelta(seconds=self.lasted_s or 0)


def since(text: str, now: datetime) -> datetime:
    """Return the time that a person means by ``22:00`` (the last one), ``2h``, ``30min`` or a date.

    Args:
        text: what the command line has.
        now: the current time, with a zone, in which times of the day are read.

    Raises:
        Refused: it is none of these.
    """
    if (ago := _AGO.fullmatch(text)) is not None:
        return now - timedelta(seconds=int(ago[1]) * _UNITS_S[ago[2]])
    for form in _TIMES:
        if (at := _parsed(text, form)) is not None:
            today = now.replace(hour=at.hour, minute=at.minute, second=at.second, microsecond=0)
            return today if today <= now else today - timedelta(days=1)
    for form in _DATES:
        if (at := _parsed(text, form)) is not None:
            return at.replace(tzinfo=now.tzinfo)
    raise Refused(f"--since {text}: write a time (22:00), a date (2026-01-31) or an age (2h)", os.EX_USAGE)


def _parsed(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)  # noqa: DTZ007 - the caller adds the zone
    except ValueError:
        return None


def read(state_dir: Path) -> list[dict[str, Any]]:
    """Return the lines of both files, oldest first; what a power cut damaged is left out.

    Raises:
        Refused: there is none, or this user may not read them.
    """
    found: list[dict[str, Any]] = []
    seen: set[int] = set()
    texts: list[bytes] = []
    for name in (NAME, OLDER):  # the newer first: a file that is renamed meanwhile is read once
        path = state_dir / name
        try:
            with open_regular(path) as file:
                number = os.fstat(file.fileno()).st_ino
                if number not in seen:
                    texts.insert(0, file.read())
                seen.add(number)
        except FileNotFoundError:
            continue
        except PermissionError:
            raise Refused(
                f"{path} may not be read by this user: use sudo, or join the group of the service",
                os.EX_NOPERM,
            ) from None
        except OSError as error:
            raise Refused(f"{path}: {(error.strerror or str(error)).lower()}", os.EX_NOINPUT) from None
    if not texts:
        raise Refused(
            f"{state_dir} has no log of decisions: edged did not run with this state_dir (-c FILE names "
            "the configuration of another one), or its configuration has log: {max_mb: 0}",
            os.EX_NOINPUT,
        )
    for text in texts:
        found.extend(_lines(text))
    return found


def _lines(text: bytes) -> Iterator[dict[str, Any]]:
    for line in text.split(b"\n"):
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(data, dict) and _is_line(data):
            yield data


def _is_line(data: dict[str, Any]) -> bool:
    try:
        time_of(data)
    except (KeyError, TypeError, ValueError):
        return False
    if not isinstance(data.get("pipeline", ""), str):
        return False
    if data.get("type") not in KEPT:
        return data.get("type") in NOTES or data.get("type") == "lost"
    texts = (data.get("pipeline"), data.get("label"), data.get("previous"))
    score = data.get("score")
    return all(isinstance(text, str) for text in texts) and isinstance(score, (int, float))


def time_of(data: dict[str, Any]) -> datetime:
    """Return the time of a line. Raises ``ValueError`` and others for a line that is none."""
    at = datetime.fromisoformat(data["ts"])
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def rows(lines: Iterable[dict[str, Any]], *, now: datetime) -> list[Row]:
    """Return a row for each decision with the time that it held, and for each note.

    Args:
        lines: as :func:`read` returns them.
        now: the current time.
    """
    found = _Rows()
    for data in lines:
        at, kind, pipeline = time_of(data), data["type"], data.get("pipeline", "")
        unsure = data.get("clock") == "unsynced"
        if kind in KEPT:
            label, zone = data["label"], data.get("zone")
            found.end(at, pipeline, {_in(label, zone), _in(data["previous"], zone)})
            if kind != "end" and label != UNKNOWN:
                score, count = float(data["score"]), data.get("count")
                found.begin(Row(at, pipeline, _in(label, zone), score, unsure=unsure, count=count))
            continue
        match kind:
            case "started":
                found.end(None)  # nobody knows: edged was killed
            case "stopped":
                found.end(at)
            case "off":
                found.end(at, pipeline)
        what = f"{data.get('count', '?')} lines are lost here" if kind == "lost" else NOTES[kind]
        found.all.append(Row(at, pipeline, what, note=True, unsure=unsure))
    found.still(now)
    return found.all


def _in(label: str, zone: object) -> str:
    """Return a label with the zone that it is in, if any."""
    return f"{label} ({zone})" if zone else label


class _Rows:
    """Rows, of which some still hold."""

    def __init__(self) -> None:
        self.all: list[Row] = []
        self._open: list[int] = []

    def begin(self, row: Row) -> None:
        self._open.append(len(self.all))
        self.all.append(row)

    def end(self, at: datetime | None, pipeline: str = "", labels: Collection[str] = ()) -> None:
        """End the rows that hold: all, or those of a pipeline, or of its labels; None: at an unknown time."""
        for number in list(self._open):
            row = self.all[number]
            if (not pipeline or row.pipeline == pipeline) and (not labels or row.what in labels):
                self._open.remove(number)
                if at is not None:
                    self._set(number, at)

    def still(self, now: datetime) -> None:
        """Let the others hold until now."""
        for number in self._open:
            self._set(number, now, lasts=True)

    def _set(self, number: int, at: datetime, *, lasts: bool = False) -> None:
        row = self.all[number]
        self.all[number] = replace(row, lasted_s=max(0.0, (at - row.at).total_seconds()), lasts=lasts)
