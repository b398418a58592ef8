"""``edged page``: what a pipeline sees and decides, in a browser, until Ctrl-C."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edged.cli import model_options, terminal
from edged.cli.progress import Notes

if TYPE_CHECKING:
    from edged.tools.page import Address, Subject

NAME = "page"
HELP = "show a pipeline's picture, decisions and thresholds in a browser, until Ctrl-C"
_OWN_MODEL = ("source", "model", "labels")  # the options that a configuration has keys for


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    terminal.add_config_option(parser, "show a pipeline of this configuration", default=None)
    parser.add_argument("--pipeline", metavar="P", help="which one (default: the only one)")
    parser.add_argument(
        "--source", metavar="SOURCE", help="without -c: as for edged try, such as camera or /dev/videoN"
    )
    parser.add_argument(
        "--model", metavar="F.tflite", type=Path, help="without -c: as for edged try (default: bundled)"
    )
    parser.add_argument("--labels", metavar="F.txt", type=Path, help="without -c: one label a line")
    model_options.configure(parser)
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

    subject = _subject(arguments)
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


def _subject(arguments: argparse.Namespace) -> Subject:
    from edged.errors import Refused
    from edged.tools import page, try_

    if arguments.config is not None:
        for key in _OWN_MODEL:
            if getattr(arguments, key) is not None:
                raise Refused(f"--{key} does not go with -c, whose pipeline has its own", terminal.USAGE)
        return page.of_configuration(Path(arguments.config), arguments.pipeline)
    if arguments.pipeline is not None:
        raise Refused("--pipeline is one of a configuration: write -c too", terminal.USAGE)
    return page.of_options(
        try_.Options(
            source=arguments.source,
            model=arguments.model,
            labels=arguments.labels,
            model_keys=model_options.keys(arguments),
            live=True,
            repeat=True,
        )
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text}: must be a port from 1 to 65535, or 0 for a free one")
    return int(text)
