"""The errors of edged. Each answers one question for whoever catches it: stop, or try again?

``ConfigError``, ``DriverError`` and ``ModelError`` stop what they concern until a person changes something;
``Unavailable`` is tried again with back-off; ``Refused`` is an answer to whoever typed a command. Everything
else is a defect: a traceback once, counted.
"""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class EdgedError(Exception):
    """The root of everything that edged raises on purpose.

    Attributes:
        status: with which a command ends that can do nothing about it; one of sysexits.
    """

    status = os.EX_UNAVAILABLE


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a configuration file.

    Attributes:
        where: ``file:line:column``, counted from 1, or just the file where no line applies.
        what: what is wrong, in one sentence.
        hint: what to write instead; empty where the sentence says it already.
    """

    where: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f" ({self.hint})" if self.hint else "")


class ConfigError(EdgedError, ValueError):
    """The configuration is wrong; ``problems`` lists every finding. Exit code 78."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class DriverError(EdgedError, ImportError):
    """A driver is unknown or its package is missing; the message holds the command that installs it."""


class ModelError(EdgedError, ValueError):
    """A model or its labels cannot be used: wrong file, wrong shape, wrong count."""


class Refused(EdgedError):  # noqa: N818 - what is refused is said in its sentence
    """What the command line asks for cannot be done: one sentence, and an exit status of sysexits."""

    def __init__(self, sentence: str, status: int = os.EX_UNAVAILABLE) -> None:
        super().__init__(sentence)
        self.status = status


class Reason(enum.StrEnum):
    """Why something is unavailable, for programs; the message is for people."""

    ABSENT = "absent"  # no such device or file
    BUSY = "busy"  # somebody else holds it
    DENIED = "denied"  # permission
    TIMEOUT = "timeout"  # it did not answer in time
    LOST = "lost"  # it was there and went away
    ENDED = "ended"  # a finite source gave its last sample
    NETWORK = "network"  # not reached, refused, reset


class Unavailable(EdgedError, OSError):  # noqa: N818 - it is a state of the world rather than an error
    """A device or a broker is away for now: close, back off, open again."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class DeviceBusy(Unavailable):
    """Somebody else holds the device; ``holder`` says who, where that is known."""

    def __init__(self, message: str, holder: str = "") -> None:
        super().__init__(Reason.BUSY, f"{message} (held by {holder})" if holder else message)
        self.holder = holder


class StateBusy(Unavailable):
    """Another edged works in this state directory; ``pid`` is its process, if known. Exit code 75."""

    def __init__(self, state_dir: Path, pid: int | None) -> None:
        holder = "another edged" if pid is None else f"another edged (process {pid})"
        super().__init__(
            Reason.BUSY, f"{holder} uses {state_dir}: stop it, or give this one its own state_dir"
        )
        self.pid = pid
