"""The command line. Exit statuses are those of sysexits.h.

64 usage, 66 no such file, 69 unavailable, 70 defect, 73 cannot create, 75 busy, 78 configuration; 130 after
Ctrl-C. Nobody sees a traceback for a mistake of theirs: a missing file, a closed pipe, Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, NoReturn

import edged
from edged.cli import audit, bench, check, doctor, fleet, init, run, schema, status, terminal, try_
from edged.errors import ConfigError, EdgedError

if TYPE_CHECKING:
    from collections.abc import Sequence

VERBS = (try_, run, check, init, schema, status, doctor, audit, fleet, bench)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb and return its exit status."""
    _fill_streams()
    arguments, strange = _parser().parse_known_args(argv)
    if strange:
        arguments.parser.refuse(strange, arguments)
    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return terminal.INTERRUPTED
    except BrokenPipeError:
        # Whoever read has seen enough. Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ConfigError as error:
        terminal.complain(error.problems)
        return terminal.CONFIG
    except EdgedError as error:
        terminal.complain([error])
        return error.status
    except Exception:  # noqa: BLE001 - the last place that can say it, with an exit status that means it
        import traceback

        traceback.print_exc()
        terminal.complain(["this is a defect of edged, please report it with the lines above"])
        return terminal.SOFTWARE
    return code


def _fill_streams() -> None:
    """Have all three standard streams, so that no file, socket or pipe comes to lie where libraries print."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # It gets the lowest number that is free, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - until the end
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115 - until the end


class _Parser(argparse.ArgumentParser):
    """argparse, with the exit status that sysexits has for wrong usage."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(terminal.USAGE, f"{self.prog}: {message}\n")

    def refuse(self, words: Sequence[str], arguments: argparse.Namespace) -> NoReturn:
        """Say what this verb does not take, and which option a file wants that stands by itself."""
        hint = ""
        if len(words) == 1 and not words[0].startswith("-"):
            for option, name in (("--source", "source"), ("-c", "config"), ("-o", "output")):
                if hasattr(arguments, name) and getattr(arguments, name) == self.get_default(name):
                    hint = f"; write {option} {words[0]}"
                    break
        self.error(f"unrecognized arguments: {' '.join(words)}{hint}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="edged",
        description="Camera frames and a .tflite model become small MQTT messages; "
        "the picture never leaves the box.",
        epilog="`edged VERB --help` tells more. Begin with: edged try",
    )
    parser.add_argument("--version", action="version", version=f"edged {edged.__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in VERBS:
        below = verbs.add_parser(verb.NAME, help=verb.HELP, description=verb.HELP)
        verb.configure(below)
        below.set_defaults(run=verb.run, parser=below)
    return parser
