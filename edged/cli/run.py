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
HELP = "run the daemon; SIGTERM stops it, SIGHUP reads the configuration again"

log = logging.getLogger(__name__)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    terminal.take_config(parser)
    parser.add_argument(
        "--log", choices=("text", "json"), default="text", help="how to log on standard error (default text)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run until a signal asks to stop."""
    from edged.daemon.publisher import EventPublisher
    from edged.daemon.systemd import Notifier
    from edged.supervisor import Supervisor
    from edged.system.signals import Signals

    signals = Signals()
    signals.install()
    notifier = Notifier.of()
    publisher = EventPublisher()
    supervisor = Supervisor({}, listener=publisher)
    supervisor.prepare()  # it imports what is slow to import, while this process reads the configuration
    from edged.daemon import app
    from edged.errors import ConfigError, Unavailable
    from edged.system import log as logs

    logs.setup(arguments.log)
    try:
        app.run(Path(arguments.config), supervisor, publisher, signals, notifier)
    except ConfigError as error:
        _say(error.problems, plain=arguments.log == "text" and not logs.is_journal(sys.stderr))
        notifier.status(f"configuration refused: {error.problems[0]}")
        return terminal.CONFIG
    except Unavailable as error:
        terminal.complain([error])
        notifier.status(str(error))
        return terminal.TEMPORARY
    except Exception:
        log.critical("a defect ends the daemon", exc_info=True)
        return terminal.SOFTWARE
    finally:
        signals.release()
    return 0


def _say(problems: Sequence[Problem], *, plain: bool) -> None:
    """Name every problem: for a person, an editor or a script as `edged check` does, else in the log."""
    for problem in problems:
        if plain:
            print(problem, file=sys.stderr)
        else:
            log.error("%s", problem)
