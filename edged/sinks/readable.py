"""Events and readings as lines for a person who runs edged on a terminal, without a broker.

::

    22:14:03  porch      Egyptian cat 0.77  (was unknown)
    22:14:10  attic      21.5 °C
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from edged.events import UNKNOWN
from edged.text import printable

if TYPE_CHECKING:
    from edged.sinks import Sink

NAME_WIDTH = 9  # columns of a name, so that short ones stand in a column
_WORDS = {"heartbeat": "still ", "result": "seen: "}


class Readable:
    """Writes each event as a sentence.

    Args:
        lines: gets them, and closes what they are written to.
    """

    def __init__(self, lines: Sink) -> None:
        self._lines = lines

    def send(self, event: bytes) -> None:
        """Write one line. Raises ``Unavailable`` where it is lost."""
        self._lines.send(sentence(json.loads(event)).encode())

    def close(self) -> None:
        """Close what it writes to."""
        self._lines.close()


def sentence(data: dict[str, Any]) -> str:
    """Return an event or a reading for people, on one line.

    Args:
        data: by one of the schemas.
    """
    if data["type"] == "reading":
        name = "/".join(filter(None, (data["sensor"], data.get("channel"))))
        return _line(data, name, _reading(data))
    if data["type"] == "gap":
        return _line(data, "edged", f"{data.get('count', 'some')} events were dropped: {data['reason']}")
    if data["type"] == "spool_reset":
        return _line(data, "edged", f"the queue was damaged and begins anew: {data['reason']}")
    late = "  (from the queue)" if data.get("replayed") else ""
    return _line(data, data["pipeline"], f"{_WORDS.get(data['type'], '')}{_decided(data)}{late}")


def _decided(data: dict[str, Any]) -> str:
    """Return what was decided: about one label at a time, or, with ``count``, about each label by itself."""
    zone = f" ({data['zone']})" if data.get("zone") else ""
    if "count" in data:
        if data["label"] == UNKNOWN:
            return f"{data['previous']}{zone} is gone" if data["type"] == "end" else UNKNOWN
        many = f", {data['count']} of them" if data["count"] > 1 else ""
        closer = ", ".join(f"{each['label']} {each['score']:.2f}" for each in data.get("then", ()))
        return f"{data['label']}{zone} {data['score']:.2f}{many}{f': {closer}' if closer else ''}"
    decided = data["label"] if data["label"] == UNKNOWN else f"{data['label']} {data['score']:.2f}"
    return decided if data["type"] in _WORDS else f"{decided}  (was {data['previous']})"


def _line(data: dict[str, Any], name: str, what: str) -> str:
    return printable(f"{_hour(data.get('ts', ''))}  {name:<{NAME_WIDTH}}  {what}")


def _hour(ts: str) -> str:
    try:
        return datetime.fromisoformat(ts).astimezone().strftime("%H:%M:%S")
    except ValueError:
        return "--:--:--"


def _reading(data: dict[str, Any]) -> str:
    value = data["value"]
    shown = "none" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value).lower()
    quality = "" if data["quality"] == "good" else f"({data['quality']})"
    return " ".join(filter(None, (shown, data["unit"], quality)))
