"""``edged audit``: an account of every event that was accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.cli import terminal

if TYPE_CHECKING:
    import argparse

NAME = "audit"
HELP = "account for every accepted event; works whether or not the daemon is running"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    terminal.add_config_option(parser)
    parser.add_argument("--json", action="store_true", help="print the account as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the account; return 1 where it does not add up, 77 where this user may not read the spool."""
    from edged.config import loader
    from edged.tools import audit

    config = loader.load(arguments.config)
    found = audit.audit(config.state_dir, config.spool.max_mb)
    denied = found["balanced"] is None
    if arguments.json:
        terminal.print_json(found)
    elif denied:
        terminal.print_error(audit.text(found))
    else:
        terminal.print_document(f"{audit.text(found)}\n")
    return terminal.NO_PERMISSION if denied else int(not found["balanced"])
