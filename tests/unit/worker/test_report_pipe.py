"""The worker's end of the pipe when it breaks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

PROGRAM = """
import os, socket, sys, threading
from edged.ipc.worker_messages import Fault
from edged.worker.report_pipe import Reports
pipe = socket.socket(fileno=int(sys.argv[1]))
reports = Reports(pipe)
reports.watch(lambda *_: None, lambda: os._exit(3))
if sys.argv[2] == "driver":
    os.close(pipe.fileno())
    os.open("/dev/null", os.O_RDONLY)  # gets the same number
else:
    threading.Event().wait(0.2)  # main is gone, and the thread that hears it has something to close
for _ in range(100):
    reports.send(Fault("porch", "source", "absent", "away"))
threading.Event().wait(20)
os._exit(4)
"""


@pytest.mark.parametrize(("closed_by", "status"), [("driver", 0), ("main", 3)])
def test_a_worker_without_its_pipe_ends(closed_by: str, status: int) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(theirs.fileno()), closed_by],
            pass_fds=[theirs.fileno()],
            env=dict(os.environ),
        )
        theirs.close()
        if closed_by == "main":
            ours.close()
        assert process.wait(30) == status
