"""The entry point of the command line. Exit statuses are those of sysexits.h.

64 usage, 66 no such file, 69 unavailable, 70 defect, 73 cannot create, 74 cannot write, 75 busy,
77 no permission, 78 configuration; 1 where a check found something; 130 after Ctrl-C. A missing file, a
closed pipe or Ctrl-C never shows a traceback.
"""

from __future__ import annotations

import argparse
import difflib
import errno
import os
import re
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

import edged
from edged.cli import (
    aim,
    audit,
    bench,
    check,
    completion,
    convert,
    doctor,
    fleet,
    init,
    labels,
    log,
    model_options,
    models,
    page,
    run,
    schema,
    status,
    support_bundle,
    teach,
    terminal,
    try_,
)
from edged.errors import ConfigError, EdgedError

if TYPE_CHECKING:
    from collections.abc import Sequence

VERBS = (
    try_,
    aim,
    run,
    check,
    init,
    schema,
    status,
    log,
    page,
    doctor,
    audit,
    fleet,
    bench,
    labels,
    models,
    teach,
    convert,
    support_bundle,
    completion,
)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})  # errors of a standard output
_WRONG_VERB = re.compile(r"argument VERB: invalid choice: '(.*?)'")  # argparse's sentence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb and return its exit status."""
    _fill_streams()
    words = model_options.joined(sys.argv[1:] if argv is None else argv)
    parser = command_line()
    if not words:
        parser.print_help()
        return 0
    arguments, unknown = parser.parse_known_args(_as_options(words))
    if unknown:
        arguments.parser.refuse(unknown, arguments)
    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return terminal.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last place that can report it with an exit status of its own
        return _report(error)
    return code


def _as_options(words: Sequence[str]) -> list[str]:
    """Return ``help``, ``help VERB`` and ``version`` as the options that people mean by them."""
    match list(words):
        case ["help"]:
            return ["--help"]
        case ["help", verb, *_]:
            return [verb, "--help"]
        case ["version"]:
            return ["--version"]
        case others:
            return others


def _report(error: Exception) -> int:
    """Print what ended a verb; return the exit status."""
    match error:
        case BrokenPipeError():
            _drop_output()  # the reader has closed the pipe
            return 0
        case ConfigError():
            terminal.print_error(*error.problems)
            return terminal.CONFIG
        case EdgedError():
            terminal.print_error(error)
            return error.status
        case OSError(filename=None, errno=number) if number in _FULL:
            _drop_output()
            terminal.print_error(f"standard output cannot be written: {(error.strerror or '').lower()}")
            return os.EX_IOERR
    terminal.print_document("".join(traceback.format_exception(error)), stderr=True)
    terminal.print_error("this is a defect in edged; please report it with the lines above")
    return terminal.SOFTWARE


def _drop_output() -> None:
    """Send what is still buffered nowhere: Python would report the same error when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fill_streams() -> None:
    """Open any standard stream that is closed, so that no file or socket gets a number libraries print to."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # open() returns the lowest free number, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - open until the process ends
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115 - open until the process ends


class _Parser(argparse.ArgumentParser):
    """An argument parser that exits with the status that sysexits has for wrong usage."""

    def error(self, message: str) -> NoReturn:
        verb = _WRONG_VERB.match(message)
        if verb is not None:
            message = _no_such_verb(verb[1])
        else:
            self.print_usage(sys.stderr)
        self.exit(terminal.USAGE, f"{self.prog}: {message}\n")

    def refuse(self, words: Sequence[str], arguments: argparse.Namespace) -> NoReturn:
        """Report unknown arguments, with the option to write before a file given without one."""
        hint = ""
        if len(words) == 1 and not words[0].startswith("-"):
            for option, name in (("--source", "source"), ("-c", "config"), ("-o", "output")):
                if hasattr(arguments, name) and getattr(arguments, name) == self.get_default(name):
                    hint = f"; write {option} {words[0]}"
                    break
        self.error(f"unrecognized arguments: {' '.join(words)}{hint}")


def _no_such_verb(word: str) -> str:
    names = [verb.NAME for verb in VERBS]
    close = difflib.get_close_matches(word, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names[:-1])} and {names[-1]}"
    return f"there is no verb {word}: {hint}"


def command_line() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = _Parser(
        prog="edged",
        description="Run .tflite models on camera frames or sensor readings and publish short MQTT messages. "
        "Pictures never leave the board.",
        epilog="`edged VERB --help` shows the options of a verb. Start with: edged try",
    )
    parser.add_argument("--version", action="version", version=f"edged {edged.__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in VERBS:
        subparser = verbs.add_parser(verb.NAME, help=verb.HELP, description=verb.HELP)
        verb.configure(subparser)
        subparser.set_defaults(run=verb.run, parser=subparser, command_line=parser)
    return parser
