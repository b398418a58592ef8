"""The recipes of docs/recipes.md: each is run, or held to the rules of the program that runs it."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from broker import Broker, free_port
from conftest import ROOT
from daemon import wait_for
from node import Subscriber
from telegraf_rules import lines, subscriptions
from unit.daemon.test_prometheus import HEALTH
from unit.docs.documents import all_blocks

from edged import homeassistant
from edged.daemon import prometheus
from edged.homeassistant.label_entities import Watched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXAMPLES = ROOT / "config" / "examples"
EVENT = {"v": 1, "type": "start", "node": "porch-pi", "pipeline": "porch", "label": "Egyptian cat"}
EVENT |= {"score": 0.773, "captured_at": "2026-11-26T03:48:53.199Z", "latency_ms": 6.1, "replayed": False}


EVENT_LINE = (
    r"edged_event,label=Egyptian\ cat,node=porch-pi,pipeline=porch,type=start "
    "score=0.773,latency_ms=6.1 1795664933199000000"
)


def documented(schema: str) -> dict[str, Any]:
    """Return the first message of docs/topics.md that a test holds to this schema."""
    wanted = f"schema {schema}"
    found = next(b for b in all_blocks("json") if b.marker == wanted and b.page.name == "topics.md")
    data: dict[str, Any] = json.loads(found.text)
    return data


# Telegraf.


@pytest.mark.parametrize(
    ("topic", "message", "expected"),
    [
        (
            "edged/porch-pi/porch/event",
            documented("event"),
            EVENT_LINE,
        ),
        (
            "edged/porch-pi/attic/state",
            {"v": 1, "value": 21.4, "unit": "°C", "ts": "2026-11-26T03:48:53.199Z", "quality": "good"},
            "edged_reading,node=porch-pi,quality=good,sensor=attic,unit=°C value=21.4 1795664933199000000",
        ),
    ],
)
def test_telegraf_makes_these_lines(topic: str, message: dict[str, Any], expected: str) -> None:
    config = EXAMPLES / "telegraf" / "edged.conf"
    payload = json.dumps(message).encode()
    assert lines(subscriptions(config), topic, payload) == [expected]
    assert f"# {expected.rpartition(' ')[0]} " in config.read_text("utf-8"), "its comment shows the same"


def test_telegraf_takes_health_and_leaves_states_of_pipelines() -> None:
    consumers = subscriptions(EXAMPLES / "telegraf" / "edged.conf")
    health = HEALTH | {"v": 1, "node": "porch-pi", "ts": "2026-11-26T03:48:53.199Z"}
    (line,) = lines(consumers, "edged/porch-pi/health", json.dumps(health).encode())
    assert line.startswith("edged_health,clock=synced,node=porch-pi,status=degraded,version=0.2.0 ")
    assert "queue=3" in line
    assert "pipelines_porch_invoke_ms_p50=5.3" in line
    assert "pid" not in line
    assert lines(consumers, "edged/porch-pi/porch/state", b"{}") == []
    assert lines(consumers, "edged/porch-pi/porch/enabled/state", b"ON") == []


# Grafana.


def test_the_dashboard_shows_what_the_figures_have() -> None:
    board = json.loads((EXAMPLES / "grafana" / "edged.json").read_text("utf-8"))
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    known = set(
        re.findall(r"^# TYPE (\S+)", prometheus.text(HEALTH | {"pipelines": _with_rate()}), re.MULTILINE)
    )
    for panel in panels:
        assert panel["datasource"]["uid"] == f"${{{board['__inputs'][0]['name']}}}"
        for target in panel["targets"]:
            assert set(re.findall(r"edged_\w+", target["expr"])) <= known, panel["title"]
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= {
                *("instance", "pipeline", "process", "reason", "sensor", "channel", "unit")
            }
    assert {panel["type"] for panel in panels} == {
        r["id"] for r in board["__requires"] if r["type"] == "panel"
    }
    cells = [
        (x, y)
        for g in (panel["gridPos"] for panel in panels)
        for x in range(g["x"], g["x"] + g["w"])
        for y in range(g["y"], g["y"] + g["h"])
    ]
    assert len(set(cells)) == len(cells), "panels lie over each other"
    assert {x for x, _ in cells} <= set(range(24))


def test_the_alarms_are_rules_of_prometheus() -> None:
    path = EXAMPLES / "prometheus" / "edged.rules.yml"
    rules = yaml.safe_load(path.read_text("utf-8"))["groups"][0]["rules"]
    assert {"edged_info", "edged_status"} == set(re.findall(r"edged_\w+", " ".join(r["expr"] for r in rules)))
    program = shutil.which("promtool")
    if program is not None:
        done = subprocess.run([program, "check", "rules", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def _with_rate() -> dict[str, Any]:
    return {name: pipeline | {"fps": 1.0} for name, pipeline in HEALTH["pipelines"].items()}


# Home Assistant.


class _Loader(yaml.SafeLoader):
    """Home Assistant's YAML: ``!input NAME``."""


class _Input(str):
    """The name of an input."""

    __slots__ = ()


_Loader.add_constructor("!input", lambda loader, node: _Input(loader.construct_scalar(node)))


def _loaded(name: str) -> Any:
    return yaml.load((EXAMPLES / "homeassistant" / name).read_text("utf-8"), _Loader)  # noqa: S506 - it is safe


def _inputs(data: Any) -> Iterator[str]:
    match data:
        case _Input():
            yield str(data)
        case dict():
            for value in data.values():
                yield from _inputs(value)
        case list():
            for value in data:
                yield from _inputs(value)


