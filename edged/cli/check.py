"""``edged check``: everything that is wrong with a configuration, without touching a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.cli import terminal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection

NAME = "check"
HELP = "say what is wrong with a configuration; touches no device"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    terminal.take_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the problems, or what was found good."""
    from edged.config import loader
    from edged.tools.check import check

    problems = check(arguments.config)
    for problem in problems:
        print(problem)
    if problems:
        return terminal.CONFIG
    config = loader.load(arguments.config)
    counted = [_count("pipeline", config.pipelines), _count("sensor", config.sensors)]
    print(f"{arguments.config}: good: {', '.join(filter(None, counted))}")
    return 0


def _count(noun: str, named: Collection[str]) -> str:
    """Return such as ``2 pipelines (porch, yard)``; nothing for none."""
    return f"{len(named)} {noun}{'s' if len(named) > 1 else ''} ({', '.join(named)})" if named else ""
