"""``edged audit``: what became of every event that was accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.cli import terminal

if TYPE_CHECKING:
    import argparse

NAME = "audit"
HELP = "say what became of every event that was accepted; runs beside the daemon or after it died"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    terminal.take_config(parser)
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> int:
    """Print the balance; 1 where it does not add up, 77 where this user may not see."""
    from edged.config import loader
    from edged.tools import audit

    config = loader.load(arguments.config)
    found = audit.audit(config.state_dir)
    denied = found["balanced"] is None
    if arguments.json:
        print(audit.as_json(found))
    elif denied:
        terminal.complain([audit.text(found)])
    else:
        print(audit.text(found))
    return terminal.NO_PERMISSION if denied else int(not found["balanced"])
