"""``edged log``: what was decided on this machine, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edged.cli import terminal
from edged.cli.fitting_table import Column, fitting_table
from edged.cli.times import duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from edged.tools.decisions import Row

NAME = "log"
HELP = "show what was decided on this machine, and for how long"
WIDTH = 200
SINCE = "24h"
_COLUMNS = (
    Column("time"),
    Column("pipeline", shrinks=True),
    Column("decision", shrinks=True),
    Column("score", order=2, right=True),
    Column("held for", order=1, right=True),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--since",
        metavar="22:00|2h",
        default=SINCE,
        help=f"from this time of the day, date (2026-01-31) or age (30min, 2h, 7d) on (default {SINCE})",
    )
    parser.add_argument("--pipeline", metavar="P", help="of this pipeline alone")
    parser.add_argument("--json", action="store_true", help="print the lines as they are kept, as JSON")
    terminal.add_config_option(
        parser,
        f"read state_dir from this file (default {terminal.DEFAULT_CONFIG} where it is, else "
        "$STATE_DIRECTORY, else /var/lib/edged)",
        default=None,
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the decisions; return 1 where there is none."""
    from edged.tools import decisions

    now = datetime.now(tz=UTC).astimezone()
    begin = decisions.since(arguments.since, now)
    lines = decisions.read(_state_dir(arguments.config))
    if arguments.json:
        shown = [data for data in lines if _is_of(data.get("pipeline", ""), arguments.pipeline)]
        shown = [data for data in shown if decisions.time_of(data) >= begin]
        for data in shown:
            terminal.print_json(data)
        return int(not shown)
    # All rows first: what began before and lasts is shown, too.
    rows = [row for row in decisions.rows(lines, now=now) if _is_of(row.pipeline, arguments.pipeline)]
    rows = [row for row in rows if row.until >= begin]
    _show(rows, now)
    if not any(not row.note for row in rows):
        of = f" by {arguments.pipeline}" if arguments.pipeline else ""
        terminal.print_error(f"nothing was decided{of} since {begin:%d %b %H:%M}")
        return 1
    return 0


def _is_of(pipeline: str, wanted: str | None) -> bool:
    """Return whether a line concerns the pipeline that is wanted: what concerns all of them does."""
    return wanted is None or pipeline in ("", wanted)


def _state_dir(config: str | None) -> Path:
    from edged.config import loader, root

    if config is None and Path(terminal.DEFAULT_CONFIG).is_file():
        config = terminal.DEFAULT_CONFIG
    return root.state_dir() if config is None else loader.state_dir(config)


def _show(rows: Sequence[Row], now: datetime) -> None:
    if not rows:
        return
    today = all(row.at.astimezone().date() == now.date() for row in rows)
    console = terminal.console(WIDTH)
    cells = [
        {
            "time": _time(row, "%H:%M:%S" if today else "%d %b %H:%M"),
            "pipeline": row.pipeline,
            "decision": f"{row.what}: {row.count}" if (row.count or 1) > 1 else row.what,
            "score": "" if row.score is None else f"{row.score:.2f}",
            "held for": _held(row),
        }
        for row in rows
    ]
    console.print(fitting_table(_COLUMNS, cells, console.width))
    if any(row.unsure for row in rows):
        terminal.print_line("~ the clock was not set, so this time may be wrong")


def _time(row: Row, form: str) -> str:
    return f"{row.at.astimezone().strftime(form)}{'~' if row.unsure else ''}"


def _held(row: Row) -> str:
    """Return how long a decision held, for people."""
    if row.note:
        return ""
    if row.lasted_s is None:
        return "?"
    held = duration(round(row.lasted_s)) if row.lasted_s >= 1 else "< 1 s"
    return f"{held} …" if row.lasts else held
