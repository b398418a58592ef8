"""Takes a datagram of JSON apart: whoever sent it is not trusted, so each field is bounded and typed.

For :mod:`edged.ipc.worker_messages` and :mod:`edged.ipc.sensor_messages`. A parser takes a value as JSON has
it and returns it as its type, or raises :class:`WireError`.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from edged.errors import EdgedError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class WireError(EdgedError):
    """A message that no worker in order sends."""


def unwrap(data: bytes, most: int) -> tuple[str, dict[str, Any]]:
    """Return the type that a datagram names ("" for none) and its other fields. Raises ``WireError``."""
    if len(data) > most:
        raise WireError(f"{len(data)} bytes and more; {most} are the most")
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        raise WireError("no JSON") from None
    if not isinstance(fields, dict):
        raise WireError("no object")
    tag = fields.pop("t", None)
    return tag if isinstance(tag, str) else "", fields


def expected(what: str) -> WireError:
    """Return the error of a field that is something else."""
    return WireError(f"{what} expected")


def text(longest: int, *, empty: bool = False) -> Callable[[Any], str]:
    """Return what parses text of so many characters; those that cannot be printed become ``?``."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or len(value) > longest or not (value or empty):
            raise expected(f"text of at most {longest} characters")
        if not value.isprintable():
            return "".join(c if c.isprintable() else "?" for c in value)
        return value

    return parse


def one_of(words: frozenset[str]) -> Callable[[Any], str]:
    """Return what parses one of these words."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise expected("one of " + ", ".join(sorted(words)))
        return value

    return parse


def number(most: float = sys.float_info.max, least: float = 0.0) -> Callable[[Any], float]:
    """Return what parses a number in this range."""

    def parse(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise expected("a number")
        if not least <= value <= most:  # which no NaN is
            raise expected(f"a number from {least:g} to {most:g}")
        return float(value)

    return parse


def list_of(parse: Callable[[Any], T], most: int) -> Callable[[Any], tuple[T, ...]]:
    """Return what parses a list of at most so many."""

    def parse_all(value: Any) -> tuple[T, ...]:
        if not isinstance(value, list) or len(value) > most:
            raise expected(f"a list of at most {most}")
        return tuple(parse(item) for item in value)

    return parse_all


def count(value: Any) -> int:
    """Parse a whole number from 0."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise expected("a count")
    return value


def flag(value: Any) -> bool:
    """Parse true or false."""
    if not isinstance(value, bool):
        raise expected("true or false")
    return value


_any_number = number(least=-sys.float_info.max)


def measured(value: Any) -> float | bool | None:
    """Parse what a sensor measured: a finite number, a state, or nothing."""
    return value if value is None or isinstance(value, bool) else _any_number(value)


time = number(253402300799.0)
"""Parse a wall time, s since 1970; up to the end of the year 9999."""
quality = one_of(frozenset({"good", "stale", "suspect", "bad"}))
"""Parse what a reading is worth."""
isolation = list_of(one_of(frozenset({"seccomp", "netns"})), 2)
"""Parse what keeps a worker from the network."""
