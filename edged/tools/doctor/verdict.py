"""The verdict of a check: its status, what was found, and how to fix it."""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Status(enum.StrEnum):
    """The status of a check. Only an error means that the daemon would not do what is configured."""

    OK = "ok"
    ABSENT = "absent"  # this board has none, and none is configured
    SKIPPED = "skipped"  # not tried; the detail says why
    WARNING = "warning"
    ERROR = "error"


_BY_WEIGHT = list(Status)


class Verdict(NamedTuple):
    """The result of one check.

    Attributes:
        detail: what was found, in a sentence.
        fix: what to do; empty where there is nothing to do.
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
        """Return the check as JSON-ready data."""
        return asdict(self)


def ok(detail: str) -> Verdict:
    """Return the verdict that all is well."""
    return Verdict(Status.OK, detail)


def warning(detail: str, fix: str = "") -> Verdict:
    """Return the verdict that something is wrong, but the daemon works."""
    return Verdict(Status.WARNING, detail, fix)


def error(detail: str, fix: str = "") -> Verdict:
    """Return the verdict that something does not work."""
    return Verdict(Status.ERROR, detail, fix)


def absent(detail: str, fix: str = "") -> Verdict:
    """Return the verdict that there is no such device."""
    return Verdict(Status.ABSENT, detail, fix)


def skipped(detail: str, fix: str = "") -> Verdict:
    """Return the verdict that it was not tried."""
    return Verdict(Status.SKIPPED, detail, fix)


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """Combine verdicts, at least one: the gravest status, all details, the fix of the gravest."""
    gravest = max(verdicts, key=lambda verdict: _BY_WEIGHT.index(verdict.status)).status
    fixes = dict.fromkeys(v.fix for v in verdicts if v.fix and v.status is gravest)
    return Verdict(gravest, "; ".join(verdict.detail for verdict in verdicts), "; ".join(fixes))
