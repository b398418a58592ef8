"""``deploy/quickstart`` as a newcomer calls it: into an empty folder, with the real daemon."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = str(ROOT / "deploy" / "quickstart")
# The shell that started pytest may ignore Ctrl-C, and what is ignored is inherited.
COMMAND = ["env", "--default-signal=INT", QUICKSTART, "--prefix"]

pytestmark = pytest.mark.mosquitto


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("quickstart") / "venv"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """With a place for temporary files, by which what is left over can be told from what others have."""
    return {**os.environ, "TMPDIR": str(tmp_path)}


def _left_over(folder: Path) -> list[str]:
    """What is still there of a call: processes that name its folder, and files in it."""
    commands = []
    for process in psutil.process_iter():
        try:
            commands.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return [c for c in commands if str(folder) in c] + [str(p) for p in folder.iterdir()]


def _call(prefix: Path, environment: dict[str, str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, str(prefix)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",  # what pip shows of its progress may be cut anywhere
        timeout=timeout_s,
        check=False,
    )


@pytest.mark.slow
def test_installs_and_shows_what_a_subscriber_receives(
    prefix: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    done = _call(prefix, environment, 480)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert "edged/quickstart/status  online" in lines
    assert "edged/quickstart/status  offline" in lines
    labels = re.findall(
        r'^edged/quickstart/photos/event .*"type":"(?:start|change)".*?"label":"([^"]+)"',
        done.stdout,
        re.MULTILINE,
    )
    assert len(set(labels)) >= 3, done.stdout
    assert "What next" in done.stdout
    script = (prefix / "bin" / "edged").read_text().splitlines()[:2]
    assert any(" -I" in line for line in script), script
    assert _left_over(tmp_path) == []


@pytest.mark.slow
def test_second_call_installs_nothing_and_is_quick(
    prefix: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    done = _call(prefix, environment, 60)
    assert done.returncode == 0, done.stdout
    assert "already there" in done.stdout
    assert _left_over(tmp_path) == []


@pytest.mark.slow
def test_ctrl_c_ends_everything(prefix: Path, environment: dict[str, str], tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, str(prefix)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if line.startswith("edged/quickstart/status  online"):
                break
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to all of its group
        rest = running.stdout.read()
        assert running.wait(20) == 130, rest
    assert _left_over(tmp_path) == []


@pytest.mark.slow
def test_a_daemon_that_fails_is_explained(prefix: Path, environment: dict[str, str], tmp_path: Path) -> None:
    program = prefix / "bin" / "edged"
    good = program.read_text()
    try:
        program.write_text(
            '#!/bin/sh\n[ "$1" = --help ] && exit 0\necho "no route to the moon" >&2\nexit 1\n'
        )
        done = _call(prefix, environment, 60)
    finally:
        program.write_text(good)
    assert done.returncode == 1
    assert "the daemon ended by itself" in done.stdout
    assert "no route to the moon" in done.stdout
    assert _left_over(tmp_path) == []


@pytest.mark.parametrize("arguments", [["--nonsense"], ["--seconds", "soon"]])
def test_wrong_arguments_are_refused_before_anything_happens(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, str(tmp_path / "venv"), *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=10,
        check=False,
    )
    assert done.returncode in {1, 64}
    assert not (tmp_path / "venv").exists()


def test_a_32_bit_system_is_refused_in_a_sentence(tmp_path: Path) -> None:
    dpkg = tmp_path / "dpkg"
    dpkg.write_text("#!/bin/sh\necho armhf\n")
    dpkg.chmod(0o755)
    done = subprocess.run(
        [*COMMAND, str(tmp_path / "venv")],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=10,
        check=False,
    )
    assert done.returncode == 1
    assert "armhf" in done.stderr
    assert "64-bit" in done.stderr


def _of_the_script(*functions: str) -> str:
    """Return functions of the script, for a shell that runs these alone."""
    text = Path(QUICKSTART).read_text("utf-8")
    found = [re.search(rf"^{name}\(\) \{{\n.*?^\}}\n", text, re.MULTILINE | re.DOTALL) for name in functions]
    return "".join(match.group() for match in found if match is not None)


def test_its_broker_lets_in_nobody_else_and_shows_its_password_to_nobody(tmp_path: Path) -> None:
    script = f"""
        set -euo pipefail
        . {ROOT}/deploy/common.sh
        failed() {{ echo "$*" >&2; exit 1; }}
        {_of_the_script("start_broker", "free_port")}
        work={tmp_path} node=quickstart python=python3
        start_broker
        trap 'kill "$broker"' EXIT
        publish="mosquitto_pub -h 127.0.0.1 -p $port -t x -n"
        $publish 2>/dev/null && echo "anybody may log in"
        $publish -u "$node" -P guess 2>/dev/null && echo "any password will do"
        XDG_CONFIG_HOME=$work/clients $publish || echo "its own password will not"
        grep -lFf "$work/password" /proc/[0-9]*/cmdline 2>/dev/null && echo "ps shows it"
        stat -c '%a %n' "$work/password" "$work/passwords" "$work/clients/"* | grep -v '^600' || true
    """
    environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"}
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=30, check=False, env=environment
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_what_it_prints_of_a_message_moves_no_cursor() -> None:
    forged = 'edged/quickstart/photos/event {"label":"\x1b]0;owned\x07\x1b[2Jcat\u202e\x9b2J"}'
    script = f"{_of_the_script('receive')}\nnode=quickstart pipeline=photos partial=\nexec 3<&0\nreceive 1"
    done = subprocess.run(
        ["bash", "-c", script], input=forged.encode() + b"\n", capture_output=True, timeout=10, check=True
    )
    assert b"cat" in done.stdout
    assert all(0x20 <= byte < 0x7F for byte in done.stdout.rstrip(b"\n")), done.stdout
