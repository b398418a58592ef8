"""``edged doctor``: what this board can do, what is wrong, how to mend it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edged.cli import terminal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import Console

    from edged.tools.doctor import Check

NAME = "doctor"
HELP = "say what this board can do, what is wrong, and how to mend it; runs models for real"
_MARKS = {  # with one for those who know few characters
    "ok": ("✓", "+", "green"),
    "absent": ("-", "-", "dim"),
    "skipped": ("·", ".", "dim"),
    "warning": ("!", "!", "yellow"),
    "error": ("✗", "x", "bold red"),
    "fix": ("→", ">", "bold"),
}
_COLUMN = 14  # of the details


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        help=f"examine this configuration too (default {terminal.DEFAULT}, if it is there)",
    )
    parser.add_argument("--json", action="store_true", help="one document for programs")


def run(arguments: argparse.Namespace) -> int:
    """Make every check and show it; 1 where one is an error."""
    from rich.console import Console

    from edged.tools import doctor

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a path or a terminal may know other characters
    console = Console(highlight=False, stderr=arguments.json)
    with console.status("looking at this machine") as progress:
        checks = doctor.examine(
            Path(arguments.config or terminal.DEFAULT),
            given=arguments.config is not None,
            begin=lambda name: progress.update(f"{name} …"),
            tell=lambda check: None if arguments.json else _show(console, check),
        )
    if arguments.json:
        print(json.dumps({"checks": [check.data() for check in checks]}, ensure_ascii=False))
    else:
        _say(console, _summary(checks))
    return int(any(check.status == "error" for check in checks))


def _show(console: Console, check: Check) -> None:
    """Write a line for a check, and an indented one for what mends it."""
    from rich.markup import escape

    _say(console, f"{_mark(check.status, console)} {check.name:<{_COLUMN}} {escape(check.detail)}")
    if check.fix:
        _say(console, f"{'':<{_COLUMN + 3}}{_mark('fix', console)} {escape(check.fix)}")


def _mark(what: str, console: Console) -> str:
    mark, plain, style = _MARKS[what]
    try:
        mark.encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        mark = plain
    return f"[{style}]{mark}[/]"


def _say(console: Console, line: str) -> None:
    """Write a line with its colours to a terminal; without them elsewhere, where a reader may leave."""
    if console.is_terminal:
        console.print(line, soft_wrap=True)
    else:
        from rich.text import Text

        print(Text.from_markup(line).plain, flush=True)


def _summary(checks: Sequence[Check]) -> str:
    counts = [
        f"{count} {noun}{'s' if count > 1 else ''}"
        for noun in ("error", "warning")
        if (count := sum(check.status == noun for check in checks))
    ]
    return ", ".join(counts) or "all is well"
