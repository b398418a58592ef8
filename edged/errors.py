"""The exceptions of edged. The class answers the caller's question: stop, or try again?

``ConfigError``, ``DriverError`` and ``ModelError`` stop the part concerned until a person changes something;
``Unavailable`` is retried with back-off; ``Refused`` ends a command with a message. Any other exception is a
defect, whose traceback is logged once.
"""

from __future__ import annotations

import enum
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from edged.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class EdgedError(Exception):
    """The base class of all exceptions that edged raises on purpose.

    Attributes:
        status: the exit status of a command that fails with it; one of sysexits.
    """

    status = os.EX_UNAVAILABLE


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a configuration file.

    Attributes:
        where: ``file:line:column``, counted from 1, or only the file where no line applies.
        what: a sentence that names the problem.
        hint: the correction to make; empty where the sentence already names it.

    What cannot be printed is replaced: a problem may quote the file that it is about.
    """

    where: str
    what: str
    hint: str = ""

    def __post_init__(self) -> None:
        for name in ("where", "what", "hint"):
            object.__setattr__(self, name, printable(getattr(self, name)))

    def to_data(self) -> dict[str, str]:
        """Return the problem as data for JSON."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, str]) -> Problem:
        """Return the problem that :meth:`to_data` gave."""
        return cls(**data)

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f" ({self.hint})" if self.hint else "")


class ConfigError(EdgedError, ValueError):
    """The configuration is wrong; ``problems`` lists all problems. Exit status 78."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class DriverError(EdgedError, ImportError):
    """A driver is unknown, or its package is missing; the message names the command that installs it."""


class ModelError(EdgedError, ValueError):
    """A model or its labels cannot be used: wrong file, wrong shape, wrong count.

    What cannot be printed is replaced: the sentence may quote the model.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(printable(sentence))


class Refused(EdgedError):  # noqa: N818 - it is an answer to a command, not a failure of the program
    """A command cannot be carried out: one sentence, and an exit status of sysexits."""

    def __init__(self, sentence: str, status: int = os.EX_UNAVAILABLE) -> None:
        super().__init__(sentence)
        self.status = status


class Reason(enum.StrEnum):
    """The reason why something is unavailable, for programs; the message is for people."""

    ABSENT = "absent"  # there is no such device or file
    BUSY = "busy"  # another process uses it
    DENIED = "denied"  # permission
    TIMEOUT = "timeout"  # it did not answer in time
    LOST = "lost"  # it went away
    ENDED = "ended"  # a finite source has delivered its last sample
    KEPT = "kept"  # this process could not give it back, so that only its end does
    NETWORK = "network"  # unreachable, or reset
    HOST = "host"  # no such host is known
    REFUSED = "refused"  # nothing listens on that port
    LOGIN = "login"  # user or password is wrong or missing
    NOT_FOUND = "not-found"  # it has nothing at that path
    NO_VIDEO = "no-video"  # it answers with something else


class Unavailable(EdgedError, OSError):  # noqa: N818 - it is a state of a device rather than an error
    """A device or a broker is away for now: close, back off, open again."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class DeviceBusy(Unavailable):
    """Another process uses the device; ``holder`` names it where that is known."""

    def __init__(self, message: str, holder: str = "") -> None:
        super().__init__(Reason.BUSY, f"{message} (held by {holder})" if holder else message)
        self.holder = holder


class StateBusy(Unavailable):
    """Another edged uses this state directory; ``pid`` is its process, if known. Exit status 75."""

    def __init__(self, state_dir: Path, pid: int | None) -> None:
        holder = "another edged" if pid is None else f"another edged (process {pid})"
        super().__init__(
            Reason.BUSY, f"{holder} uses {state_dir}: stop it, or give this one its own state_dir"
        )
        self.pid = pid
