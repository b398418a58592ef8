"""edged as systemd runs it on this board: started, watched, its chips and its camera pulled out, stopped."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import camera
import chips
from broker import Subscriber
from system import field, run, wait


class Service:
    """The unit, a subscriber, and the bus that its sensors hang on."""

    def __init__(self, bus: chips.Bus) -> None:
        self._bus = bus
        self._ear = Subscriber()

    def start(self) -> str:
        since = time.monotonic()
        run("systemctl", "start", "edged", timeout_s=200)
        ready_s = time.monotonic() - since
        says = run("systemctl", "show", "-P", "StatusText", "edged").strip()
        return f"READY after {ready_s:.1f} s: {says}"

    def classifies(self) -> str:
        """Results and the decision come from the camera's pictures to a subscriber."""
        event = self._ear.hear("porch/event", lambda m: m.data["type"] == "start", 60, since=0).data
        results = [self._ear.hear("porch/result", lambda _: True, 60).data for _ in range(3)]
        self._ear.hear("porch/availability", lambda m: m.payload == "online", 5, since=0)
        pipeline = self._status()["pipelines"]["porch"]
        assert event["pipeline"] == "porch"
        assert event["accelerator"] == "cpu"
        assert len({result["captured_at"] for result in results}) == 3, "a new picture each time"
        return (
            f"start of '{event['label']}' at {event['score']:.2f} by {event['model']['name']}; results every "
            f"{results[-1]['latency_ms']:.0f} ms latency; invoke {pipeline['invoke_ms']['p50']:.0f} ms, "
            f"capture {pipeline['capture_ms']:.0f} ms"
        )

    def sandbox(self) -> str:
        """What the kernel says of the processes with the pixels and of the one with the network."""
        status = wait("the status names them all", self._complete, 30)
        processes = {name: process["pid"] for name, process in status["processes"].items()}
        main, worker = processes["main"], processes["porch"]
        assert status["pipelines"]["porch"]["isolation"], "health says the worker is not isolated"
        for pid in processes.values():
            assert field(pid, "Seccomp") == "2"
            assert field(pid, "NoNewPrivs") == "1"
            assert int(field(pid, "CapEff"), 16) == 0
            assert field(pid, "Uid").split()[0] != "0"
        users = {field(pid, "Uid").split()[0] for pid in processes.values() if pid != main}
        assert field(main, "Uid").split()[0] not in users, "main and the workers have a user each"
        server = processes["forkserver"]
        filters = int(field(server, "Seccomp_filters")), int(field(worker, "Seccomp_filters"))
        assert filters[1] > filters[0], f"the worker has no filter of its own: {filters}"
        node = os.path.realpath(camera.DEVICE)
        assert node in _opened(worker), "the worker holds the camera"
        assert node not in _opened(main), "main holds no camera"
        assert not _internet(worker), "the worker has no internet socket"
        assert not _internet(processes["sensors"]), "nor has the sensors' worker"
        assert _internet(main), "main is connected to the broker"
        return (
            f"Seccomp: 2 in {', '.join(processes)}, filters {filters[0]} in the fork server and "
            f"{filters[1]} in the worker; isolation {'+'.join(status['pipelines']['porch']['isolation'])}; "
            "the camera is open in the worker alone, the broker's socket in main alone"
        )

    def shares(self) -> str:
        """Two pipelines see the same pictures in one worker, and one goes on without the other."""
        since = time.monotonic()
        gate = self._ear.hear("gate/result", lambda _: True, 60).data
        porch = self._ear.hear(
            "porch/result", lambda m: m.data["captured_at"] == gate["captured_at"], 60, since - 5
        ).data
        processes = wait("the status names them all", self._complete, 30)["processes"]
        worker = processes["porch"]["pid"]
        assert processes["gate"]["pid"] == worker, "one worker for both"
        node = os.path.realpath(camera.DEVICE)
        opened = sum(str(link.readlink()) == node for link in Path(f"/proc/{worker}/fd").iterdir())
        assert opened == 1, f"the camera is open {opened} times"
        off = time.monotonic()
        self._switch("gate", on=False)
        for _ in range(2):
            self._ear.hear("porch/result", lambda _: True, 60)
        assert self._status()["processes"]["porch"]["pid"] == worker, "another worker"
        on = time.monotonic()
        self._switch("gate", on=True)
        again = self._ear.hear("gate/result", lambda _: True, 60, on)
        silent = self._ear.between("gate/result", off + 3, on)
        assert not silent, "a result of a pipeline that is off"
        noticed = self._ear.between("porch/availability", off, again.at)
        assert not noticed, f"the sister's availability was {noticed[0].payload}"
        processes = wait("the status names them all", self._complete, 30)["processes"]
        assert {processes[name]["pid"] for name in ("porch", "gate")} == {worker}, "another worker"
        return (
            f"process {worker} has the camera open once; both judged the picture of {porch['captured_at']}; "
            f"switched off and on again after {again.at - on:.1f} s, which the other one did not notice"
        )

    def thermometer(self) -> str:
        """hwmon: what is written to the chip is what the subscriber reads."""
        took = [self._heated(celsius) for celsius in (21.5, -10.5, 47.0)]
        where = chips.monitor("lm75")
        return (
            f"lm75 ({where}) set to 21.5, -10.5 and 47.0 °C: read as such, {max(took) * 1000:.0f} ms at most"
        )

    def barometer(self) -> str:
        """iio: the data sheet's example through the kernel's own compensation, then a change."""
        warm = self._ear.hear("warmth/state", lambda m: m.data["value"] == 25.08, 10).data
        pressed = self._ear.hear("weather/state", lambda m: abs(m.data["value"] - 1006.5) < 0.2, 10).data
        self._bus.weather(chips.EXAMPLE[0] + 20000, chips.EXAMPLE[1])
        warmer = self._ear.hear("warmth/state", lambda m: (m.data["value"] or 0) > 27, 10).data
        self._bus.weather(*chips.EXAMPLE)
        self._ear.hear("warmth/state", lambda m: m.data["value"] == 25.08, 10)
        return (
            f"bmp280 as in its data sheet: {warm['value']} {warm['unit']}, {pressed['value']} "
            f"{pressed['unit']} (there 25.08 °C, 1006.53 hPa); then {warmer['value']} °C and back"
        )

    def chip_pulled_out(self) -> str:
        """The chip goes, another takes its number, it comes back under a new one: no reading is mistaken."""
        before = chips.monitor("lm75")
        since = time.monotonic()
        self._bus.remove(chips.THERMOMETER)
        gone = self._ear.hear("lathe/availability", lambda m: m.payload == "offline", 20, since)
        self._bus.heat(chips.NEIGHBOUR, 77)
        self._bus.add("tmp75", chips.NEIGHBOUR)
        assert wait("the neighbour", lambda: chips.monitor("tmp75"), 5) == before, "it took the number"
        time.sleep(2)  # several readings' time for a mistake
        self._bus.add("lm75", chips.THERMOMETER)
        self._bus.heat(chips.THERMOMETER, 33.5)
        back = self._ear.hear("lathe/availability", lambda m: m.payload == "online", 90, gone.at)
        after = chips.monitor("lm75")
        self._ear.hear("lathe/state", lambda m: m.data["value"] == 33.5, 10, gone.at)
        until = time.monotonic()
        wrong = [m.payload for m in self._ear.between("lathe/state", since, until) if m.data["value"] == 77]
        others = len(self._ear.between("warmth/state", since, until))
        assert not wrong, f"the neighbour's reading: {wrong[0]}"
        assert after != before
        assert others >= (until - since) / 3, f"the barometer gave {others} readings meanwhile"
        return (
            f"{before} gone: offline after {gone.at - since:.1f} s; back as {after} (a tmp75 has {before}): "
            f"online {back.at - gone.at:.1f} s later; {others} readings of the barometer meanwhile"
        )

    def camera_pulled_out(self) -> str:
        """The camera goes while a stream runs and comes back: availability follows, and so do results."""
        since = time.monotonic()
        camera.pull_out()
        gone = self._ear.hear("porch/availability", lambda m: m.payload == "offline", 40, since)
        wait("the node is gone", lambda: not Path(camera.DEVICE).exists(), 10)
        said = wait("the status says why", lambda: self._status()["pipelines"]["porch"]["last_error"], 20)
        plugged = time.monotonic()
        camera.plug_in()
        back = self._ear.hear("porch/availability", lambda m: m.payload == "online", 90, plugged)
        self._ear.hear("porch/result", lambda _: True, 60, back.at)
        node = os.path.realpath(camera.DEVICE)
        until = time.monotonic()
        readings = len(self._ear.between("lathe/state", since, until))
        assert readings >= (until - since) / 3, f"the lathe gave {readings} readings meanwhile"
        return (
            f"offline after {gone.at - since:.1f} s (“{said}”), back as {node}: online after "
            f"{back.at - plugged:.1f} s; {readings} readings of the lathe meanwhile"
        )

    def stop(self) -> str:
        since = time.monotonic()
        run("systemctl", "stop", "edged", timeout_s=60)
        took_s = time.monotonic() - since
        result = run("systemctl", "show", "-P", "Result", "edged").strip()
        restarts = run("systemctl", "show", "-P", "NRestarts", "edged").strip()
        for topic in ("status", "porch/availability", "lathe/availability"):
            self._ear.hear(topic, lambda m: m.payload == "offline", 5, since)
        assert result == "success", result
        assert restarts == "0", f"systemd restarted it {restarts} times"
        self._ear.close()
        return f"within {took_s:.1f} s, {result}, never restarted; offline told on 3 topics"

    def _switch(self, pipeline: str, *, on: bool) -> None:
        word, since = "ON" if on else "OFF", time.monotonic()
        run("mosquitto_pub", "-t", f"edged/board/{pipeline}/enabled/set", "-m", word)
        self._ear.hear(f"{pipeline}/enabled/state", lambda m: m.payload == word, 20, since)

    def _heated(self, celsius: float) -> float:
        since = time.monotonic()
        self._bus.heat(chips.THERMOMETER, celsius)
        message = self._ear.hear(
            "lathe/state", lambda m: m.data["value"] == celsius and m.data["quality"] == "good", 15, since
        )
        return message.at - since

    def _complete(self) -> dict[str, Any] | None:
        status = self._status()
        return (
            status if {"main", "forkserver", "porch", "gate", "sensors"} <= set(status["processes"]) else None
        )

    def _status(self) -> dict[str, Any]:
        """What `edged status` reads; the command itself takes an emulator several seconds."""
        found = json.loads(Path("/run/edged/status.json").read_text())
        assert isinstance(found, dict)
        return found


def _opened(pid: int) -> set[str]:
    return {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}


def _internet(pid: int) -> bool:
    """Whether a process holds a TCP or UDP socket."""
    numbers = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        numbers |= {line.split()[9] for line in lines}
    return any(f"socket:[{number}]" in _opened(pid) for number in numbers)
