"""Numbers as people's programs and devices print them: with a name, a unit, a decimal comma."""

from __future__ import annotations

import re

_QUOTED = 40  # characters that a reason quotes
_CLEAR = re.compile(
    r"(?:(?P<name>[^\W\d][\w ./-]{0,39}?)\s*[=:]\s*)?"
    r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]+|,[0-9]{1,2}|,[0-9]{4,})?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)"
    r"\s*(?:['°%A-Za-zµμΩ/²³·]{1,12}|[A-Za-zµμ/]{0,6}m[23])?"
)
_TROUBLE = re.compile(r"(?i)err|fail|time.?out|invalid|unable|cannot|warn|exception|code")


def number(text: str) -> float | None:
    """Return the number in a text that can be read in one way only, such as ``temp=48.3'C`` or ``21,5``.

    ``1,234`` (one or a thousand?), two numbers, and words such as in ``error: 404`` are not clear.
    """
    match = _CLEAR.fullmatch(text.strip())
    if match is None or _TROUBLE.search(match["name"] or ""):
        return None
    return float(match["number"].replace(",", "."))


def quoted(text: str) -> str:
    """Return the beginning of a text for a reason, on one line and printable."""
    line = " ".join(text.split())
    shown = "".join(c for c in line[:_QUOTED] if c.isprintable())
    return f"'{shown}{'…' if len(line) > _QUOTED else ''}'"
