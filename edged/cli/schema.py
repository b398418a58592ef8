"""``edged schema``: the JSON schema of the configuration, for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.cli import terminal

if TYPE_CHECKING:
    import argparse

NAME = "schema"
HELP = "print the JSON schema of the configuration, for editors"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add no options."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Print the schema."""
    del arguments
    from edged.config import schema

    terminal.print_document(schema.text())
    return 0
