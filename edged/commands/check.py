"""``edged check``: everything that is wrong with a configuration, without touching a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged import commands

if TYPE_CHECKING:
    import argparse

NAME = "check"
HELP = "say what is wrong with a configuration; touches no device"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "-c", "--config", metavar="FILE", default=commands.DEFAULT, help=f"default {commands.DEFAULT}"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the problems, or what was found good."""
    from edged.check import check
    from edged.config import loader

    problems = check(arguments.config)
    for problem in problems:
        print(problem)
    if problems:
        return commands.CONFIG
    pipelines = loader.load(arguments.config).pipelines
    count = f"{len(pipelines)} pipeline{'s' if len(pipelines) > 1 else ''}"
    print(f"{arguments.config}: good: {count} ({', '.join(pipelines)})")
    return 0
