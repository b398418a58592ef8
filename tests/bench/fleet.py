"""Many nodes against one mosquitto: is every event that was accepted delivered, also over an outage?

Each node is a process with edged's real main: configuration, spool on the disk with every commit flushed,
MQTT with TLS and a certificate of its own, health. What it has not is workers: its events come from the
double of the supervisor, at a fixed rate. The processes are forked from one that has imported edged, so that
this machine carries them. The broker is a mosquitto with ``config/mosquitto/edged.conf`` and its rules, but
for paths.

    python tests/bench/fleet.py --nodes 200 --rate 0.2 --seconds 60 --outage 10
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.daemon import app
from edged.system import log
from edged.system.signals import Signals
from edged.system.systemd import Notifier
from edged.testing.supervisor import Supervised, outcome
from edged.tools import audit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edged.supervisor import Listener

ROOT = Path(__file__).resolve().parents[2]
LABELS = ("cat", "dog", "bird", "fox")
READY_S = 300.0


class Source(Supervised):
    """A supervisor whose one pipeline decides something new at a fixed rate, until it is told to be quiet."""

    def __init__(self, listener: Listener, every_s: float, offset_s: float) -> None:
        super().__init__(listener)
        self._every_s = every_s
        self._offset_s = offset_s
        self._quiet = asyncio.Event()

    async def start(self) -> None:
        await super().start()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._quiet.set)
        self._news = asyncio.create_task(self._happen())

    async def _happen(self) -> None:
        await asyncio.sleep(self._offset_s)
        number = 0
        while not self._quiet.is_set():
            now = time.time()
            label, previous = LABELS[number % 4], LABELS[(number - 1) % 4]
            self.happen(
                outcome(
                    "eye",
                    "change",
                    label,
                    previous=previous,
                    captured_at=now - 0.012,
                    decided_at=now,
                    frame=None,
                )
            )
            number += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._quiet.wait(), self._every_s)


@dataclass
class Place:
    """Where everything of a run lies."""

    folder: Path
    port: int

    def node(self, name: str) -> Path:
        return self.folder / name


def _openssl(*arguments: str, folder: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_certificates(place: Place, names: Iterable[str]) -> None:
    """A private authority, the broker's certificate, and one for each name."""
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    own = place.folder
    authority = [
        "req",
        "-x509",
        *new_key,
        "-days",
        "2",
        "-subj",
        "/CN=bench",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
    ]
    _openssl(*authority, folder=own)
    (own / "server.ext").write_text("subjectAltName=IP:127.0.0.1\n")
    for number, name in enumerate(["server", *names], 1):
        request = [
            *("req", *new_key, "-subj", f"/CN={name}"),
            *("-keyout", f"{name}.key", "-out", f"{name}.csr"),
        ]
        _openssl(*request, folder=own)
        sign = ["x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2"]
        extra = ["-extfile", "server.ext"] if name == "server" else []
        _openssl(*sign, "-set_serial", str(number), "-out", f"{name}.pem", *extra, folder=own)


class Broker:
    """mosquitto with the configuration that ships."""

    def __init__(self, place: Place) -> None:
        text = (ROOT / "config/mosquitto/edged.conf").read_text()
        text = text.replace("/etc/mosquitto/certs/", f"{place.folder}/").replace(
            "/etc/mosquitto/", f"{place.folder}/"
        )
        text = re.sub("^listener 8883$", f"listener {place.port} 127.0.0.1", text, flags=re.MULTILINE)
        self._file = place.folder / "mosquitto.conf"
        self._file.write_text(f"{text}\npersistence_location {place.folder}/broker/\nuser root\n")
        (place.folder / "broker").mkdir()
        shutil.copy(ROOT / "config/mosquitto/edged.acl", place.folder)
        self._port = place.port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        with (self._file.parent / "mosquitto.log").open("ab") as out:
            self._process = subprocess.Popen([program, "-c", str(self._file)], stdout=out, stderr=out)
        _wait("the broker listens", lambda: _listens(self._port), 20)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _wait(what: str, good: Callable[[], bool], timeout_s: float) -> float:
    since = time.monotonic()
    while not good():
        if time.monotonic() - since > timeout_s:
            sys.exit(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.1)
    return time.monotonic() - since


def run_node(place: Place, name: str, every_s: float, offset_s: float) -> int:
    """Be one node, in a process of its own; as ``edged run`` does it."""
    folder = place.node(name)
    with (folder / "log").open("w") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    signals = Signals()
    signals.install()
    log.setup("text")

    def supervise(listener: Listener) -> Any:  # it has the contract of the real supervisor
        return Source(listener, every_s, offset_s)

    app.run(folder / "edged.yaml", supervise, signals, Notifier())
    signals.release()
    return 0


def write_node(place: Place, name: str) -> None:
    folder = place.node(name)
    folder.mkdir()
    own = place.folder
    login = f"{{ca_file: {own}/ca.pem, cert_file: {own}/{name}.pem, key_file: {own}/{name}.key}}"
    (folder / "edged.yaml").write_text(
        f"node: {name}\nstate_dir: {folder}/state\nrun_dir: {folder}/run\n"
        f"mqtt: {{host: 127.0.0.1, port: {place.port}, tls: {login}}}\n"
        "pipelines:\n  eye:\n    source: {kind: synthetic}\n"
    )


