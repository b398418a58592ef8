"""``edged schema``: the JSON schema of the configuration, for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

NAME = "schema"
HELP = "print the JSON schema of the configuration, for editors"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add no options."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    del arguments
    from edged.config import schema

    print(schema.text(), end="")
    return 0
