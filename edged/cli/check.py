"""``edged check``: all problems of a configuration, without touching a device."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edged.cli import terminal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection

    from edged.errors import Problem

NAME = "check"
HELP = "list all problems of a configuration (-c - reads standard input); touches no device"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    terminal.add_config_option(parser)
    parser.add_argument("--json", action="store_true", help="print each problem as a line of JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the problems, or a summary of a valid configuration; with ``--json`` only problems."""
    from edged.tools.check import examine

    file = arguments.config
    found = examine(file)
    for problem in found.problems:
        terminal.print_line(json.dumps(problem.to_data()) if arguments.json else problem)
    if not arguments.json:
        for warning in (*_exposed_passwords(file), *found.warnings):
            terminal.print_line(f"warning: {warning}", stderr=True)
    if found.problems or found.config is None:
        return terminal.CONFIG
    if not arguments.json:
        names = [_count("pipeline", found.config.pipelines), _count("sensor", found.config.sensors)]
        terminal.print_line(f"{file}: good: {', '.join(filter(None, names))}")
    return 0


def _exposed_passwords(file: str) -> list[Problem]:
    """Return passwords that every user can read; none where the file cannot be read, which is a problem."""
    from edged.config import loader
    from edged.config.secrets import exposed_passwords
    from edged.errors import ConfigError

    if file == loader.STANDARD_INPUT:
        return []
    try:
        return exposed_passwords(file)
    except ConfigError:
        return []


def _count(noun: str, names: Collection[str]) -> str:
    """Return a phrase such as ``2 pipelines (porch, yard)``; empty where there are no names."""
    return f"{len(names)} {noun}{'s' if len(names) > 1 else ''} ({', '.join(names)})" if names else ""
