"""The broker that is named on the command line instead of in a configuration."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from edged.config.outputs import Mqtt, split_host
from edged.errors import Refused

if TYPE_CHECKING:
    from pathlib import Path


def section(
    broker: str,
    *,
    username: str | None = None,
    password_file: Path | None = None,
    ca_file: Path | None = None,
) -> Mqtt:
    """Return the section ``mqtt`` of a configuration for these options.

    Args:
        broker: HOST[:PORT].
        username: the user's name at the broker.
        password_file: the file that holds the password.
        ca_file: certificates (PEM) to verify the broker's with; given, the connection uses TLS.

    Raises:
        Refused: one of them is wrong.
    """
    if password_file is not None and username is None:
        raise Refused("--password-file needs a user: write --user too", os.EX_USAGE)
    keys: dict[str, Any] = {"username": username, "password_file": password_file}
    if ca_file is not None:
        keys["tls"] = {"ca_file": ca_file}
    try:
        keys["host"], keys["port"] = split_host(broker)
        return Mqtt.model_validate(keys)
    except ValueError:
        what = f"--broker {broker}: must be HOST or HOST:PORT, with a port from 1 to 65535"
        raise Refused(what, os.EX_USAGE) from None
