"""Text that others wrote, made safe to show: it can move no cursor, turn no text round and begin no line.

A label, a model's file name, a health message of another node or a device's answer reaches terminals and
logs. Whatever is printed for a person passes one of these functions.
"""

from __future__ import annotations

import unicodedata

SUBSTITUTE = "?"
# Persian and Hindi need the two joiners; they change how their neighbours look, and nothing else.
_JOINERS = "\u200c\u200d"


def printable(text: str) -> str:
    """Return the text on one line: controls, C1, bidirectional marks and line ends become ``?``."""
    if text.isprintable():
        return text
    return "".join(c if _is_harmless(c) else SUBSTITUTE for c in text)


def printable_lines(text: str) -> str:
    """Return the text with its lines and tabs, and otherwise as :func:`printable`."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or _is_harmless(c) else SUBSTITUTE for c in text)


def _is_harmless(character: str) -> bool:
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"
