"""Output of the command line: everything that a verb prints goes through this module.

Much of it was written by others: labels, file names, the health of other nodes. Whatever is printed passes
:mod:`edged.text`, so that it can steer no terminal and forge no line. The module also holds the exit
statuses and the option that several verbs share.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from edged.text import printable, printable_lines

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from rich.console import Console

DEFAULT_CONFIG = "/etc/edged/edged.yaml"
USAGE, UNAVAILABLE, SOFTWARE, CANNOT_CREATE, TEMPORARY, NO_PERMISSION, CONFIG = 64, 69, 70, 73, 75, 77, 78
INTERRUPTED = 130


def add_config_option(
    parser: argparse.ArgumentParser,
    description: str = f"default {DEFAULT_CONFIG}",
    *,
    default: str | None = DEFAULT_CONFIG,
) -> None:
    """Add the option that names the configuration.

    Args:
        parser: that of a verb.
        description: what the verb does with the file.
        default: the file where none is named; None: the verb works without one.
    """
    parser.add_argument("-c", "--config", metavar="FILE", default=default, help=description)


def print_line(line: object, *, stderr: bool = False) -> None:
    """Print a line to standard output or standard error at once, so that a reader at a pipe sees it."""
    print(printable(str(line)), file=sys.stderr if stderr else sys.stdout, flush=True)


def print_document(text: str, *, stderr: bool = False) -> None:
    """Print a text that ends with a line end of its own."""
    stream = sys.stderr if stderr else sys.stdout
    stream.write(printable_lines(text))
    stream.flush()


def print_json(data: Any) -> None:
    """Print data as one line of JSON; what cannot be printed is escaped, so that nothing is lost."""
    line = json.dumps(data, ensure_ascii=False)
    print_line(line if printable(line) == line else json.dumps(data))


def print_error(*messages: object) -> None:
    """Print one line for each message to standard error, with the program's name in front."""
    for message in messages:
        print_line(f"edged: {message}", stderr=True)


def write_new(path: Path, data: bytes, mode: int = 0o644) -> bool:
    """Write a file that is not there yet; say what is wrong and return False where that fails."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
    except FileExistsError:
        print_error(f"{path} already exists: move it away, or name another file with -o")
    except OSError as error:
        print_error(f"{path} cannot be written: {(error.strerror or str(error)).lower()}")
    else:
        return True
    return False


def print_markup(console: Console, line: str) -> None:
    """Print a line of rich markup: with its colours on a terminal, as plain text elsewhere."""
    if console.is_terminal:
        console.print(line, soft_wrap=True)
    else:
        from rich.text import Text

        print_line(Text.from_markup(line).plain)


def console(width: int | None = None, *, stderr: bool = False) -> Console:
    """Return a console for tables, as wide as the terminal, that prints nothing unprintable.

    Args:
        width: columns where the output is not a terminal, so that no row is wrapped; None: rich's default.
        stderr: write to standard error.
    """
    from edged.cli.rich_console import PrintableConsole

    at_terminal = PrintableConsole(highlight=False, stderr=stderr)
    if at_terminal.is_terminal or width is None:
        return at_terminal
    return PrintableConsole(highlight=False, stderr=stderr, width=width)


def escape(text: object) -> str:
    """Return a text on one line, with its brackets escaped, so that rich does not read them as markup."""
    from rich.markup import escape as escape_markup

    return escape_markup(printable(str(text)))
