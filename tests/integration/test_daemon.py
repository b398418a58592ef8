"""``edged run`` with real workers, the bundled photographs and a real mosquitto, from outside."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from broker import Broker, free_port
from commandline import call
from daemon import RUN, Daemon, is_alive, wait_for
from node import Subscriber

import edged

pytestmark = pytest.mark.mosquitto

FOLDER = Path(edged.__file__).parent
PHOTOS = FOLDER / "photos"
HEAVY = ("numpy", "cv2", "libopenblas", "tflite", "litert", "libLiteRt")
TOPICS = "edged/n"
PORCH = "porch"


def schema(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        json.loads((FOLDER / "schema" / f"{name}.schema.json").read_text())
    )


def text(folder: Path, port: int | None, more: str = "", pipelines: str = "") -> str:
    broker = "" if port is None else f"mqtt: {{host: 127.0.0.1, port: {port}, keepalive_s: 5}}\n"
    return (
        f"node: n\nstate_dir: {folder}/state\nrun_dir: {folder}/run\n{broker}{more}\npipelines:\n"
        f"  porch:\n    source: {{kind: folder, path: {PHOTOS}, interval_s: 0.3}}\n"
        "    publish: {result: true}\n"
        f"{pipelines}"
    )


def payloads(subscriber: Subscriber, topic: str) -> list[dict[str, Any]]:
    return [json.loads(payload) for payload in subscriber.on(f"{TOPICS}/{topic}")]


def test_what_a_subscriber_receives(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker, Subscriber(broker.port) as other:
        with Daemon(tmp_path, text(tmp_path, broker.port)) as daemon:
            wait_for(lambda: len(payloads(other, "porch/event")) >= 4, "events")
            events = payloads(other, "porch/event")
            for event in events:
                schema("event").validate(event)
            assert [e["label"] for e in events[:4]] == ["Egyptian cat", "espresso", "tripod", "Egyptian cat"]
            assert [e["type"] for e in events[:4]] == ["start", "change", "change", "change"]
            assert [int(e["id"].split("/")[2]) for e in events[:4]] == [1, 2, 3, 4]
            assert {e["frame"] for e in events[:4]} == {0, 1, 2, 3}
            for result in wait_for(lambda: payloads(other, "porch/result"), "results"):
                schema("event").validate(result)
                assert result["type"] == "result"
            assert other.last(f"{TOPICS}/status") == b"online"
            assert other.last(f"{TOPICS}/porch/availability") == b"online"
            assert other.last(f"{TOPICS}/porch/enabled/state") == b"ON"
            schema("state").validate(payloads(other, "porch/state")[-1])
            wait_for(
                lambda: (
                    (found := payloads(other, "health"))
                    and found[-1]["pipelines"]["porch"]["state"] == "running"
                ),
                "health",
            )
            health = payloads(other, "health")[-1]
            schema("health").validate(health)
            assert (health["status"], health["problems"]) == ("ok", [])
            assert health["processes"].keys() == {"main", "forkserver", "porch"}
            wait_for(lambda: other.last("homeassistant/device/n/config"), "discovery")
            code, took_s = daemon.stop()
            assert (code, took_s < 5) == (0, True)
        wait_for(lambda: other.last(f"{TOPICS}/status") == b"offline", "offline")
        with Subscriber(broker.port, f"{TOPICS}/#") as late:
            wait_for(lambda: len(late.seen) >= 5, "retained")
            kept = {m.topic.removeprefix(f"{TOPICS}/"): m.payload for m in late.seen}
            assert kept.keys() == {
                "status",
                "health",
                "porch/state",
                "porch/availability",
                "porch/enabled/state",
            }
            assert (kept["status"], kept["porch/availability"]) == (b"offline", b"offline")


def test_a_switch_takes_the_worker_away_and_brings_it_back(tmp_path: Path) -> None:
    with (
        Broker(tmp_path) as broker,
        Subscriber(broker.port) as other,
        Daemon(tmp_path, text(tmp_path, broker.port)) as daemon,
    ):
        wait_for(lambda: payloads(other, "porch/event"), "an event")
        worker = wait_for(lambda: daemon.health()["processes"].get(PORCH), "the worker")["pid"]
        other.publish(f"{TOPICS}/porch/enabled/set", b"OFF")
        wait_for(lambda: other.last(f"{TOPICS}/porch/enabled/state") == b"OFF", "OFF")
        wait_for(lambda: not is_alive(worker), "the worker is gone")
        assert other.last(f"{TOPICS}/porch/availability") == b"offline"
        seen = len(other.on(f"{TOPICS}/porch/event"))
        other.publish(f"{TOPICS}/nobody/enabled/set", b"ON")  # harmless
        other.publish(f"{TOPICS}/porch/enabled/set", b"ON")
        # An event of before may still have been on its way, so more events alone prove nothing.
        wait_for(lambda: other.last(f"{TOPICS}/porch/enabled/state") == b"ON", "ON")
        wait_for(lambda: other.last(f"{TOPICS}/porch/availability") == b"online", "online")
        wait_for(lambda: len(other.on(f"{TOPICS}/porch/event")) > seen, "events again")
        wait_for(lambda: "switches pipelines that do not exist: nobody" in daemon.log, "a warning")
        wait_for(lambda: "porch: switched on over MQTT" in daemon.log, "the settled switch")
        other.publish(f"{TOPICS}/porch/enabled/set", b"OFF")
        wait_for(lambda: other.last(f"{TOPICS}/porch/enabled/state") == b"OFF", "OFF again")
        daemon.stop()
        assert "porch: switched off over MQTT" in daemon.log, "also right before it stops"


def test_a_camera_that_was_switched_off_stays_off(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker, Subscriber(broker.port) as other:
        configuration = text(tmp_path, broker.port)
        with Daemon(tmp_path, configuration) as daemon:
            wait_for(lambda: payloads(other, "porch/event"), "an event")
            other.publish(f"{TOPICS}/porch/enabled/set", b"OFF")
            wait_for(lambda: other.last(f"{TOPICS}/porch/enabled/state") == b"OFF", "OFF")
            daemon.process.kill()
            daemon.process.wait(10)
            daemon.start()
            wait_for(lambda: daemon.hear().count("READY=1") == 2, "READY again")
            health = daemon.health()
            assert health["pipelines"]["porch"]["state"] == "disabled"
            assert health["pipelines"]["porch"]["switched"]["on"] is False
            assert "porch: switched off over MQTT since 20" in health["notes"][0]
            assert health["status"] == "ok"
            yard = f"  yard:\n    source: {{kind: folder, path: {PHOTOS}, interval_s: 0.3}}\n"
            daemon.reload(configuration + yard)
            wait_for(lambda: payloads(other, "yard/event"), "an event of the new one")
            assert daemon.health()["pipelines"]["porch"]["state"] == "disabled"
            kept = call("log", "-c", str(daemon.path), "--json").stdout.splitlines()
            lines = [(line["type"], line.get("label")) for line in map(json.loads, kept)]
            assert lines[:2] == [("started", None), ("start", "Egyptian cat")]
            assert [kind for kind, _ in lines if kind in ("off", "started")] == ["started", "off", "started"]
            seen = len(payloads(other, "porch/event"))
            daemon.reload(configuration + yard.replace("  yard", "    enabled: true\n  yard"))
            wait_for(lambda: len(payloads(other, "porch/event")) > seen, "events again")
            assert "the configuration has enabled: true, which wins" in daemon.log


def test_a_person_at_a_terminal_reads_sentences_and_with_v_each_inference(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    (tmp_path / "edged.yaml").write_text(text(tmp_path, None).replace("result: true", "result: false"))
    command = [*RUN, "-v", "-c", str(tmp_path / "edged.yaml")]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = ""
    with contextlib.suppress(OSError):  # the other side is closed
        while "(was Egyptian cat)" not in shown or "sees espresso" not in shown:
            shown += os.read(ours, 65536).decode()
    process.terminate()
    assert process.wait(20) == 0
    os.close(ours)
    assert "  porch      Egyptian cat 0.77  (was unknown)" in shown
    assert "porch: sees Egyptian cat 0.77, " in shown
    assert '"type"' not in shown


def test_a_reload_changes_what_changed_and_nothing_else(tmp_path: Path) -> None:
    yard = f"  yard:\n    source: {{kind: folder, path: {PHOTOS}, interval_s: 0.3}}\n"
    with Broker(tmp_path) as broker, Subscriber(broker.port) as other:
        before = text(tmp_path, broker.port, pipelines=yard)
        with Daemon(tmp_path, before) as daemon:
            wait_for(lambda: payloads(other, "porch/event") and payloads(other, "yard/event"), "events")
            wait_for(lambda: {"porch", "yard"} <= daemon.health()["processes"].keys(), "the workers")
            old = {name: p["pid"] for name, p in daemon.health()["processes"].items()}
            after = before.replace("{result: true}", "{result: true}\n    decision: {threshold: 0.9}")
            daemon.reload(after)
            wait_for(
                lambda: daemon.health()["processes"].get("porch", {}).get("pid") not in {None, old["porch"]}
            )
            seen = len(payloads(other, "porch/event"))
            wait_for(lambda: len(payloads(other, "porch/event")) > seen + 1, "events by the new threshold")
            fresh = payloads(other, "porch/event")[seen:]
            assert all(e["score"] >= 0.63 for e in fresh if e["label"] != "unknown")
            assert "unknown" in {e["label"] for e in fresh}  # the cat is at 0.77, the espresso at 0.89
            new = {name: p["pid"] for name, p in daemon.health()["processes"].items()}
            assert {name for name in old if old[name] != new[name]} == {"porch"}

            daemon.reload(after.replace("threshold: 0.9", "threshold: 9"))
            assert "9" in daemon.health()["problems"][0]
            assert daemon.health()["status"] == "degraded"
            assert "configuration refused" in daemon.log
            assert any("refused" in line for line in daemon.hear())

            daemon.reload(text(tmp_path, broker.port))
            assert daemon.health()["problems"] == []
            wait_for(lambda: other.last(f"{TOPICS}/yard/state") == b"", "the topics of yard are cleared")
            wait_for(lambda: not is_alive(new["yard"]), "the worker of yard is gone")
            assert daemon.process.poll() is None
            assert daemon.stop()[0] == 0


def test_another_broker_is_gone_over_to_without_a_restart(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with (
        Broker(tmp_path / "a") as first,
        Broker(tmp_path / "b") as second,
        Subscriber(first.port) as one,
        Subscriber(second.port) as two,
        Daemon(tmp_path, text(tmp_path, first.port)) as daemon,
    ):
        wait_for(lambda: payloads(one, "porch/event"), "events at the first")
        daemon.reload(text(tmp_path, second.port))
        wait_for(lambda: payloads(two, "porch/event"), "events at the second")
        wait_for(lambda: one.last(f"{TOPICS}/status") == b"offline", "goodbye at the first")
        assert two.last(f"{TOPICS}/status") == b"online"
        numbers = [
            int(e["id"].split("/")[2]) for e in payloads(one, "porch/event") + payloads(two, "porch/event")
        ]
        assert sorted(set(numbers)) == list(range(1, max(numbers) + 1))
        assert daemon.stop()[0] == 0


def _listening(pid: int) -> list[str]:
    """The listening internet sockets of a process."""
    inodes = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        target = str(fd.readlink())
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    lines = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes and (table.startswith("udp") or fields[3] == "0A"):
                lines.append(line)
    return lines


def test_main_holds_no_pixels_and_nobody_listens(tmp_path: Path) -> None:
    with (
        Broker(tmp_path) as broker,
        Subscriber(broker.port) as other,
        Daemon(tmp_path, text(tmp_path, broker.port)) as daemon,
    ):
        wait_for(lambda: payloads(other, "porch/event"), "an event")
        wait_for(lambda: PORCH in daemon.health()["processes"], "the worker")
        mapped = Path(f"/proc/{daemon.pid}/maps").read_text()
        assert [word for word in HEAVY if word in mapped] == []
        worker = daemon.health()["processes"][PORCH]["pid"]
        assert any(
            word in Path(f"/proc/{worker}/maps").read_text() for word in HEAVY
        )  # so the words are right
        for pid in {daemon.pid, *daemon.children()}:
            assert _listening(pid) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_in_order(tmp_path: Path, number: signal.Signals) -> None:
    more = "health: {prometheus: edged.prom}\n"
    with Daemon(tmp_path, text(tmp_path, free_port(), more)) as daemon:
        children = wait_for(daemon.children, "processes")
        figures = tmp_path / "run" / "edged.prom"
        wait_for(lambda: "edged_broker_connected 0" in figures.read_text("utf-8"), "figures")
        code, took_s = daemon.stop(number)
        assert (code, took_s < 5) == (0, True)
        assert not any(map(is_alive, children))
        assert not (tmp_path / "run" / "status.json").exists()
        assert not figures.exists()
        assert daemon.hear()[-1] == "STOPPING=1"


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.15, 0.3, 0.5])
def test_it_stops_at_any_moment_of_starting(tmp_path: Path, after_s: float) -> None:
    daemon = Daemon(tmp_path, text(tmp_path, free_port()))
    daemon.start()
    try:
        wait_for(lambda: b"-m\0edged\0run" in Path(f"/proc/{daemon.pid}/cmdline").read_bytes())
        catches = 1 << (signal.SIGTERM - 1)
        wait_for(
            lambda: (
                int(Path(f"/proc/{daemon.pid}/status").read_text().split("SigCgt:")[1].split()[0], 16)
                & catches
            ),
            "its handler",
        )
        time.sleep(after_s)
        code, took_s = daemon.stop()
        assert (code, took_s < 5) == (0, True), daemon.log
    finally:
        daemon.__exit__()


def test_it_stops_while_the_broker_is_frozen_and_a_worker_hangs(tmp_path: Path) -> None:
    hanging = (
        "  yard:\n    source: {kind: synthetic, fps: 50, interval_s: 0, fault: hang, fault_after: 5}\n"
        "    deadlines: {capture_s: 60}\n"
    )
    with (
        Broker(tmp_path) as broker,
        Subscriber(broker.port) as other,
        Daemon(tmp_path, text(tmp_path, broker.port, pipelines=hanging)) as daemon,
    ):
        wait_for(lambda: payloads(other, "porch/event"), "an event")
        children = wait_for(daemon.children, "processes")
        broker.freeze()
        time.sleep(0.5)
        code, took_s = daemon.stop()
        broker.thaw()
        assert (code, took_s < 5) == (0, True)
        assert not any(map(is_alive, children))


def test_nothing_outlives_a_main_that_is_killed(tmp_path: Path) -> None:
    with Daemon(tmp_path, text(tmp_path, free_port())) as daemon:
        children = wait_for(daemon.children, "processes")
        daemon.stop(signal.SIGKILL)
        wait_for(lambda: not any(map(is_alive, children)), "all of them are gone", 5)


def test_events_wait_for_the_broker(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    with Daemon(tmp_path, text(tmp_path, broker.port)) as daemon:
        wait_for(lambda: daemon.health()["queue"] >= 3, "events that wait")
        assert daemon.health()["broker"]["state"] == "connection refused"
        with broker, Subscriber(broker.port) as other:
            wait_for(lambda: len(payloads(other, "porch/event")) >= 3, "they arrive")
            events = payloads(other, "porch/event")
            assert [int(e["id"].split("/")[2]) for e in events[:3]] == [1, 2, 3]
            assert events[0]["replayed"] is True
            assert daemon.stop()[0] == 0


def test_without_a_broker_events_are_lines_on_standard_output(tmp_path: Path) -> None:
    with Daemon(tmp_path, text(tmp_path, None).replace("{result: true}", "{}")) as daemon:
        out = tmp_path / "stdout"
        wait_for(lambda: len(out.read_text().splitlines()) >= 3, "lines")
        assert daemon.stop()[0] == 0
        for line in out.read_text().splitlines():
            schema("event").validate(json.loads(line))


def test_status_reads_the_running_daemon(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edged", "status", "-c", str(tmp_path / "edged.yaml")]
    with Daemon(tmp_path, text(tmp_path, free_port())) as daemon:
        shown = subprocess.run(command, capture_output=True, text=True, check=False)
        assert shown.returncode == 0
        assert f"process {daemon.pid}" in shown.stdout
        assert "running" in shown.stdout
        data = json.loads(
            subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout
        )
        assert data["pid"] == daemon.pid
        daemon.process.kill()
        daemon.process.wait()
        shown = subprocess.run(command, capture_output=True, text=True, check=False)
        assert shown.returncode == 69
        assert "no daemon is running: it died" in shown.stderr


def test_a_second_daemon_for_one_run_directory_is_refused(tmp_path: Path) -> None:
    with Daemon(tmp_path, text(tmp_path, free_port())) as daemon:
        command = [sys.executable, "-m", "edged", "run", "-c", str(daemon.path)]
        second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        assert second.returncode == 75
        assert second.stderr == (
            f"edged: another edged is already running (process {daemon.pid}, run_dir {tmp_path}/run)\n"
        )
        assert daemon.stop()[0] == 0


def test_a_model_that_is_damaged_is_named_and_the_others_run(tmp_path: Path) -> None:
    data = bytearray((FOLDER / "models" / "efficientnet_lite0_uint8.tflite").read_bytes())
    (tmp_path / "cut.tflite").write_bytes(data[: len(data) // 2])
    cut = "  cut:\n    source: {kind: synthetic}\n    model: {file: cut.tflite}\n"
    with (
        Broker(tmp_path) as broker,
        Subscriber(broker.port) as other,
        Daemon(tmp_path, text(tmp_path, broker.port, pipelines=cut)) as daemon,
    ):
        wait_for(lambda: payloads(other, "porch/event"), "an event of the other")
        wait_for(lambda: daemon.health()["status"] == "problem", "a problem")
        assert "cut.tflite" in daemon.health()["problems"][0]
        assert daemon.health()["problems"][0].startswith("cut: ")
        assert daemon.stop()[0] == 0


def model_text(folder: Path, port: int, threshold: float = 0.2) -> str:
    model = f"{{file: {folder}/m.tflite, labels: {folder}/l.txt}}"
    return text(folder, port, pipelines=f"    model: {model}\n    decision: {{threshold: {threshold}}}\n")


def test_a_reload_refuses_what_edged_check_refuses_and_takes_a_model_that_was_replaced(
    tmp_path: Path, testdata: Path
) -> None:
    models, labels = testdata / "models", (testdata / "labels" / "imagenet_labels.txt").read_text()
    (tmp_path / "l.txt").write_text(labels)
    shutil.copy(models / "mobilenet_v1_0.25_128_quant.tflite", tmp_path / "m.tflite")
    with Broker(tmp_path) as broker, Daemon(tmp_path, model_text(tmp_path, broker.port)) as daemon:
        wait_for(lambda: daemon.health()["pipelines"][PORCH]["state"] == "running", "running")
        worker = daemon.health()["processes"][PORCH]["pid"]
        before = daemon.health()["pipelines"][PORCH]["model"]["sha256"]
        (tmp_path / "l.txt").write_text(labels.rstrip("\n").rpartition("\n")[0])
        daemon.reload(model_text(tmp_path, broker.port, 0.3))
        wait_for(lambda: any("was refused" in p for p in daemon.health()["problems"]), "the refusal")
        assert "1000 labels do not fit the 1001 classes" in daemon.log
        assert daemon.health()["processes"][PORCH]["pid"] == worker
        (tmp_path / "l.txt").write_text(labels)
        shutil.copy(models / "mobilenet_v1_0.5_160_quant.tflite", tmp_path / "next")
        (tmp_path / "next").replace(tmp_path / "m.tflite")
        daemon.reload(model_text(tmp_path, broker.port))
        wait_for(
            lambda: daemon.health()["pipelines"][PORCH]["model"]["sha256"] != before, "the other model", 30
        )
        wait_for(lambda: daemon.health()["problems"] == [], "all well")
