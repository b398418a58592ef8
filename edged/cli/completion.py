"""``edged completion``: completions for shells, and the manual page, from the parser of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.cli import terminal

if TYPE_CHECKING:
    import argparse

NAME = "completion"
HELP = "print the completion for a shell, or the manual page"
FORMS = ("bash", "zsh", "fish", "man")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("form", metavar="|".join(FORMS), choices=FORMS, help="the shell, or man")


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    from edged.cli import manual_page, shells
    from edged.cli.shell_words import verbs

    write = {"bash": shells.bash, "zsh": shells.zsh, "fish": shells.fish, "man": manual_page.page}
    terminal.print_document(write[arguments.form](verbs(arguments.command_line)))
    return 0
