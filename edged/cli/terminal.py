"""The verbs of the command line, one module each.

A module has ``NAME``, ``HELP``, ``configure(parser)``, which adds its options, and ``run(arguments)``, which
returns an exit status of sysexits. What is heavy is imported in ``run``, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from rich.console import Console

DEFAULT = "/etc/edged/edged.yaml"
USAGE, UNAVAILABLE, SOFTWARE, CANNOT_CREATE, TEMPORARY, NO_PERMISSION, CONFIG = 64, 69, 70, 73, 75, 77, 78
INTERRUPTED = 130


def take_config(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the configuration."""
    parser.add_argument("-c", "--config", metavar="FILE", default=DEFAULT, help=f"default {DEFAULT}")


def console(width: int) -> Console:
    """Return where tables go: as wide as the terminal, or so wide where nobody looks: a line is a line."""
    from rich.console import Console

    people = Console(highlight=False)
    return people if people.is_terminal else Console(highlight=False, width=width)


def complain(lines: Iterable[object]) -> None:
    """Write to standard error, one line each."""
    for line in lines:
        print(f"edged: {line}", file=sys.stderr)
