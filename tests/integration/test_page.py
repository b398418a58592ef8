"""``edged page`` with real workers, as a browser meets it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from commandline import EDGED, call
from crew import children
from page_client import Page, page

from edged.ipc.worker_order import Order
from edged.worker.picture_streams import HEAD

CONFIG = """
run_dir: {folder}/run
state_dir: {folder}/state
isolation: optional
pipelines:
  porch:
    source: {{kind: synthetic, size: [320, 240], interval_s: 0.05, rotate: 90, crop: [10, 20, 200, 250]}}
    decision: {{threshold: 0.01, labels: {{tripod: {{threshold: 0.4}}}}}}
    gate: {{armed: true}}
  other:
    source: {{kind: lines, path: {folder}/lines}}
    task: {{kind: text}}
    model: {{name: replies}}
"""


def config(folder: Path, text: str = CONFIG) -> str:
    path = folder / "edged.yaml"
    path.write_text(text.format(folder=folder))
    return str(path)


def picture(shown: Page, after: int = 0) -> tuple[int, int, int, tuple[int, ...]]:
    """Return the width and height of the whole picture, its number, and the shape that is shown."""
    status, data = shown.ask(f"/picture?{after}")
    assert status == 200
    width, height, number, captured_at = HEAD.unpack(data[: HEAD.size])
    assert abs(time.time() - captured_at) < 60
    found = cv2.imdecode(np.frombuffer(data, np.uint8, offset=HEAD.size), cv2.IMREAD_COLOR)
    assert found is not None
    return width, height, number, found.shape


def test_pictures_come_from_the_worker_and_never_through_main() -> None:
    with page("--source", "photos") as shown:
        width, height, number, shape = picture(shown)
        assert width > 100 < height
        assert shape[2] == 3
        assert picture(shown, number)[2] > number
        maps = Path(f"/proc/{shown.process.pid}/maps").read_text()
        assert "cv2" not in maps
        assert "numpy" not in maps
        ahead = picture(shown)[2] + 200  # ms
        with shown.begin(f"/picture?{ahead}") as connection:  # the body comes while main cannot run at all
            head = connection.recv(65536)
            assert head.endswith(b"\r\n\r\n")
            time.sleep(0.05)
            shown.process.send_signal(signal.SIGSTOP)
            body = b""
            while part := connection.recv(65536):
                body += part
            shown.process.send_signal(signal.SIGCONT)
        assert body[HEAD.size : HEAD.size + 2] == b"\xff\xd8"


def test_a_pipeline_of_a_configuration(tmp_path: Path) -> None:
    with page("-c", config(tmp_path), "--pipeline", "porch") as shown:
        setup = shown.json("/setup")
        assert (setup["name"], setup["crop"]) == ("porch", [10, 20, 200, 250])
        assert setup["left_out"] == ["gate"]
        assert picture(shown)[:2] == (240, 320)  # as it is after it was turned
        until = time.monotonic() + 20
        while not (news := shown.json("/news?0.0"))["decisions"] and time.monotonic() < until:
            time.sleep(0.1)
        assert news["decisions"][0]["type"] == "start"
        assert news["state"] == "running"
        answer = shown.json(
            "/replay", {"decision": setup["decision"] | {"threshold": 1, "exit_threshold": 1}}
        )
        assert answer["before"]["count"] > 0 == answer["after"]["count"]
        assert shown.ask("/setup", Authorization="Bearer x")[0] == 401
        assert shown.ask("/", Host="evil.example")[0] == 403
    assert not (tmp_path / "state").exists(), "nothing is written"


def test_a_unix_socket_is_gone_after_ctrl_c(tmp_path: Path) -> None:
    path = tmp_path / "page.sock"
    with page("--source", "photos", path=path) as shown:
        assert picture(shown)[2] > 0
        assert shown.ask("/")[1].startswith(b"<!doctype html>")
        assert shown.end() == 130
    assert not path.exists()


@pytest.mark.slow
def test_a_killed_page_takes_its_worker_along_and_leaves_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "page.sock"
    with page("--source", "photos", path=path) as shown:
        seen = picture(shown)[2]
        (worker,) = (pid for pid, what in children(shown.process.pid).items() if what.endswith("edged:page"))
        os.kill(worker, signal.SIGKILL)
        until, found = time.monotonic() + 20, b""
        while len(found) < 1000:  # from the next one
            assert time.monotonic() < until
            with contextlib.suppress(ConnectionResetError):
                found = shown.ask(f"/picture?{seen + 2000}")[1]
        workers = set(children(shown.process.pid))
        assert workers
        shown.end(signal.SIGKILL)
        until = time.monotonic() + 10
        while any(Path(f"/proc/{pid}/exe").exists() for pid in workers) and time.monotonic() < until:
            time.sleep(0.05)
        assert not [pid for pid in workers if Path(f"/proc/{pid}/exe").exists()]
    with page("--source", "photos", path=path) as shown:
        assert shown.ask("/setup")[0] == 200
        assert shown.end(signal.SIGHUP) == 128 + signal.SIGHUP  # the terminal was closed
    assert not path.exists()


@pytest.mark.slow
def test_who_asks_for_pictures_and_leaves_keeps_nobody_out() -> None:
    with page("--source", "photos") as shown:
        for _ in range(40):
            shown.begin("/picture?0").close()
        for _ in range(60):  # connections that send nothing
            shown.connect().close()
        assert picture(shown)[2] > 0
        assert len(list(Path(f"/proc/{shown.process.pid}/fd").iterdir())) < 60


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    command = [*EDGED, "page", "--source", "photos", "--socket", str(tmp_path / "page.sock")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, b"")


@pytest.mark.parametrize(
    ("options", "status", "sentence"),
    [
        (("--pipeline", "porch"), 64, "write -c too"),
        (("-c", "FILE"), 64, "write --pipeline, one of porch, other"),
        (("-c", "FILE", "--pipeline", "yard"), 64, "there is no pipeline yard; there are: porch, other"),
        (("-c", "FILE", "--pipeline", "other"), 64, "gives text, not pictures"),
        (("-c", "FILE", "--pipeline", "porch", "--source", "photos"), 64, "--source does not go with -c"),
        (("--source", "none.jpg"), 66, "none.jpg: there is no such file"),
        (("--source", "photos", "--model", __file__), 69, "it is not a .tflite file"),
        (("--port", "70000"), 64, "must be a port from 1 to 65535"),
    ],
)
def test_a_page_that_cannot_be_is_refused_in_one_sentence(
    options: tuple[str, ...], status: int, sentence: str, tmp_path: Path
) -> None:
    given = [config(tmp_path) if option == "FILE" else option for option in options]
    place = () if "--port" in given else ("--socket", str(tmp_path / "page.sock"))
    done = call("page", *given, *place)
    assert (done.returncode, done.stdout) == (status, "")
    assert sentence in done.stderr
    assert not (tmp_path / "page.sock").exists()


@pytest.mark.parametrize("on", ["porch", "gate"])
def test_the_camera_of_the_running_service_is_refused(on: str, tmp_path: Path) -> None:
    text = """
