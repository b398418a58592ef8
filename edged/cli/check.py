"""``edged check``: all problems of a configuration, without touching a device."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edged.cli import terminal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection

NAME = "check"
HELP = "list all problems of a configuration; touches no device"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    terminal.add_config_option(parser)
    parser.add_argument("--json", action="store_true", help="print each problem as a line of JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the problems, or a summary of a valid configuration; with ``--json`` only problems."""
    from edged.config import loader
    from edged.config.secrets import exposed_passwords
    from edged.tools.check import examine

    found = examine(arguments.config)
    problems = found.problems
    for problem in problems:
        terminal.print_line(json.dumps(problem.to_data()) if arguments.json else problem)
    if problems:
        return terminal.CONFIG
    if arguments.json:
        return 0
    config = loader.load(arguments.config)
    for warning in (*exposed_passwords(arguments.config), *found.warnings):
        terminal.print_line(f"warning: {warning}", stderr=True)
    counts = [_count("pipeline", config.pipelines), _count("sensor", config.sensors)]
    terminal.print_line(f"{arguments.config}: good: {', '.join(filter(None, counts))}")
    return 0


def _count(noun: str, names: Collection[str]) -> str:
    """Return a phrase such as ``2 pipelines (porch, yard)``; empty where there are no names."""
    return f"{len(names)} {noun}{'s' if len(names) > 1 else ''} ({', '.join(names)})" if names else ""