class Fleet:
    """The processes of the nodes."""

    def __init__(self, place: Place, names: list[str], rate: float) -> None:
        self._place = place
        self._names = names
        self._rate = rate
        self._pids: dict[int, str] = {}

    def start(self, within_s: float) -> None:
        """Start them one after the other, as boards are switched on."""
        for number, name in enumerate(self._names):
            time.sleep(within_s / len(self._names))
            offset = number / len(self._names) / self._rate
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    code = run_node(self._place, name, 1 / self._rate, offset)
                finally:
                    os._exit(code)
            self._pids[pid] = name

    def tell(self, number: int) -> None:
        for pid in self._pids:
            os.kill(pid, number)

    def stop(self) -> list[int]:
        self.tell(signal.SIGTERM)
        return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in self._pids]

    def statuses(self) -> list[dict[str, Any]]:
        found = []
        for name in self._names:
            with contextlib.suppress(OSError, ValueError):
                found.append(json.loads((self._place.node(name) / "run/status.json").read_text()))
        return found

    def connected(self) -> int:
        return sum(s["broker"]["state"] == "connected" for s in self.statuses())

    def queued(self) -> int:
        return sum(s["queue"] for s in self.statuses())

    def memory_mb(self) -> float:
        """Return what all of them occupy, shared pages counted once."""
        kilobytes = 0
        for pid in self._pids:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            kilobytes += int(re.findall(r"^Pss:\s+(\d+)", text, re.MULTILINE)[0])
        return kilobytes / 1000


def consume(place: Place) -> subprocess.Popen[bytes]:
    """A subscriber with a session that outlives an outage; its messages go to a file."""
    own = place.folder
    login = ["--cafile", f"{own}/ca.pem", "--cert", f"{own}/consumer.pem", "--key", f"{own}/consumer.key"]
    command = [
        "mosquitto_sub",
        "-V",
        "mqttv5",
        "-h",
        "127.0.0.1",
        "-p",
        str(place.port),
        *login,
        "-i",
        "consumer",
    ]
    with (own / "messages").open("wb") as out:
        return subprocess.Popen([*command, "-c", "-x", "600", "-q", "1", "-t", "edged/+/+/event"], stdout=out)


def ids(place: Place) -> list[str]:
    return re.findall('"id":"([^"]+)"', (place.folder / "messages").read_text())


def measure(place: Place, options: argparse.Namespace) -> dict[str, Any]:
    names = [f"node-{n:03d}" for n in range(options.nodes)]
    since = time.monotonic()
    make_certificates(place, ["consumer", *names])
    for name in names:
        write_node(place, name)
    print(
        f"    {len(names)} certificates and configurations after {time.monotonic() - since:.0f} s", flush=True
    )
    broker, fleet = Broker(place), Fleet(place, names, options.rate)
    broker.start()
    consumer = consume(place)
    since = time.monotonic()
    fleet.start(options.start)
    figures: dict[str, Any] = {"nodes": len(names), "rate": options.rate * len(names)}
    try:
        _wait("all nodes are connected", lambda: fleet.connected() == len(names), READY_S)
        figures["all_connected_s"] = round(time.monotonic() - since, 1)
        time.sleep(options.seconds / 2)
        figures["memory_mb_a_node"] = round(fleet.memory_mb() / len(names), 1)
        if options.outage:
            broker.stop()
            time.sleep(options.outage)
            figures["queued_in_outage"] = fleet.queued()
            broker.start()
            figures["all_back_s"] = round(
                _wait("all are back", lambda: fleet.connected() == len(names), READY_S), 1
            )
        time.sleep(options.seconds / 2)
        fleet.tell(signal.SIGUSR1)
        time.sleep(6)  # a status file is at most 5 s old
        figures["drained_s"] = round(
            6 + _wait("every queue is empty", lambda: fleet.queued() == 0, READY_S), 1
        )
        figures["codes"] = sorted(set(fleet.stop()))
        time.sleep(2)
    finally:
        if "codes" not in figures:
            fleet.stop()
        consumer.terminate()
        consumer.wait()
        broker.stop()
    received = ids(place)
    books = [audit.audit(place.node(name) / "state") for name in names]
    figures["accepted"] = sum(book["accepted"] for book in books)
    figures["acknowledged"] = sum(book["acknowledged"] for book in books)
    figures["queued"] = sum(book["queued"] for book in books)
    figures["dropped"] = sum(sum(book["dropped"].values()) for book in books)
    figures["delivered"] = len(set(received))
    figures["twice"] = len(received) - len(set(received))
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--rate", type=float, default=0.2, help="events a second of each node")
    parser.add_argument("--seconds", type=float, default=60, help="how long events come, beside the outage")
    parser.add_argument(
        "--outage", type=float, default=10, help="how long the broker is away in the middle, in s"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--start", type=float, default=30, help="time within which the nodes start, in s")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edged-fleet-") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        figures = measure(Place(Path(folder), port), options)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"    {name:<18} {value}")
    good = figures["delivered"] == figures["accepted"] == figures["acknowledged"] and figures["codes"] == [0]
    print("delivered = accepted" if good else "delivered and accepted differ")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
