"""The requests that main sends to the fork server, each one datagram of JSON, and the answers.

Requests are trusted: they arrive on the socket that main created or connected. Descriptors are sent with them
(SCM_RIGHTS).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edged.ipc.worker_order import Order

MAX_REQUEST = 1 << 18  # bytes; a configuration file has 64 KiB at most
MAX_ANSWER = 4096  # bytes
ALIVE: dict[str, object] = {"alive": True}
PING = json.dumps({"do": "ping"}).encode()
OUTPUT = json.dumps({"do": "output"}).encode()  # with the descriptor to print to
SENSORS = json.dumps({"do": "sensors"}).encode()  # with pipe, settings and readings page


def fork(order: Order) -> bytes:
    """Return the request for a worker; its pipe, heartbeat and models go along."""
    return json.dumps({"do": "fork", "order": order.to_data()}, separators=(",", ":")).encode()


def kill(pid: int) -> bytes:
    """Return the request to end a worker.

    Args:
        pid: its process id as the fork server reported it, which may live in a PID namespace of its own.
    """
    return json.dumps({"do": "kill", "pid": pid}).encode()
