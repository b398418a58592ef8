"""``edged try`` with real workers, as a user calls it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import jsonschema
import probe_models
import pytest
from broker import Broker
from commandline import EDGED, call, on_terminal, python_path
from node import Subscriber
from probe_models import Probe

import edged

PHOTOS = Path(edged.__file__).parent / "photos"


def test_a_reader_that_leaves_is_no_error() -> None:
    command = [*EDGED, "try", "--json", "--source", "photos", "--count", "5000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(30), errors) == (0, b"")


def test_ctrl_c_is_130() -> None:
    command = [
        "env",
        "--default-signal=INT",
        *EDGED,
        "try",
        "--json",
        "--source",
        "photos",
        "--count",
        "1000000",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, b"")


def test_try_prints_events_of_type_result_by_the_schema() -> None:
    done = call("try", "--json", "--source", "photos", "--count", "4")
    assert (done.returncode, done.stderr) == (0, "")
    schema = json.loads((Path(edged.__file__).parent / "schema" / "event.schema.json").read_text())
    events = [json.loads(line) for line in done.stdout.splitlines()]
    for event in events:
        jsonschema.Draft202012Validator(schema).validate(event)
    assert [e["label"] for e in events] == ["Egyptian cat", "espresso", "tripod", "Egyptian cat"]
    assert {(e["type"], e["pipeline"]) for e in events} == {("result", "try")}


def test_try_with_one_photograph_ends_after_it() -> None:
    photograph = str(Path(edged.__file__).parent / "photos" / "01-cat.jpg")
    done = call("try", "--source", photograph)
    assert done.returncode == 0
    header, isolation, line = done.stdout.splitlines()
    assert header.startswith(f"{photograph}: efficientnet_lite0_uint8 (35e8e20b) on cpu with ")
    assert isolation.startswith("isolation: ")
    assert line.startswith("Egyptian cat")
    assert "inference" in line


@pytest.mark.parametrize(
    ("argv", "code", "sentence"),
    [
        (("--source", "none.jpg"), 66, "none.jpg: there is no such file, folder or device"),
        (("--source", "/dev/video99"), 66, "/dev/video99: there is no such file"),
        (("--model", "none.tflite"), 66, "--model none.tflite: there is no such file"),
        (("--labels", __file__), 64, "write --model too"),
        (("--model", __file__), 69, "it is not a .tflite file"),
        (("--source", __file__), 69, "contains no video"),
        (("--broker", "127.0.0.1:1"), 69, "cannot be used: connection refused"),
        (("--broker", "host:port"), 64, "a port from 1 to 65535"),
        (("--user", "u"), 64, "--user, --password-file and --ca need --broker"),
        (("--broker", "h", "--password-file", "f"), 64, "--password-file needs a user"),
    ],
)
def test_try_says_in_one_sentence_why_it_cannot(argv: tuple[str, ...], code: int, sentence: str) -> None:
    done = call("try", "--source", "photos", "--json", *argv)
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_try_over_an_empty_folder_says_so(tmp_path: Path) -> None:
    done = call("try", "--source", str(tmp_path))
    assert done.returncode == 66
    assert str(tmp_path) in done.stderr


@pytest.mark.mosquitto
def test_try_publishes_for_real(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker, Subscriber(broker.port, "edged/#") as other:
        done = call("try", "--source", "photos", "--json", "--broker", f"127.0.0.1:{broker.port}")
        assert (done.returncode, done.stderr) == (0, "")
        node = json.loads(done.stdout.splitlines()[0])["node"]
        base = f"edged/{node}"
        assert other.on(f"{base}/status") == [b"online", b"offline"]
        events = [json.loads(payload) for payload in other.on(f"{base}/try/event")]
        assert [e["label"] for e in events] == ["Egyptian cat", "espresso", "tripod"]
        assert [e["type"] for e in events] == ["start", "change", "change"]
        results = [json.loads(payload) for payload in other.on(f"{base}/try/result")]
        assert [r["label"] for r in results] == ["Egyptian cat", "espresso", "tripod"]
        with Subscriber(broker.port, "edged/#") as late:
            deadline = time.monotonic() + 10
            while not late.seen and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.2)
            assert [(m.topic, m.payload) for m in late.seen] == [(f"{base}/status", b"offline")]


def test_where_isolation_cannot_be_had_it_goes_on_with_a_loud_line(tmp_path: Path) -> None:
    (tmp_path / "pyseccomp.py").write_text("raise ImportError('no libseccomp here')\n")
    command = [*EDGED, "try", "--source", "photos", "--json"]
    if os.geteuid() == 0:  # root could still make a network namespace
        command = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", *command]
    environment = os.environ | {"PYTHONPATH": python_path(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    assert "WARNING" in done.stderr
    assert "is not isolated" in done.stderr


def test_the_table_shows_bars_times_and_walls() -> None:
    """On a terminal of its own, as a person sees it."""
    status, shown = on_terminal("try", "--source", "photos", "--count", "3")
    assert status == 0
    for words in (
        "the bundled photographs",
        "Egyptian cat",
        "tripod",
        "█",
        "inference",
        "isolation:",
        "seccomp",
    ):
        assert words in shown
    assert shown.rstrip().endswith("\x1b[?25h")  # the cursor is there again


def test_what_is_assumed_of_a_model_is_noted_once_with_the_key(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(probe_models.build(Probe()))
    (tmp_path / "l.txt").write_text("0 cars\n1 car\n2 cars")
    model = ["--model", str(tmp_path / "m.tflite"), "--labels", str(tmp_path / "l.txt")]
    done = call("try", "--json", "--source", "photos", "--count", "3", *model)
    assert done.returncode == 0
    assumed, twins = done.stderr.splitlines()
    assert assumed.startswith("edged: m does not say which values its input wants")
    assert "--normalize" in assumed
    assert "classes 0 and 2 have the same name, 'cars'" in twins
    done = call("try", "--json", "--source", "photos", "--count", "1", *model, "--normalize", "-1..1")
    assert done.stderr.splitlines() == [twins]


def test_values_that_the_bundled_classifier_does_not_need_are_noted() -> None:
    done = call("try", "--json", "--source", "photos", "--count", "1", "--normalize", "imagenet")
    assert done.returncode == 0
    assert "is quantised for -1..1, so model.normalize has no effect on it" in done.stderr
