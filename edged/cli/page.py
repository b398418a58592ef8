"""``edged page``: what a pipeline sees and decides, in a browser, until Ctrl-C."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edged.cli import subject_options, terminal
from edged.cli.progress import Notes

if TYPE_CHECKING:
    from edged.tools.page import Address, Subject

NAME = "page"
HELP = "show a pipeline's picture, decisions and thresholds in a browser, until Ctrl-C"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    subject_options.configure(parser, "show a pipeline of this configuration")
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--socket",
        metavar="PATH",
        type=Path,
        help="the unix socket to serve at (default: page.sock in run_dir)",
    )
    place.add_argument(
        "--port", metavar="N", type=_port, help="serve on this port of 127.0.0.1 instead; 0: any free one"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    from edged.tools import page

    subject = subject_options.subject(arguments)
    if arguments.port is not None:
        address = page.Address.at_port(arguments.port)
    else:
        address = page.Address.at_socket(arguments.socket or page.socket_path(subject.run_dir))
    try:
        return page.serve(subject, address, Terminal(subject))
    finally:
        address.close()


class Terminal(Notes):
    """Prints how the page is opened, and notes to standard error.

    Args:
        subject: what is shown.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    def ready(self, address: Address) -> None:
        """Print how to open the page."""
        terminal.print_line(f"{self._subject.source}: to be seen until Ctrl-C, by this address alone")
        for what, how in address.instructions():
            terminal.print_line(f"  {what}:")
            terminal.print_line(f"    {how}")
        if self._subject.left_out:
            keys = " and ".join(self._subject.left_out)
            terminal.print_line(
                f"  here {keys} of the configuration do not count: every picture is classified"
            )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text}: must be a port from 1 to 65535, or 0 for a free one")
    return int(text)
