"""``edged schema``: the JSON schema of the configuration, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edged.cli import terminal

if TYPE_CHECKING:
    import argparse

NAME = "schema"
HELP = "print the JSON schema of the configuration, for editors"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("-o", "--output", metavar="FILE", default="-", help="default: standard output")


def run(arguments: argparse.Namespace) -> int:
    """Print the schema, or replace a file with it."""
    from edged.config import schema

    if arguments.output == "-":
        terminal.print_document(schema.text())
        return 0
    from edged.tools.bench.target import Target

    Target(Path(arguments.output)).write(schema.text().encode())
    return 0
