"""A whole installation: mosquitto as ``config/mosquitto`` has it, real daemons, a subscriber that writes.

::

    Node (edged run: main, fork server, workers) ──TLS──▶ Broker ──TLS──▶ Ear (subscriber.py) ──▶ heard.jsonl
         │ spool on disk ──────────────── edged audit --json ───────────────▶ reconcile ◀────────┘

The pipelines have a synthetic camera and a model of some hundred bytes, and repeat what they decided with
every picture, so that a node makes as many events a second as a case wants.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil

sys.path.append(str(Path(__file__).resolve().parents[1]))
sys.path.append(str(Path(__file__).resolve().parents[1] / "integration"))

from broker import Broker, certificates, free_port
from daemon import Daemon, wait_for
from reconcile import Heard, read, reconcile
from tflite_builder import Kind, Packed, build

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Broker", "Daemon", "Ear", "Plant", "free_port", "wait_for"]

PATIENCE_S = 120.0


def model(folder: Path) -> Path:
    """Write the model: the strongest colour of a picture."""
    path = folder / "colour.tflite"
    path.write_bytes(
        build(axes=(1, 2), picture=Kind("uint8", 1 / 255), head="none", packed=Packed("red\ngreen\nblue\n"))
    )
    return path


def pipelines(
    model_file: Path,
    names: Sequence[str],
    every_s: float,
    *,
    enabled: bool = True,
    sharing: Sequence[str] = (),
) -> str:
    """Return the part of a configuration: pipelines with a camera each, and some that share another one.

    Each has an event every ``every_s`` seconds.
    """
    source = f"{{kind: synthetic, size: [64, 48], interval_s: {every_s}}}"
    line = (
        f"enabled: {str(enabled).lower()}, model: {{file: {model_file}, threads: 1}}, "
        "decision: {threshold: 0.01, votes: 1, window: 1}, publish: {heartbeat_s: 0.0001}"
    )
    own = "".join(f"  {name}: {{source: {source}, {line}}}\n" for name in names)
    shared = "".join(f"  {name}: {{camera: yard, {line}}}\n" for name in sharing)
    return (f"cameras: {{yard: {source}}}\n" if sharing else "") + f"pipelines:\n{own}{shared}"


class Ear:
    """The subscriber, a process."""

    def __init__(self, folder: Path, port: int, *topics: str, tls: Path | None = None) -> None:
        self.path = folder / "heard.jsonl"
        command = [sys.executable, str(Path(__file__).with_name("subscriber.py")), str(port), str(self.path)]
        secured = ["--tls", str(tls)] if tls else []
        self._process = subprocess.Popen([*command, *topics, *secured], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def heard(self, node: str = "") -> list[Heard]:
        with self.path.open(encoding="utf-8") as lines:
            return read(lines, node)

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=20)


class Plant:
    """``with Plant(folder, names) as plant`` has a broker with a subscriber; nodes are started by hand.

    Args:
        folder: for everything.
        names: of the nodes.
    """

    def __init__(self, folder: Path, *names: str) -> None:
        pem = folder / "pem"
        pem.mkdir()
        self._folder, self._pem = folder, certificates(pem, "consumer", *names)
        self._model = model(folder)
        self.broker = Broker.shipped(folder, pem)
        self.ear: Ear

    def text(self, name: str, body: str, more: str = "") -> str:
        """Return a configuration of a node, given its pipelines."""
        folder, pem = self._folder / name, self._pem
        tls = f"{{ca_file: {pem}/ca.pem, cert_file: {pem}/{name}.pem, key_file: {pem}/{name}.key}}"
        mqtt = f"mqtt: {{host: localhost, port: {self.broker.port}, keepalive_s: 5, tls: {tls}}}\n"
        return f"node: {name}\nstate_dir: {folder}/state\nrun_dir: {folder}/run\n{mqtt}{more}{body}"

    def pipelines(self, count: int, every_s: float, *, enabled: bool = True, sharing: int = 0) -> str:
        names, more = (
            [f"{letter}{n}" for n in range(many)] for letter, many in (("p", count), ("s", sharing))
        )
        return pipelines(self._model, names, every_s, enabled=enabled, sharing=more)

    def node(self, name: str, text: str) -> Daemon:
        """Return a node that was not started yet."""
        folder = self._folder / name
        folder.mkdir()
        return Daemon(folder, text)

    def audit(self, node: Daemon) -> dict[str, Any]:
        """Return what ``edged audit --json`` says."""
        command = [sys.executable, "-m", "edged", "audit", "-c", str(node.path), "--json"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
        found: dict[str, Any] = json.loads(said)
        return found

    def quiet(self, node: Daemon, text: str) -> None:
        """Let a running node make no more events, deliver what waits, and stop.

        What was delivered leaves its file up to 15 s later, or when it stops: so that is what is done.
        """
        node.reload(text)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            time.sleep(2)
            node.stop()
            if self.audit(node)["queued"] == 0:
                return
            assert time.monotonic() < deadline, "not delivered"
            node.hear()
            node.told.clear()
            node.start()
            node.ready()

    def settle(self, node: Daemon, patience_s: float = 30.0) -> dict[str, Any]:
        """Wait until the subscriber has all of a node that stopped; return what the reconciler says."""
        audit = self.audit(node)
        deadline = time.monotonic() + patience_s
        while True:
            found = reconcile(self.ear.heard(audit["node"]), audit)
            if found["unheard"] == 0 or time.monotonic() > deadline:
                return found | {"set_aside": audit["set_aside"]}
            time.sleep(0.2)

    def __enter__(self) -> Self:
        self.broker.start()
        self.ear = Ear(self._folder, self.broker.port, "edged/+/+/event", "edged/+/gap", tls=self._pem)
        return self

    def __exit__(self, *_: object) -> None:
        self.ear.stop()
        self.broker.stop()


def family(pid: int) -> dict[str, list[int]]:
    """Return the processes of a daemon: ``main``, ``forkserver``, ``worker``."""
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return {}
    found: dict[str, list[int]] = {"main": [pid]}
    for child in children:
        try:
            name = child.name()
            alive = child.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            continue
        if alive:
            found.setdefault("worker" if name.startswith("edged:") else "forkserver", []).append(child.pid)
    return found


def quantile(values: Sequence[float], q: float) -> float:
    """Return a quantile, of few values the next one above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def until(done: Callable[[], Any], patience_s: float, every_s: float = 0.05) -> bool:
    """Wait until something is so; tells whether it became so."""
    deadline = time.monotonic() + patience_s
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True
