"""``cmd/teach`` over a real mosquitto: the last picture of a running pipeline gets a label, and loses it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import pytest
from broker import Broker
from daemon import Daemon, wait_for
from node import Subscriber
from taught_models import stripe, teach
from test_commands import ask

from edged.models.taught.store import Store

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow]

TEXT = """node: n
state_dir: {0}/state
run_dir: {0}/run
mqtt: {{host: 127.0.0.1, port: {1}, keepalive_s: 5}}
pipelines:
  porch:
    source: {{kind: folder, path: {0}/pictures, loop: true, interval_s: 0.2}}
    model: {{taught: stripes}}
    teach: {{allow: local}}
  yard:
    source: {{kind: folder, path: {0}/pictures, loop: true, interval_s: 0.2}}
    model: {{taught: stripes}}
"""


def test_a_running_pipeline_learns_from_a_label_and_forgets_it_again(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "pictures/1.png"), stripe(7, 3))
    teach(tmp_path / "state", "stripes", {"left": 2, "right": 12}, each=3)
    store = Store(tmp_path / "state")
    with (
        Broker(tmp_path) as broker,
        Subscriber(broker.port) as other,
        Daemon(tmp_path, TEXT.format(tmp_path, broker.port)) as daemon,
    ):
        wait_for(lambda: daemon.health()["pipelines"]["porch"]["frames"] > 1, "pictures were judged")

        def lesson(**given: object) -> str:
            before = daemon.health()["pipelines"]["porch"]["taught"]
            answer = ask(other, "teach", json.dumps({"pipeline": "porch", **given}).encode())
            assert (answer["done"], answer["refused"]) == (["porch"], {})

            def outcome() -> str | None:
                now = daemon.health()["pipelines"]["porch"]["taught"]
                count = now["lessons"] + now["refused"], before["lessons"] + before["refused"]
                return str(now["last"]) if count[0] > count[1] else None

            return str(wait_for(outcome, "what came of the lesson"))

        assert "no such label" in lesson(label="middle")
        assert "did not come over MQTT" in lesson(undo=True)
        assert lesson(label="left") == "learned"
        head = store.read("stripes")
        assert head is not None
        assert (head.version, head.counts) == (2, {"left": 4, "right": 3})
        assert [entry.what for entry in head.history][-1:] == ["corrected"]
        wait_for(lambda: b'"left"' in (other.last("edged/n/porch/state") or b""), "the picture is left")
        wait_for(lambda: daemon.health()["pipelines"]["porch"]["frames"] > 1, "pictures were judged again")
        assert lesson(undo=True) == "learned"
        again = store.read("stripes")
        assert again is not None
        assert again.counts == {"left": 3, "right": 3}
        answer = ask(other, "teach", b'{"pipeline": "yard", "label": "left"}')
        assert answer["error"] == "no such pipeline learns over MQTT (key teach)"
        assert "taught" not in daemon.health()["pipelines"]["yard"]
        assert "values" not in daemon.log
