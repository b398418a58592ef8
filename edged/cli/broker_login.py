"""The options of verbs that log in at a broker which the command line names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edged.errors import Refused

if TYPE_CHECKING:
    import argparse

    from edged.config.outputs import Mqtt


def configure(parser: argparse.ArgumentParser, broker: str) -> None:
    """Add the options.

    Args:
        parser: that of a verb.
        broker: what the verb does with the broker.
    """
    parser.add_argument("--broker", metavar="HOST[:PORT]", help=broker)
    parser.add_argument("--user", metavar="NAME", help="with --broker: user name at the broker")
    parser.add_argument(
        "--password-file", metavar="FILE", type=Path, help="with --user: file that holds the password"
    )
    parser.add_argument(
        "--ca",
        metavar="FILE",
        type=Path,
        help="with --broker: connect with TLS, and verify the broker with these certificates (PEM)",
    )


def section(arguments: argparse.Namespace) -> Mqtt | None:
    """Return the broker that the options name; None where they name none.

    Raises:
        Refused: they are wrong, or do not go together.
    """
    if arguments.broker is None:
        if arguments.user or arguments.password_file or arguments.ca:
            raise Refused("--user, --password-file and --ca need --broker", os.EX_USAGE)
        return None
    from edged.tools import broker_option

    return broker_option.section(
        arguments.broker,
        username=arguments.user,
        password_file=arguments.password_file,
        ca_file=arguments.ca,
    )
