"""Error messages that name what is wrong with a value and what to write instead.

They are derived from the models (type, range, description), so they cannot drift from them.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, get_args, get_origin

from edged.config import declarations
from edged.config.locations import Place, shown
from edged.config.secrets import is_secret_key
from edged.config.values import FORMS
from edged.config.yaml_tree import Mapping, data, kind, where
from edged.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edged.config.declarations import Declared


def closest(word: str, known: Iterable[str]) -> str:
    """Return "did you mean 'x'?", or nothing where no word is close."""
    words = {w.lower(): w for w in known}
    match = difflib.get_close_matches(word[:64].lower(), words, n=1, cutoff=0.6)
    return f"did you mean '{words[match[0]]}'?" if match else ""


def problem(name: str, place: Place, error: Any) -> Problem:
    """Return the problem for one of pydantic's errors.

    Args:
        name: the file's name.
        place: the result of ``find`` for the error's location.
        error: one item of ``ValidationError.errors()``.
    """
    at, type_ = where(name, place.mark), error["type"]
    if type_ == "extra_forbidden":
        return _unknown_key(at, place)
    if type_ in ("consistency", "driver", "value_error"):
        return Problem(at, f"{place.path}: {error['ctx'].get('error', error['msg'])}".removeprefix(": "))
    if type_ == "nothing":
        return Problem(at, f"{place.path} is missing", error["msg"])
    if place.missing:
        hint = place.declared.description if place.declared else ""
        return Problem(at, f"{place.path} is missing", _missing_space(place) or hint)
    if type_ == "unknown_kind":
        return _unknown_kind(at, place, error["ctx"]["kinds"], error["ctx"]["meant"])
    return _wrong_value(at, place)


def _missing_space(place: Place) -> str:
    """Return a hint where ``{key:value}`` was meant to be the missing key: YAML reads that as one word."""
    keys = place.node.keys if isinstance(place.node, Mapping) else ()
    meant = any(key.startswith(f"{place.name}:") for key in keys)
    return f"write a space after the colon: {place.name}: …" if meant else ""


def _unknown_key(at: str, place: Place) -> Problem:
    if is_secret_key(place.name):
        hint = "put it in a file of its own and name that file in password_file"
        return Problem(at, f"{place.path}: secrets must not be written in this file", hint)
    parent, node = place.above or (None, None)
    model = declarations.block(parent, kind(node)) if parent and node else None
    known = list(model.model_fields) if model else []
    others = declarations.kinds_with(parent, place.name) if parent else []
    hint = f"it belongs to kind {_either(others)}" if others else closest(place.name, known)
    hint = hint or f"the keys are {', '.join(known)}"
    return Problem(at, f"{place.path}: there is no key '{shown(place.name)}'", hint)


def _unknown_kind(at: str, place: Place, kinds: list[str], meant: str) -> Problem:
    text = data(place.node)
    hint = closest(text, kinds) if isinstance(text, str) else ""
    if meant:
        hint = f"write kind: {meant}"
    return Problem(at, f"{place.path} is {place.quoted}, but must be {_either(kinds)}", hint)


def _wrong_value(at: str, place: Place) -> Problem:
    declared = place.declared
    if declared is None:
        return Problem(at, f"{place.path} is {place.quoted}, which is not allowed here")
    if place.of_key and place.above and (above := place.above[0]):
        key = declarations.key(above)
        return Problem(at, f"{place.path}: the name must be {words(key) if key else 'another'}")
    text = data(place.node)
    close = closest(text, declared.choices) if isinstance(text, str) else ""
    hint = close or declared.description
    return Problem(at, f"{place.path or 'the file'} is {place.quoted}, but must be {words(declared)}", hint)


def words(declared: Declared) -> str:
    """Return a phrase for the values that are allowed: type, range, choices."""
    if declared.choices:
        return _either(declared.choices)
    return " or ".join(dict.fromkeys(_type(declared, t) for t in declared.types)) or "something else"


_NAMES: dict[Any, str] = {bool: "true or false", int: "a whole number", float: "a number"}


def _type(declared: Declared, t: Any) -> str:
    origin = get_origin(t)
    if t in _NAMES:
        return f"{_NAMES[t]}{_range(declared)}"
    if origin is dict or declared.model is t:
        high = declared.limit("max_length")
        return f"a block of {f'at most {high} ' if high is not None else ''}keys"
    if origin in (list, tuple, set, frozenset):
        arguments = get_args(t)
        fixed = origin is tuple and Ellipsis not in arguments
        return f"a list of {len(arguments)}" if fixed else f"a list{_length(declared, 'item')}"
    if pattern := declared.limit("pattern"):
        return FORMS.get(pattern, f"text that matches {pattern}")
    return f"text{_length(declared, 'character')}"


def _range(declared: Declared) -> str:
    low, above = declared.limit("ge"), declared.limit("gt")
    high, below = declared.limit("le"), declared.limit("lt")
    if low is not None and high is not None:
        return f" from {_plain(low)} to {_plain(high)}"
    parts = [
        f"{word} {_plain(value)}"
        for word, value in (("at least", low), ("above", above), ("at most", high), ("below", below))
        if value is not None
    ]
    return " " + ", ".join(parts) if parts else ""


def _length(declared: Declared, unit: str) -> str:
    low, high = declared.limit("min_length"), declared.limit("max_length")
    if high is not None:
        return f" of {low} to {high} {unit}s" if low else f" of at most {high} {unit}s"
    return f" of at least {low} {unit}{'s' if low > 1 else ''}" if low else ""


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def _either(choices: list[str]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}" if len(choices) > 1 else "".join(choices)
