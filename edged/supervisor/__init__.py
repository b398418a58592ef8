"""Starts the workers, watches them, replaces them; everything on the main thread's event loop.

::

    Supervisor ── one WorkerLifecycle for each worker ──▶ WorkerProcess: pipe, heartbeat, process
        │            │ starting ─▶ running ⇄ waiting (source away, back-off)
        │            │     ▲          │ fault, silence, death
        │            └─────┴──────────┘ killed and started again, sooner at first than later
        └── ForkServer: forks on order; started anew when it dies; workers outlive it

    Sensors ──▶ the sensor worker: one process for all sensors

A worker is a child of this process: :func:`Supervisor.prepare` makes main the subreaper of what the fork
server forks. A stage that lasts longer than its deadline is found in the worker's heartbeat, five times a
second.
"""

from edged.supervisor.accelerator_presence import Presence
from edged.supervisor.sensor_worker import Sensors
from edged.supervisor.status import Listener, PipelineStatus
from edged.supervisor.supervisor import Supervisor

__all__ = ["Listener", "PipelineStatus", "Presence", "Sensors", "Supervisor"]
