"""``edged doctor`` as a user calls it: real workers, a real mosquitto, terminals and pipes."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from broker import Broker, certificates, free_port
from daemon import Daemon, wait_for

from edged.tools.doctor.checks import broker as check_broker
from edged.tools.doctor.subject import subject

if TYPE_CHECKING:
    from edged.tools.doctor.verdict import Verdict

EDGED = [sys.executable, "-m", "edged"]
PIPELINES = "pipelines:\n  porch:\n    source: {kind: synthetic, size: [64, 48], interval_s: 0.05}\n"


def call(*argv: str, timeout_s: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*EDGED, "doctor", *argv],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        stdin=subprocess.DEVNULL,
        env=os.environ | environment,
    )
    assert "Traceback" not in done.stderr
    return done


def checks(*argv: str, **environment: str) -> dict[str, dict[str, str]]:
    done = call("--json", *argv, **environment)
    document = json.loads(done.stdout)
    found = {check["name"]: check for check in document["checks"]}
    assert document.keys() == {"checks"}
    assert all(check.keys() == {"name", "status", "detail", "fix"} for check in document["checks"])
    assert all(isinstance(value, str) for check in document["checks"] for value in check.values())
    assert done.returncode == int(any(check["status"] == "error" for check in document["checks"]))
    return found


def configuration(folder: Path, mqtt: str = "", rest: str = PIPELINES) -> str:
    path = folder / "edged.yaml"
    path.write_text(f"node: n\nstate_dir: {folder}/state\nrun_dir: {folder}/run\n{mqtt}{rest}")
    return str(path)


def broker(folder: Path, mqtt: str) -> Verdict:
    """Make this one check, as ``edged doctor`` makes it among others."""
    path = configuration(folder, f"mqtt: {{{mqtt}}}\n")
    return check_broker.broker(subject(Path(path), Path("/"), given=True))


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("pem"))


def test_without_a_configuration_it_runs_a_model_and_skips_what_needs_one() -> None:
    found = checks()
    assert found["cpu-inference"]["status"] == "ok"
    assert "Egyptian cat" in found["cpu-inference"]["detail"]
    assert " ms (median of 10; " in found["cpu-inference"]["detail"]
    for name in ("drivers", "configuration", "broker", "state-dir"):
        assert found[name]["status"] == "skipped"


def test_in_a_pipe_each_check_is_a_plain_line() -> None:
    done = call()
    assert "\x1b" not in done.stdout
    lines = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert len(lines) == 19
    assert lines[0].startswith("✓ python ")
    assert done.stderr == ""


def test_an_output_that_knows_few_characters_gets_others() -> None:
    done = call(PYTHONIOENCODING="ascii")
    assert done.stdout.startswith("+ python ")
    assert done.stdout.count("\n") >= 15


def test_on_a_terminal_it_says_what_it_is_doing() -> None:
    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100"}
    process = subprocess.Popen(
        [*EDGED, "doctor"], stdin=follower, stdout=follower, stderr=follower, env=environment
    )
    os.close(follower)
    said = b""
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:
            break
        if not chunk:
            break
        said += chunk
    os.close(leader)
    process.wait(60)
    assert "cpu-inference …".encode() in said
    assert "\x1b[32m✓".encode() in said


def test_a_reader_that_leaves_is_no_error() -> None:
    process = subprocess.Popen([*EDGED, "doctor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(60), errors) == (0, b"")


def test_ctrl_c_is_130() -> None:
    command = ["env", "--default-signal=INT", *EDGED, "doctor"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, b"")


def test_a_broken_opencv_is_named_with_what_it_misses(tmp_path: Path) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    found = checks(PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    for name in ("runtime", "cpu-inference"):
        assert found[name]["status"] == "error"
        assert "libGL.so.1" in found[name]["detail"]
    assert "opencv-python-headless" in found["runtime"]["fix"]
    assert found["isolation"]["status"] == "skipped"


def test_a_bad_configuration_is_an_error_with_its_place(tmp_path: Path) -> None:
    path = configuration(tmp_path, rest=PIPELINES.replace("synthetic", "synthetik"))
    found = checks("-c", path)
    assert found["configuration"]["status"] == "error"
    assert f"{path}:6:" in found["configuration"]["detail"]
    assert "did you mean 'synthetic'?" in found["configuration"]["detail"]
    assert found["broker"]["detail"] == f"the configuration {path} cannot be used"
    assert found["cpu-inference"]["status"] == "ok"


@pytest.mark.mosquitto
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_it_logs_in_at_the_broker(tmp_path: Path, protocol: str) -> None:
    (tmp_path / "right").write_text("s3cret-word\n")
    (tmp_path / "wrong").write_text("another-word\n")
    with Broker(tmp_path, users={"porch": "s3cret-word"}) as real:
        login = f'host: 127.0.0.1, port: {real.port}, username: porch, protocol: "{protocol}"'
        found = broker(tmp_path, f"{login}, password_file: right")
        assert (found.status, found.fix) == ("ok", "")
        assert f"127.0.0.1:{real.port} lets porch in (MQTT {protocol} without TLS, " in found.detail
        assert "as edged-doctor-" in real.log
        found = broker(tmp_path, f"{login}, password_file: wrong")
        assert found.status == "error"
        assert "auth refused" in found.detail
        assert "mqtt.password_file" in found.fix
        assert "word" not in found.detail.replace("password", "")


@pytest.mark.mosquitto
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_it_finds_that_the_user_may_not_publish(tmp_path: Path, protocol: str) -> None:
    (tmp_path / "password").write_text("w\n")
    acl = ["user porch", "topic read #"]
    with Broker(tmp_path, users={"porch": "w"}, acl=acl) as real:
        login = f'host: 127.0.0.1, port: {real.port}, username: porch, protocol: "{protocol}"'
        found = broker(tmp_path, f"{login}, password_file: password")
        assert found.status == "error"
        assert "lets porch in, but" in found.detail
        assert "may not publish below edged/" in found.detail
        assert "docs/brokers.md" in found.fix


@pytest.mark.mosquitto
def test_it_visits_each_address(tmp_path: Path) -> None:
    with Broker(tmp_path, extra=["retain_available false"]) as real:
        found = broker(tmp_path, f'host: ["127.0.0.1:{real.port}", "127.0.0.1:{free_port()}"]')
    assert found.status == "error"
    assert f"127.0.0.1:{real.port} lets this node in (MQTT 5 without TLS, " in found.detail
    assert "retains no messages" in found.detail
    assert "connection refused" in found.detail


@pytest.mark.mosquitto
@pytest.mark.filterwarnings(
    # paho drops the socket of a failed handshake and leaves the closing to the garbage collector.
    "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_it_verifies_the_brokers_certificate(tmp_path: Path, pem: Path) -> None:
    with Broker(tmp_path, tls=pem) as real:
        where = f"host: localhost, port: {real.port}"
        found = broker(tmp_path, f"{where}, tls: {{ca_file: {pem}/ca.pem}}")
        assert (found.status, "with TLS" in found.detail) == ("ok", True)
        found = broker(tmp_path, f"{where}, tls: {{ca_file: {pem}/other.pem}}")
        assert found.status == "error"
        assert "certificate refused" in found.detail
        assert "mqtt.tls.ca_file" in found.fix
        found = broker(tmp_path, where)
        assert found.status == "error"
        assert "wants TLS" in found.detail + found.fix


@pytest.mark.mosquitto
def test_a_broker_that_says_nothing_is_given_up_after_its_deadline(tmp_path: Path) -> None:
    with Broker(tmp_path) as real:
        real.freeze()
        began = time.monotonic()
        found = broker(tmp_path, f"host: 127.0.0.1, port: {real.port}")
        assert time.monotonic() - began < 30
        assert (found.status, "no answer: nothing was heard from it within 5 s" in found.detail) == (
            "error",
            True,
        )


@pytest.mark.parametrize(
    ("mqtt", "words", "fix"),
    [
        ("host: 127.0.0.1, port: PORT", "nothing listens there", "start the broker"),
        ("host: no-such-broker.invalid", "name not found", "getent hosts no-such-broker.invalid"),
        ("host: 127.0.0.1, username: u, password_file: none", "there is no such file", "configuration"),
    ],
)
def test_nobody_there(tmp_path: Path, mqtt: str, words: str, fix: str) -> None:
    found = broker(tmp_path, mqtt.replace("PORT", str(free_port())))
    assert found.status == "error"
    assert words in found.detail
    assert fix in found.fix


@pytest.mark.mosquitto
def test_beside_the_running_daemon_it_disturbs_nothing(tmp_path: Path) -> None:
    with Broker(tmp_path) as real:
        mqtt = f"mqtt: {{host: 127.0.0.1, port: {real.port}}}\n"
        head = f"node: n\nstate_dir: {tmp_path}/state\nrun_dir: {tmp_path}/run\n"
        with Daemon(tmp_path, head + mqtt + PIPELINES) as daemon:
            health: dict[str, Any] = wait_for(
                lambda: h if (h := daemon.health())["pipelines"]["porch"]["frames"] else None, "frames"
            )
            found = checks("-c", configuration(tmp_path, mqtt))
            assert found["state-dir"]["status"] == "ok"
            assert "all accounted for" in found["state-dir"]["detail"]
            assert found["broker"]["status"] == "ok"
            now = daemon.health()
            assert now["broker"]["state"] == "connected"
            assert now["processes"]["porch"]["pid"] == health["processes"]["porch"]["pid"]
