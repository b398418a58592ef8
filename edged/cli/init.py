"""``edged init``: a commented configuration of what this machine has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edged.cli import terminal

if TYPE_CHECKING:
    import argparse

NAME = "init"
HELP = "write a commented configuration of what this machine has"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("-o", "--output", metavar="FILE", default="-", help="default: standard output")


def run(arguments: argparse.Namespace) -> int:
    """Write the sample, and never over a file that is there."""
    from edged.config.sample import sample

    text = sample(own=_own())
    if arguments.output == "-":
        print(text, end="")
        return 0
    path = Path(arguments.output)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        terminal.complain([f"{path} is there already: move it away, or name another file with -o"])
        return terminal.CANNOT_CREATE
    except OSError as error:
        terminal.complain([f"{path} cannot be written: {(error.strerror or str(error)).lower()}"])
        return terminal.CANNOT_CREATE
    print(f"{path}: written; look at it, then run: edged check -c {path}")
    return 0


def _own() -> tuple[Path, Path] | None:
    """Return a person's state_dir and run_dir; None for root and a service, who have /var/lib and /run.

    The run directory is written to every few seconds, so it is the login's in memory where there is one.
    """
    if os.geteuid() == 0 or "STATE_DIRECTORY" in os.environ:
        return None
    state = _folder("XDG_STATE_HOME", Path.home() / ".local/state") / "edged"
    return state, _folder("XDG_RUNTIME_DIR", state / "run") / "edged"


def _folder(variable: str, otherwise: Path) -> Path:
    named = Path(os.environ.get(variable, ""))
    return named if named.is_absolute() else otherwise
