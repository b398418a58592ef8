"""``edged schema``: the JSON schema of the configuration, or of the topics, as an AsyncAPI document."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from edged.cli import terminal

if TYPE_CHECKING:
    import argparse

NAME = "schema"
_OF = ("configuration", "event", "state", "health", "gap")
HELP = "print the JSON schema of the configuration, for editors"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--asyncapi", action="store_true", help="print all topics and payloads instead, as AsyncAPI 3"
    )
    parser.add_argument(
        "of",
        metavar="|".join(_OF),
        nargs="?",
        choices=_OF,
        default=_OF[0],
        help="of the configuration (the default), or of a message",
    )
    parser.add_argument("-o", "--output", metavar="FILE", default="-", help="default: standard output")


def run(arguments: argparse.Namespace) -> int:
    """Print the schema, or replace a file with it."""
    text = _packaged("asyncapi.json") if arguments.asyncapi else _schema(arguments.of)
    if arguments.output == "-":
        terminal.print_document(text)
        return 0
    from edged.tools.bench.target import Target

    Target(Path(arguments.output)).write(text.encode())
    return 0


def _schema(of: str) -> str:
    if of != _OF[0]:
        return _packaged(f"{of}.schema.json")
    from edged.config import schema

    return schema.text()


def _packaged(name: str) -> str:
    return resources.files("edged").joinpath("schema", name).read_text("utf-8")
