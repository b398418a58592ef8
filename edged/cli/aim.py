"""``edged aim``: what the model sees, drawn on this terminal alone, to aim and focus a camera."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TextIO

from edged.cli import subject_options, terminal
from edged.ipc.aim_request import WAYS

NAME = "aim"
HELP = "show on this terminal what the model sees, with sharpness and light, to aim and focus a camera"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    subject_options.configure(parser, "look through a pipeline of this configuration")
    parser.add_argument(
        "--exact", action="store_true", help="the picture in the model's own pixels (key e changes that)"
    )
    parser.add_argument(
        "--draw",
        choices=("auto", *WAYS),
        default="auto",
        help="how: as a picture where the terminal can, else with half blocks in 24bit or 256 colours",
    )
    parser.add_argument(
        "--kbit", metavar="N", type=_count, help="send at most N kbit/s (default: 720 over ssh, else 32000)"
    )
    parser.add_argument("--count", metavar="N", type=_count, help="end after N pictures")
    parser.add_argument(
        "--out", metavar="FILE.jpg", type=Path, help="write the last picture there; otherwise none is written"
    )


def run(arguments: argparse.Namespace) -> int:
    """Show the picture until q or Ctrl-C."""
    from edged.tools import aim

    screen = aim.Terminal(_descriptor(sys.stdin), _descriptor(sys.stdout), os.environ)
    options = aim.Options(
        way=None if arguments.draw == "auto" else arguments.draw,
        kbit_per_s=arguments.kbit,
        count=arguments.count,
        exact=arguments.exact,
        out=arguments.out,
    )
    return aim.look(
        subject_options.subject(arguments),
        options,
        screen,
        lambda said: terminal.print_line(said, stderr=True),
    )


def _descriptor(stream: TextIO) -> int:
    """Return the descriptor of a standard stream; -1 where it is closed."""
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return -1


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a number of at least 1")
    return int(text)
