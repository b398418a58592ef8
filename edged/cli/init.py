"""``edged init``: a commented configuration for the hardware of this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edged.cli import terminal

if TYPE_CHECKING:
    import argparse

NAME = "init"
HELP = "write a commented configuration for the hardware of this machine"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("-o", "--output", metavar="FILE", default="-", help="default: standard output")
    parser.add_argument("--broker", metavar="HOST[:PORT]", help="send events to this MQTT broker")
    parser.add_argument(
        "--minimal", action="store_true", help="only what this machine needs, without the keys to choose from"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the sample; never overwrite an existing file."""
    from edged.config import sample
    from edged.tools import broker_option

    broker = None if arguments.broker is None else broker_option.section(arguments.broker)
    write = sample.minimal if arguments.minimal else sample.sample
    text = write(own=_own_directories(), broker=broker)
    if arguments.output == "-":
        terminal.print_document(text)
        return 0
    path = Path(arguments.output)
    if not terminal.write_new(path, text.encode()):
        return terminal.CANNOT_CREATE
    terminal.print_line(f"{path}: written; edit it, then run: edged check -c {path}")
    return 0


def _own_directories() -> tuple[Path, Path] | None:
    """Return state_dir and run_dir for an ordinary user; None for root and a service: /var/lib and /run.

    The run directory is written to every few seconds, so the login session's, in memory, is preferred.
    """
    if os.geteuid() == 0 or "STATE_DIRECTORY" in os.environ:
        return None
    state = _folder("XDG_STATE_HOME", Path.home() / ".local/state") / "edged"
    return state, _folder("XDG_RUNTIME_DIR", state / "run") / "edged"


def _folder(variable: str, default: Path) -> Path:
    folder = Path(os.environ.get(variable, ""))
    return folder if folder.is_absolute() else default
