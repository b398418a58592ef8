"""Runs a comparison: refuse, measure, write, draw."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.errors import DriverError, Refused
from edged.system.child import ChildFailed, answers
from edged.tools import machine
from edged.tools.bench import budget, plan, rounds
from edged.tools.bench.target import Target

if TYPE_CHECKING:
    from edged.tools.bench.options import Options
    from edged.tools.bench.rounds import Watcher

_DRAW = "edged.tools.bench.draw"
_DRAW_S = 120.0  # matplotlib searches for fonts the first time
_FORMATS = (".png", ".svg")


class Bench:
    """One comparison. What can be refused is refused here, before anything is measured.

    Args:
        options: the options of the command line.

    Raises:
        Refused: a file is missing, cannot be written, or makes no sense.
        DriverError: there is no runtime, or no matplotlib.
        ModelError: the labels cannot be read.
    """

    def __init__(self, options: Options) -> None:
        self._json, self._plot, self._budget_ms = options.json, options.plot, options.budget_ms
        if self._plot is not None and self._plot.suffix.lower() not in _FORMATS:
            raise Refused(f"--plot {self._plot}: write a name that ends in .png or .svg", os.EX_USAGE)
        self._plan, self._notes = plan.plan(options)
        self._json_file = Target(Path(self._json)) if self._json not in {None, "-"} else None
        self._plot_file = Target(self._plot) if self._plot is not None else None
        if self._plot is not None:
            _draw({})

    def measure(self, watcher: Watcher) -> dict[str, Any]:
        """Make all measurements; return the data for the JSON file."""
        for note in self._notes:
            watcher.note(note)
        report: dict[str, Any] = {
            "machine": machine.describe(),
            "results": rounds.measure(self._plan, watcher),
        }
        if self._budget_ms is not None:
            report |= {
                "budget_ms": self._budget_ms,
                "best": budget.choose(report["results"], self._budget_ms),
            }
        return report

    def write(self, report: dict[str, Any]) -> None:
        """Write the files that the command line asks for.

        Raises:
            Refused: a file cannot be written.
        """
        text = json.dumps(report, indent=1) + "\n"
        if self._json_file is not None:
            self._json_file.write(text.encode())
        elif self._json == "-":
            sys.stdout.write(text)
        if self._plot is not None and self._plot_file is not None:
            if all(result["error"] for result in report["results"]):
                raise Refused(f"{self._plot} was not drawn: nothing was measured")
            self._plot_file.write(_draw({"format": self._plot.suffix.lower()[1:], **report}))


def _draw(request: dict[str, Any]) -> bytes:
    """Return the chart of a report; with an empty report, only check that drawing would work.

    Raises:
        DriverError: there is no matplotlib.
        Refused: the chart could not be drawn.
    """
    try:
        received = list(answers(_DRAW, json.dumps(request).encode(), _DRAW_S))
    except ChildFailed as failed:
        raise Refused(f"the chart cannot be drawn: {failed}") from None
    if "missing" in received[0]:
        raise DriverError(f"--plot needs matplotlib ({received[0]['missing']}): pip install 'edged[plot]'")
    return base64.b64decode(received[0]["picture"])
