"""``edged doctor``: the capabilities of this board, its problems, and how to fix them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edged.cli import terminal
from edged.errors import Refused

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import Console

    from edged.tools.doctor import Check

NAME = "doctor"
HELP = "check this board's hardware, software and service, and show how to fix problems; really runs models"
_MARKS = {  # the mark, its substitute for terminals with few characters, and its style
    "ok": ("✓", "+", "green"),
    "absent": ("-", "-", "dim"),
    "skipped": ("·", ".", "dim"),
    "warning": ("!", "!", "yellow"),
    "error": ("✗", "x", "bold red"),
    "fix": ("→", ">", "bold"),
}
_COLUMN = 14  # where the details begin


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    terminal.add_config_option(
        parser,
        f"check this configuration too (default {terminal.DEFAULT_CONFIG}, if it exists)",
        default=None,
    )
    parser.add_argument("--json", action="store_true", help="print the report as one JSON document")
    parser.add_argument(
        "--report",
        metavar="FILE",
        help="add the results to FILE, without names, addresses and serial numbers, to send to others",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run every check and show its result; return 1 where one of them is an error."""
    from edged.tools import doctor

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # not every terminal can show every path
    console = terminal.console(stderr=arguments.json)
    config = Path(arguments.config or terminal.DEFAULT_CONFIG)
    with console.status("checking this machine") as progress:
        checks = doctor.examine(
            config,
            given=arguments.config is not None,
            begin=lambda name: progress.update(f"{name} …"),
            tell=lambda check: None if arguments.json else _show(console, check),
        )
    if arguments.report:
        _report(Path(arguments.report), checks, config)
    if arguments.json:
        terminal.print_json({"checks": [check.data() for check in checks]})
    else:
        terminal.print_markup(console, _summary(checks))
    return int(any(check.status == "error" for check in checks))


def _report(path: Path, checks: Sequence[Check], config: Path) -> None:
    """Add the results to a file. Raises ``Refused`` where it cannot be written."""
    from edged.tools.doctor import report

    try:
        report.append(path, checks, config_path=config, root=Path("/"))
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}", os.EX_CANTCREAT) from error


def _show(console: Console, check: Check) -> None:
    """Print a line for a check, and an indented one for its fix."""
    mark, name = _mark(check.status, console), f"{check.name:<{_COLUMN}}"
    terminal.print_markup(console, f"{mark} {name} {terminal.escape(check.detail)}")
    if check.fix:
        mark, indent = _mark("fix", console), " " * (_COLUMN + 3)
        terminal.print_markup(console, f"{indent}{mark} {terminal.escape(check.fix)}")


def _mark(name: str, console: Console) -> str:
    mark, substitute, style = _MARKS[name]
    try:
        mark.encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        mark = substitute
    return f"[{style}]{mark}[/]"


def _summary(checks: Sequence[Check]) -> str:
    counts = [
        f"{count} {noun}{'s' if count > 1 else ''}"
        for noun in ("error", "warning")
        if (count := sum(check.status == noun for check in checks))
    ]
    return ", ".join(counts) or "no errors, no warnings"
