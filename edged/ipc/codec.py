"""Encodes and decodes the messages of one pipe: a datagram is a JSON object, bounded and typed.

The sender is not trusted, so each field has a parser, which takes a value as JSON has it and returns it as
its type, or raises :class:`WireError`. :mod:`edged.ipc.worker_messages` and :mod:`edged.ipc.sensor_messages`
declare messages as dataclasses and give each field its parser.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from edged.errors import EdgedError
from edged.system.isolation import WALLS
from edged.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    Parser = Callable[[Any], Any]

T = TypeVar("T")


class WireError(EdgedError):
    """A message that no worker in order sends; the sentence says what is wrong with it."""


class Codec(Generic[T]):
    """The messages of one pipe.

    A message's tag, ``t``, is its class's name in lower case; a nested dataclass is a list of its fields.

    Args:
        messages: the dataclasses that may cross the pipe.
        parsers: the parser of each field, by the field's name.
        max_bytes: the longest datagram.
        sentences: the fields that are cut to ``longest_sentence`` when they are encoded.
        longest_sentence: characters.
    """

    def __init__(
        self,
        messages: Iterable[type[T]],
        parsers: Mapping[str, Parser],
        *,
        max_bytes: int,
        sentences: Collection[str] = (),
        longest_sentence: int,
    ) -> None:
        self.max_bytes = max_bytes
        self._sentences = frozenset(sentences)
        self._longest_sentence = longest_sentence
        self._parsers: dict[str, tuple[type[T], dict[str, Parser]]] = {
            message.__name__.lower(): (message, {name: parsers[name] for name in _fields(message)})
            for message in messages
        }

    def encode(self, message: T) -> bytes:
        """Return a message as one datagram; sentences are cut to what the other side accepts."""
        data: dict[str, Any] = {"t": type(message).__name__.lower()}
        for name in _fields(type(message)):
            value = getattr(message, name)
            data[name] = value[: self._longest_sentence] if name in self._sentences else value
        return _ENCODER.encode(data).encode(errors="replace")

    def decode(self, data: bytes) -> T:
        """Parse a datagram.

        Raises:
            WireError: too long, not JSON, of an unknown type; or a field is missing, unknown, of another type
                or out of range.
        """
        if len(data) > self.max_bytes:
            raise WireError(f"{len(data)} bytes or more; at most {self.max_bytes} are allowed")
        try:
            values = json.loads(data)
        except (ValueError, RecursionError):
            raise WireError("not JSON") from None
        if not isinstance(values, dict):
            raise WireError("not an object")
        tag = values.pop("t", None)
        message, parsers = self._parsers.get(tag, (None, {})) if isinstance(tag, str) else (None, {})
        if message is None:
            raise WireError("a message of an unknown type")
        if values.keys() != parsers.keys():
            raise WireError(f"a {tag} message with fields missing or unknown")
        return message(**{name: parse(values[name]) for name, parse in parsers.items()})


def _fields(message: type[Any]) -> tuple[str, ...]:
    return tuple(message.__dataclass_fields__)


def _as_list(value: Any) -> list[Any]:
    """Return a nested dataclass as the list of its fields."""
    return [getattr(value, name) for name in _fields(type(value))]


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_as_list)


def expected(what: str) -> WireError:
    """Return the error of a field that holds something else."""
    return WireError(f"{what} expected")


def text(longest: int, *, empty: bool = False) -> Callable[[Any], str]:
    """Return a parser of text up to this length; characters that cannot be printed become ``?``."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or len(value) > longest or not (value or empty):
            raise expected(f"text of at most {longest} characters")
        return printable(value)

    return parse


def matching(pattern: str, what: str) -> Callable[[Any], str]:
    """Return a parser of text that matches a pattern from end to end.

    Args:
        pattern: a regular expression.
        what: what such a text is, for errors.
    """
    compiled = re.compile(pattern)

    def parse(value: Any) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise expected(what)
        return value

    return parse


def one_of(words: frozenset[str]) -> Callable[[Any], str]:
    """Return a parser of one of these words."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise expected("one of " + ", ".join(sorted(words)))
        return value

    return parse


def number(most: float = sys.float_info.max, least: float = 0.0) -> Callable[[Any], float]:
    """Return a parser of a number in this range."""

    def parse(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise expected("a number")
        if not least <= value <= most:  # which no NaN is
            raise expected(f"a number from {least:g} to {most:g}")
        return float(value)

    return parse


def list_of(parse: Callable[[Any], T], most: int) -> Callable[[Any], tuple[T, ...]]:
    """Return a parser of a list with at most this many items."""

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
    """Parse a sensor's value: a finite number, a state, or nothing."""
    return value if value is None or isinstance(value, bool) else _any_number(value)


time = number(253402300799.0)
"""Parse a wall time, s since 1970; up to the end of the year 9999."""
quality = one_of(frozenset({"good", "stale", "suspect", "bad"}))
"""Parse a reading's quality."""
isolation = list_of(one_of(frozenset(WALLS)), len(WALLS))
"""Parse the walls that isolate a worker."""
