#!/usr/bin/env python3
"""edged and two others through the same kills and outages of the same broker: what does each lose?

    tests/lab/peers.py [--kills 20] [--outage 20] [--seed 1] [--rate 10] [--together]

``edged``: a daemon with its spool on disk. ``paho``: a script with QoS 1 and its queue in memory
(``peer_paho.py``). ``bridge``: a mosquitto beside the publisher that bridges to the broker, as it comes
(persistence on, written each 30 minutes). ``bridge-saved``: the same that writes what it acknowledged at
once. All send at the same rate. At random moments the broker or all of the four are ended by kill -9 and
started again, with ``--together`` also the four while the broker is away; then the broker is away for some
time. What counts is what each took over: with edged what ``edged audit`` says, with the script what
``publish`` took, with a bridge what it acknowledged to its publisher, which lives through it all. In the end
nobody makes any more events, and all have time to deliver.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from plant import Broker, Daemon, Ear, model, pipelines, until
from reconcile import Heard, compare, reconcile
from verdict import verdict

from edged.tools.audit import audit

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).resolve().parent
SETTLE_S = 60.0
REPORTED = ("heard", "twice_marked", "twice_unmarked", "out_of_order")


class Peer(Protocol):
    """Who takes part."""

    name: str

    def start(self) -> None: ...
    def kill(self) -> None: ...
    def quiet(self) -> None:
        """Make no more events; the process goes on."""

    def found(self, heard: Sequence[Heard]) -> dict[str, Any]:
        """Return what was taken over and what is missing."""

    def stop(self) -> None: ...


class Edged:
    """The daemon."""

    name = "edged"

    def __init__(self, folder: Path, port: int, rate: float) -> None:
        self._folder, self._model, self._port, self._rate = folder, model(folder), port, rate
        self._daemon = Daemon(folder, self._text(enabled=True))

    def _text(self, *, enabled: bool) -> str:
        return (
            f"node: edged\nstate_dir: {self._folder}/state\nrun_dir: {self._folder}/run\n"
            f"mqtt: {{host: 127.0.0.1, port: {self._port}, keepalive_s: 5}}\n"
            + pipelines(self._model, ["p"], 1 / self._rate, enabled=enabled)
        )

    def start(self) -> None:
        self._daemon.hear()
        self._daemon.told.clear()
        self._daemon.start()

    def kill(self) -> None:
        self._daemon.process.kill()
        self._daemon.process.wait(10)

    def quiet(self) -> None:
        self._daemon.ready()
        self._daemon.reload(self._text(enabled=False))

    def found(self, heard: Sequence[Heard]) -> dict[str, Any]:
        said = reconcile(heard, audit(self._folder / "state"))
        return {key: said[key] for key in ("accepted", "missing", "queued", *REPORTED)}

    def stop(self) -> None:
        self._daemon.__exit__()


class Script:
    """A publisher with paho, alone."""

    def __init__(self, folder: Path, name: str, port: int, rate: float, *more: str) -> None:
        self.name = name
        self._taken = folder / "taken"
        program = [sys.executable, str(HERE / "peer_paho.py")]
        self._command = [*program, str(port), name, str(rate), str(self._taken), *more]
        self._process: subprocess.Popen[bytes]

    def start(self) -> None:
        self._process = subprocess.Popen(self._command)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)

    def quiet(self) -> None:
        self._process.send_signal(signal.SIGUSR1)

    def found(self, heard: Sequence[Heard]) -> dict[str, Any]:
        # A line that was torn by a kill stands for something that nobody counted on.
        lines = self._taken.read_text("ascii").splitlines(keepends=True) if self._taken.exists() else []
        taken = {int(line) for line in lines if line.endswith("\n")}
        said = compare(taken, heard)
        return {"accepted": len(taken), "missing": said["unheard"], **{key: said[key] for key in REPORTED}}

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)


class Bridge:
    """A mosquitto that bridges, and a publisher beside it that is left alone."""

    def __init__(self, folder: Path, name: str, port: int, rate: float, *, saved: bool) -> None:
        self.name = name
        lines = [f"connection {name}", f"address 127.0.0.1:{port}", f"topic peer/{name}/# out 1"]
        lines += ["cleansession false", "restart_timeout 1", "keepalive_interval 5"]
        self._broker = Broker(folder, keeps=saved, lazy=not saved, extra=lines)
        self._script = Script(folder, name, self._broker.port, rate, "--acknowledged")
        self._publishes = False

    def start(self) -> None:
        self._broker.start()
        if not self._publishes:
            self._script.start()
            self._publishes = True

    def kill(self) -> None:
        self._broker.kill()

    def quiet(self) -> None:
        self._script.quiet()

    def found(self, heard: Sequence[Heard]) -> dict[str, Any]:
        return self._script.found(heard)

    def stop(self) -> None:
        self._script.stop()
        self._broker.stop()


def ordeal(broker: Broker, peers: Sequence[Peer], options: argparse.Namespace) -> dict[str, int]:
    """Kill and start again, take the broker away; returns how often what was killed."""
    chance, killed = random.Random(options.seed), {"broker": 0, "peers": 0}
    for _ in range(options.kills):
        time.sleep(chance.uniform(1, 6))
        who = chance.choice(("broker", "peers", "both") if options.together else ("broker", "peers"))
        if who != "peers":
            broker.kill()
            killed["broker"] += 1
        if who == "both":
            time.sleep(chance.uniform(0, 3))  # they collect something meanwhile
        if who != "broker":
            for peer in peers:
                peer.kill()
            killed["peers"] += 1
        time.sleep(chance.uniform(0.1, 2))
        if who != "peers":
            broker.start()
        if who != "broker":
            for peer in peers:
                peer.start()
    time.sleep(3)
    broker.kill()
    time.sleep(options.outage)
    broker.start()
    time.sleep(3)
    return killed


def life(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    places = {name: folder / name for name in ("broker", "edged", "paho", "bridge", "bridge-saved")}
    for place in places.values():
        place.mkdir()
    with Broker(places["broker"], keeps=True, extra=["max_queued_messages 0"]) as broker:
        ear = Ear(folder, broker.port, "edged/+/+/event", "edged/+/gap", "peer/+/event")
        peers: list[Peer] = [
            Edged(places["edged"], broker.port, options.rate),
            Script(places["paho"], "paho", broker.port, options.rate),
            Bridge(places["bridge"], "bridge", broker.port, options.rate, saved=False),
            Bridge(places["bridge-saved"], "bridge-saved", broker.port, options.rate, saved=True),
        ]
        try:
            for peer in peers:
                peer.start()
            killed = ordeal(broker, peers, options)
            for peer in peers:
                peer.quiet()

            def found() -> dict[str, dict[str, Any]]:
                return {peer.name: peer.found(ear.heard(peer.name)) for peer in peers}

            until(lambda: all(not one["missing"] for one in found().values()), SETTLE_S, 2.0)
            time.sleep(2)
            last = found()
        finally:
            for peer in peers:
                peer.stop()
            ear.stop()
    return {"ok": last["edged"]["missing"] == 0 < last["edged"]["accepted"], "killed": killed, **last}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--outage", type=float, default=20, help="of the broker, in the end, in s")
    parser.add_argument("--rate", type=float, default=10, help="events a second of each")
    parser.add_argument("--together", action="store_true", help="kill them while the broker is away, too")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edged-peers-") as folder:
        found = life(Path(folder), options)
    return verdict("peers", found.pop("ok"), seed=options.seed, outage_s=options.outage, **found)


if __name__ == "__main__":
    sys.exit(main())