run_dir: {folder}
cameras: {{yard: {{kind: v4l2, device: /dev/video0}}}}
pipelines: {{porch: {{camera: yard}}, gate: {{camera: yard}}}}
"""
    pipelines = {name: {"enabled": name == on} for name in ("porch", "gate")}
    status = {"pid": os.getpid(), "monotonic": time.monotonic(), "pipelines": pipelines}
    (tmp_path / "status.json").write_text(json.dumps(status))
    done = call("page", "-c", config(tmp_path, text), "--pipeline", "porch", "--port", "0")
    assert done.returncode == 69
    assert "the running service holds the camera of porch, and shows nobody its pictures" in done.stderr


def test_a_service_shows_nobody_its_pictures_whatever_main_orders() -> None:
    """The fork server of a service, which has a listening socket as descriptor 3, refuses such an order."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind("")  # an abstract address that is free
    listener.listen(1)
    os.set_inheritable(listener.fileno(), True)
    command = [sys.executable, "-m", "edged.worker.forkserver"]
    moved = f"import os; os.dup2({listener.fileno()}, 3); os.execv({command[0]!r}, {command!r})"
    process = subprocess.Popen([sys.executable, "-c", moved], pass_fds=[listener.fileno()])
    main = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, listener, main:
        main.connect(listener.getsockname())
        main.settimeout(60)
        hello, fds, _, _ = socket.recv_fds(main, 4096, 1)
        os.close(fds[0])
        assert "runtime" in json.loads(hello)
        order = Order("porch", "optional", (), pictures=0).to_data()
        request = json.dumps({"do": "fork", "order": order}).encode()
        socket.send_fds(main, [request], [theirs.fileno(), theirs.fileno(), theirs.fileno()])
        assert json.loads(main.recv(4096)) == {"error": "a service shows nobody its pictures"}
        assert select.select([main], [], [], 0.2)[0] == []
    assert process.wait(20) == 0
