"""``edged run``: the daemon."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from edged import commands

if TYPE_CHECKING:
    import argparse

NAME = "run"
HELP = "run the daemon; SIGTERM stops it, SIGHUP reads the configuration again"

log = logging.getLogger(__name__)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "-c", "--config", metavar="FILE", default=commands.DEFAULT, help=f"default {commands.DEFAULT}"
    )
    parser.add_argument(
        "--log", choices=("text", "json"), default="text", help="how to log on standard error (default text)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run until a signal asks to stop."""
    from edged.reporter import Reporter
    from edged.signals import Signals
    from edged.supervisor import Supervisor
    from edged.systemd import Notifier

    signals = Signals()
    signals.install()
    notifier = Notifier.of()
    reporter = Reporter()
    supervisor = Supervisor({}, listener=reporter)
    supervisor.prepare()  # it imports what is slow to import, while this process reads the configuration
    from edged import app
    from edged import log as logs
    from edged.errors import ConfigError

    logs.setup(arguments.log)
    try:
        app.run(Path(arguments.config), supervisor, reporter, signals, notifier)
    except ConfigError as error:
        for problem in error.problems:
            log.error("%s", problem)  # noqa: TRY400 - a mistake in a file has no traceback
        notifier.status(f"configuration refused: {error.problems[0]}")
        return commands.CONFIG
    except Exception:
        log.critical("a defect ends the daemon", exc_info=True)
        return commands.SOFTWARE
    finally:
        signals.release()
    return 0
