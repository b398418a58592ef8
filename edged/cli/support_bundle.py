"""``edged support-bundle``: a file for whoever helps, without the owner's names and secrets."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edged.cli import terminal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from edged.tools.support_bundle import Part

NAME = "support-bundle"
HELP = "write a file for whoever helps you: state, log and machine, without names, addresses and secrets"
_COLUMN = 18  # the width of the names


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    terminal.add_config_option(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="default: edged-support-DATE.tar.gz in this folder"
    )
    parser.add_argument("--yes", action="store_true", help="write it without asking")


def run(arguments: argparse.Namespace) -> int:
    """Collect the parts, list them, ask, and write the file."""
    from edged.tools import doctor, support_bundle

    config = Path(arguments.config)
    day = datetime.now(tz=UTC).astimezone().date().isoformat()
    path = Path(arguments.output or f"edged-support-{day}.tar.gz")
    with terminal.console(stderr=True).status("examining this machine"):
        checks = doctor.examine(config, given=False, begin=lambda _: None, tell=lambda _: None)
        parts = support_bundle.collect(config, checks)
    terminal.print_line(f"{path} will have these files:")
    for part in parts:
        size = f"{len(part.text.encode()) / 1000:.1f} kB"
        terminal.print_line(f"  {part.name:<{_COLUMN}} {size:>9}  {part.about}")
    terminal.print_line("Names, addresses, paths, labels and secrets are replaced. Nothing is sent.")
    if not arguments.yes and not _agreed(parts):
        terminal.print_line("nothing was written")
        return 1
    if not terminal.write_new(path, support_bundle.pack(parts), support_bundle.MODE):
        return terminal.CANNOT_CREATE
    terminal.print_line(f"{path}: written; look through it before you send it")
    return 0


def _agreed(parts: Sequence[Part]) -> bool:
    """Ask whether to write the file; show a part whose name is typed."""
    texts = {part.name: part.text for part in parts}
    while True:
        terminal.print_line("Write it? y, n, or the name of a file to read it first:")
        answer = sys.stdin.readline().strip()
        if answer not in texts:
            return answer.lower() in {"y", "yes"}
        terminal.print_document(texts[answer])
