"""What a check says: how it stands, what was seen, and what mends it."""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Status(enum.StrEnum):
    """How it stands. Only an error says that the daemon would not do what it was told to."""

    OK = "ok"
    ABSENT = "absent"  # this board has none, and nobody asked for one
    SKIPPED = "skipped"  # it could not be tried; the detail says why
    WARNING = "warning"
    ERROR = "error"


_BY_WEIGHT = list(Status)


class Verdict(NamedTuple):
    """What one check found.

    Attributes:
        detail: what was seen, in a sentence.
        fix: what to do; empty where nothing is to be done.
    """

    status: Status
    detail: str
    fix: str = ""


@dataclass(frozen=True)
class Check:
    """A verdict with the name of its check."""

    name: str
    status: Status
    detail: str
    fix: str = ""

    def data(self) -> dict[str, str]:
        """Return it as JSON-ready data."""
        return asdict(self)


def ok(detail: str) -> Verdict:
    """Return that all is well."""
    return Verdict(Status.OK, detail)


def warning(detail: str, fix: str = "") -> Verdict:
    """Return that something is not as it should be, and the daemon works all the same."""
    return Verdict(Status.WARNING, detail, fix)


def error(detail: str, fix: str = "") -> Verdict:
    """Return that something does not work."""
    return Verdict(Status.ERROR, detail, fix)


def absent(detail: str, fix: str = "") -> Verdict:
    """Return that there is no such thing."""
    return Verdict(Status.ABSENT, detail, fix)


def skipped(detail: str, fix: str = "") -> Verdict:
    """Return that it could not be tried."""
    return Verdict(Status.SKIPPED, detail, fix)


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """Return several, at least one, as one: the gravest status, all details, what mends the gravest."""
    gravest = max(verdicts, key=lambda verdict: _BY_WEIGHT.index(verdict.status)).status
    fixes = dict.fromkeys(v.fix for v in verdicts if v.fix and v.status is gravest)
    return Verdict(gravest, "; ".join(verdict.detail for verdict in verdicts), "; ".join(fixes))
