"""A real daemon with a real broker and a real subscriber, for the benchmarks."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import psutil
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from edged.models.bundled import PHOTOS

__all__ = ["EDGED", "PHOTOS", "Daemon"]

EDGED = str(Path(sys.executable).with_name("edged"))
NODE = "bench"


class Subscriber:
    """Notes when which message came."""

    def __init__(self, port: int) -> None:
        self._changed = threading.Condition()
        self._delays: list[float] = []  # ms from ts to here
        self._results_at: list[float] = []
        self._online: set[str] = set()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe(f"edged/{NODE}/#", 1)
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _take(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        now = time.time()
        *_, pipeline, kind = message.topic.split("/")
        with self._changed:
            if kind == "event" and not message.retain:
                event = json.loads(message.payload)
                self._delays.append((now - datetime.fromisoformat(event["ts"]).timestamp()) * 1000)
            elif kind == "result":
                self._results_at.append(now)
            elif kind == "availability" and message.payload == b"online":
                self._online.add(pipeline)
            self._changed.notify_all()

    def wait_online(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._online) >= count, 60), "no pipeline online"

    def delays(self, count: int, timeout_s: float) -> list[float]:
        with self._changed:
            self._changed.wait_for(lambda: len(self._delays) >= count + 20, timeout_s)
            return self._delays[20:]  # the first ones meet a start

    def wait_result(self, after: float | None = None) -> float:
        """Wait for a result that came after a time, by default after now; returns when it came."""
        after = time.time() if after is None else after
        with self._changed:
            found = self._changed.wait_for(lambda: self._results_at and self._results_at[-1] > after, 30)
            assert found, "no result"
            return next(at for at in self._results_at if at > after)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Daemon:
    """``edged run`` with a configuration's pipelines.

    Attributes:
        ready_s: from its start to READY=1.
        subscriber: to its topics.
    """

    ready_s: float
    subscriber: Subscriber

    def __init__(self, pipelines: str) -> None:
        self._pipelines = pipelines
        self._dir = Path(tempfile.mkdtemp(prefix="edged-bench-"))

    def __enter__(self) -> Self:
        port = self._start_broker()
        self.subscriber = Subscriber(port)
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(self._dir / "notify"))
        notify.settimeout(60)
        (self._dir / "edged.yaml").write_text(
            f"node: {NODE}\nstate_dir: {self._dir}/state\nrun_dir: {self._dir}/run\n"
            f"mqtt: {{host: 127.0.0.1, port: {port}}}\n{self._pipelines}",
            "utf-8",
        )
        began = time.perf_counter()
        with (self._dir / "log").open("wb") as log:
            self._process = psutil.Popen(
                [EDGED, "run", "-c", str(self._dir / "edged.yaml")],
                stderr=log,
                env=os.environ | {"NOTIFY_SOCKET": str(self._dir / "notify")},
            )
        while b"READY=1" not in notify.recv(4096):
            pass
        self.ready_s = time.perf_counter() - began
        notify.close()
        return self

    def _start_broker(self) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        (self._dir / "mosquitto.conf").write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\n", "utf-8"
        )
        mosquitto = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self._broker = subprocess.Popen(
            [mosquitto, "-c", str(self._dir / "mosquitto.conf")], stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                assert time.monotonic() < deadline, "no broker"
                time.sleep(0.05)
            else:
                return port

    def processes(self) -> list[psutil.Process]:
        """Main first."""
        return [psutil.Process(self._process.pid), *self._process.children(recursive=True)]

    def worker(self) -> psutil.Process:
        return next(p for p in self.processes() if p.name().startswith("edged:"))

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)
        self.subscriber.close()
        self._broker.terminate()
        self._broker.wait(20)
        shutil.rmtree(self._dir)
