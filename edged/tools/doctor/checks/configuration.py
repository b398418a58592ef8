"""Checks the configuration as ``edged check`` does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edged.tools.check import examine
from edged.tools.doctor.verdict import Verdict, error, ok, skipped, warning

if TYPE_CHECKING:
    from edged.tools.doctor.subject import Subject


def configuration(subject: Subject) -> Verdict:
    """Judge the whole configuration."""
    if subject.config is None and not subject.given and not os.path.lexists(subject.path):
        return skipped(subject.why_not, f"edged init -o {subject.path}")
    found = examine(subject.path)
    problems = found.problems
    if not problems and found.warnings:
        return warning(
            "; ".join(map(str, found.warnings)), f"edged check -c {subject.path} lists problems and warnings"
        )
    if not problems:
        return ok(f"{subject.path} is good")
    if all("may not be read" in problem.what for problem in problems):
        return skipped(str(problems[0]), "run edged doctor as root, or as the user of the service")
    count = "1 error" if len(problems) == 1 else f"{len(problems)} errors, the first"
    return error(f"{count}: {problems[0]}", f"edged check -c {subject.path} lists them all")
