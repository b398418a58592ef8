"""Starts the workers, watches them and replaces them; everything on the main thread's event loop.

::

    Supervisor ── one WorkerLifecycle per worker ──▶ WorkerProcess: pipe, heartbeat, process
        │            starting ─▶ running ⇄ waiting (source away, back-off)
        │               ▲           │ fault, silence, death
        │               └───────────┘ killed and started again, with growing pauses
        └── ForkServer: forks on order; replaced, with its workers, when it dies

    SensorWorker ── ForkServer ──▶ the sensor process: one for all sensors

Workers are children of the fork server, which reaps them, reports how they ended and kills them on request.
It runs in namespaces of its own, or under systemd as another user. A stage that outlasts its deadline
is found in the worker's heartbeat, five times a second.
"""

from edged.supervisor.accelerators import AcceleratorPresence
from edged.supervisor.forkserver_client import ForkServer
from edged.supervisor.pipeline_status import Listener, PipelineStatus
from edged.supervisor.sensor_worker import SensorListener, SensorWorker
from edged.supervisor.supervisor import Supervisor
from edged.supervisor.worker_output import OutputPump

__all__ = [
    "AcceleratorPresence",
    "ForkServer",
    "Listener",
    "OutputPump",
    "PipelineStatus",
    "SensorListener",
    "SensorWorker",
    "Supervisor",
]
