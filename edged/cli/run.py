"""``edged run``: the daemon."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edged.cli import terminal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from edged.errors import Problem

NAME = "run"
HELP = "run the daemon; SIGTERM stops it, SIGHUP reloads the configuration"

log = logging.getLogger(__name__)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    terminal.add_config_option(parser)
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="log each inference, too, and what is decided after it"
    )
    parser.add_argument(
        "--log", choices=("text", "json"), default="text", help="log format on standard error (default text)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run until a signal stops the daemon."""
    from edged.supervisor import ForkServer, Listener, Supervisor
    from edged.system import kernel
    from edged.system.signals import Signals
    from edged.system.systemd import Notifier

    kernel.name_process("edged")  # the service starts it as `python -I -m edged`
    signals = Signals()
    signals.install()
    notifier = Notifier.of()
    forkserver = ForkServer()
    forkserver.start_early()  # its slow imports run while this process reads the configuration
    from edged.daemon import app
    from edged.errors import ConfigError, Unavailable
    from edged.system import log as logs

    def supervise(listener: Listener) -> Supervisor:
        return Supervisor({}, listener=listener, forkserver=forkserver, results=arguments.verbose)

    logs.setup(arguments.log, level=logging.DEBUG if arguments.verbose else logging.INFO)
    logging.getLogger("asyncio").setLevel(logging.INFO)
    try:
        app.run(Path(arguments.config), supervise, signals, notifier)
    except ConfigError as error:
        _report(error.problems, plain=arguments.log == "text" and not logs.is_journal(sys.stderr))
        notifier.status(f"configuration refused: {error.problems[0]}")
        return terminal.CONFIG
    except Unavailable as error:
        terminal.print_error(error)
        notifier.status(str(error))
        return terminal.TEMPORARY
    except Exception:
        log.critical("the daemon ends because of a defect in edged", exc_info=True)
        return terminal.SOFTWARE
    finally:
        forkserver.stop()
        signals.release()
    return 0


def _report(problems: Sequence[Problem], *, plain: bool) -> None:
    """Print the problems as `edged check` does, where a person or a script reads; else log them."""
    for problem in problems:
        if plain:
            terminal.print_line(problem, stderr=True)
        else:
            log.error("%s", problem)
