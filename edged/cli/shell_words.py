"""The verbs and options of the command line as data, read from its parser for completions and the manual."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FOLDERS = frozenset({"DIR"})
_FILES = frozenset({"FILE", "F", "PATH", "MODEL", "SOURCE", "S", "LIBRARY"})


@dataclass(frozen=True)
class Option:
    """An option, or an argument without one.

    Attributes:
        words: how it is written, such as ``-o`` and ``--output``; none for an argument.
        value: what follows it, as the help names it; empty for a switch.
        choices: the values that it takes; empty where there is no list of them.
        kind: what else its value is: ``file``, ``folder``, or empty.
        help: one sentence.
        many: it may be given several times.
    """

    words: tuple[str, ...]
    value: str
    choices: tuple[str, ...]
    kind: str
    help: str
    many: bool = False


@dataclass(frozen=True)
class Verb:
    """A verb.

    Attributes:
        name: the verb.
        help: one sentence.
        options: those with words.
        arguments: those without.
        usage: how it is called, on one line.
    """

    name: str
    help: str
    options: tuple[Option, ...]
    arguments: tuple[Option, ...]
    usage: str


def verbs(parser: argparse.ArgumentParser) -> list[Verb]:
    """Return all verbs of the command line."""
    found = []
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - argparse has no other way
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001 - argparse has no other way
            for name, below in action.choices.items():
                options = list(_options(below._actions))  # noqa: SLF001 - argparse has no other way
                usage = " ".join(below.format_usage().removeprefix("usage: ").split())
                found.append(
                    Verb(
                        name,
                        _plain(helps[name]),
                        tuple(option for option in options if option.words),
                        tuple(option for option in options if not option.words),
                        usage,
                    )
                )
    return found


def _options(actions: Sequence[argparse.Action]) -> Iterator[Option]:
    for action in actions:
        takes = action.nargs != 0
        value = (action.metavar or action.dest.upper()) if takes else ""
        many = action.nargs in ("*", "+") or isinstance(action, argparse._AppendAction)  # noqa: SLF001 - argparse has no other way
        yield Option(
            tuple(action.option_strings),
            value if isinstance(value, str) else " ".join(value),
            tuple(map(str, action.choices or ())),
            _kind(action, str(value)) if takes else "",
            _plain(action.help or ""),
            many,
        )


def _kind(action: argparse.Action, value: str) -> str:
    if value in _FOLDERS:
        return "folder"
    named = value.split(".", maxsplit=1)[0] if value.isupper() or "." in value else value
    return "file" if action.type is Path or value in _FILES or named in _FILES else ""


def _plain(text: str) -> str:
    return " ".join(text.replace("%%", "%").split())