def _entities(node: str, pipeline: str) -> set[str]:
    """Return the ids that Home Assistant gives the entities of a node: domain, device and name."""
    data, _ = homeassistant.payload(node, [pipeline], watched={pipeline: Watched(("person",))})
    names = ((c["p"], f"{node} {c['name']}") for c in data["cmps"].values() if "name" in c)
    return {f"{domain}.{re.sub('[^a-z0-9]+', '_', name.lower())}" for domain, name in names}


def test_the_automations_name_entities_that_edged_announces() -> None:
    text = (EXAMPLES / "homeassistant" / "automation.yaml").read_text("utf-8")
    automations = _loaded("automation.yaml")
    named = set(re.findall(r"\b(?:binary_sensor|sensor|event)\.\w+", text))
    assert named <= _entities("porch-pi", "porch"), named
    for automation in automations:
        assert {"alias", "triggers", "actions"} <= automation.keys()
        for trigger in automation["triggers"]:
            assert trigger["trigger"] == "state"
            if trigger["entity_id"].startswith("event."):  # its last event is shown again when it comes back
                assert (trigger["not_from"], trigger["not_to"]) == ("unavailable", "unavailable")


def test_the_blueprint_uses_each_of_its_inputs() -> None:
    blueprint = _loaded("blueprint.yaml")
    declared = blueprint["blueprint"]["input"]
    assert set(_inputs({k: v for k, v in blueprint.items() if k != "blueprint"})) == set(declared)
    assert blueprint["blueprint"]["domain"] == "automation"
    assert all(len(described["selector"]) == 1 for described in declared.values())


# ntfy.


class _Ntfy(http.server.BaseHTTPRequestHandler):
    """A server that takes a message with POST, as ntfy does."""

    received: list[tuple[str, str]]

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        type(self).received.append((self.path, text))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@contextlib.contextmanager
def ntfy() -> Iterator[tuple[int, list[tuple[str, str]]]]:
    _Ntfy.received = []
    with http.server.HTTPServer(("127.0.0.1", 0), _Ntfy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port, _Ntfy.received
        finally:
            server.shutdown()
            thread.join()


def published(subscriber: Subscriber, **changes: Any) -> None:
    event = EVENT | {"id": "porch-pi/0/1"} | changes
    subscriber.publish("edged/porch-pi/porch/event", json.dumps(event).encode())


@pytest.mark.mosquitto
def test_the_line_for_ntfy_sends_what_begins_and_is_not_late(tmp_path: Path) -> None:
    for program in ("jq", "curl", "mosquitto_sub"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    (block,) = (b for b in all_blocks("console") if b.page.name == "recipes.md" and "ntfy.sh" in b.text)
    with Broker(tmp_path) as broker, ntfy() as (port, received), Subscriber(broker.port) as other:
        line = block.text.removeprefix("$ ").replace("broker.lan", f"127.0.0.1 -p {broker.port}")
        line = line.replace("https://ntfy.sh", f"http://127.0.0.1:{port}")
        before = len(broker.log)
        with subprocess.Popen(["bash", "-c", line], start_new_session=True) as shell:
            try:
                wait_for(lambda: "edged/+/+/event" in broker.log[before:], "subscribed")
                published(other, label="person", replayed=True)
                published(other, label="person", type="end", previous="person")
                published(other, label="cat")
                published(other, label="person")
                wait_for(lambda: received, "a message")
            finally:
                os.killpg(shell.pid, 15)
        assert received == [("/my-topic", "porch-pi porch: person (77 %)")]


# Node-RED.


@pytest.mark.slow
@pytest.mark.mosquitto
def test_node_red_passes_a_new_label_on_once(tmp_path: Path) -> None:
    folder = os.environ.get("EDGED_NODE_RED", "")
    if not folder:
        pytest.skip("EDGED_NODE_RED names no folder in which `npm install node-red@4` ran")
    flow = json.loads((EXAMPLES / "node-red" / "flow.json").read_text("utf-8"))
    with Broker(tmp_path) as broker, Subscriber(broker.port) as other:
        for node in flow:
            if node["type"] == "mqtt-broker":
                node |= {"broker": "127.0.0.1", "port": str(broker.port)}
        (tmp_path / "flow.json").write_text(json.dumps(flow))
        (tmp_path / "settings.js").write_text("module.exports = {logging: {console: {level: 'info'}}}\n")
        log = tmp_path / "node-red.log"
        command = [
            f"{folder}/node_modules/.bin/node-red",
            "--userDir",
            str(tmp_path),
            "--port",
            str(free_port()),
        ]
        command += ["--settings", str(tmp_path / "settings.js"), str(tmp_path / "flow.json")]
        with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
            try:
                wait_for(lambda: "edged/+/+/event" in broker.log, "subscribed", 60)
                published(other, id="porch-pi/0/1", replayed=True, label="late")
                for _ in range(2):  # a repetition
                    published(other, id="porch-pi/0/2", label="cat")
                published(other, id="porch-pi/0/3", type="change", label="unknown")
                published(other, id="porch-pi/0/4", type="change", label="dog")
                wait_for(lambda: "'dog'" in log.read_text(), "the dog", 20)
            finally:
                process.terminate()
        text = log.read_text()
        assert re.findall(r"payload: '(\w+)'", text) == ["cat", "dog"], text
        assert "topic: 'porch-pi/porch'" in text
