"""The command line as a user calls it: exit statuses, sentences, and never a traceback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commandline import EDGED, call

import edged
from edged.cli import main
from edged.config import loader
from edged.daemon import health
from edged.daemon.status_file import NAME, StatusFile
from edged.errors import Problem
from edged.ipc.sensor_messages import SensorState
from edged.sensors import Reading
from edged.spool import Counts
from edged.testing.supervisor import status

GOOD = "node: n\npipelines:\n  porch:\n    source: {kind: synthetic}\n"
BAD = "node: N\npipelines:\n  porch:\n    source: {kind: synthetik}\n"


@pytest.fixture
def good(tmp_path: Path) -> str:
    (tmp_path / "good.yaml").write_text(GOOD)
    return str(tmp_path / "good.yaml")


@pytest.fixture
def bad(tmp_path: Path) -> str:
    (tmp_path / "bad.yaml").write_text(BAD)
    return str(tmp_path / "bad.yaml")


def test_help_names_every_verb_and_imports_nothing_heavy() -> None:
    program = (
        "import sys, edged.cli.main\n"
        "try: edged.cli.main.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = ('pydantic', 'asyncio', 'yaml', 'paho', 'rich', 'numpy')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    *_, heavy = done.stdout.splitlines()
    assert heavy == "[]"
    assert all(verb.HELP.split(";")[0][:30] in done.stdout for verb in main.VERBS)


def test_version() -> None:
    assert call("--version").stdout.strip() == f"edged {edged.__version__}"


@pytest.mark.parametrize(
    "argv",
    [
        ("try", "--count", "0"),
        ("try", "--count", "x"),
        ("run", "--log", "xml"),
        ("check", "--fast"),
    ],
)
def test_wrong_usage_is_64(argv: tuple[str, ...]) -> None:
    done = call(*argv)
    assert done.returncode == 64
    assert "usage: edged" in done.stderr


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("try", "cat.jpg"), "edged try: unrecognized arguments: cat.jpg; write --source cat.jpg"),
        (("check", "porch.yaml"), "edged check: unrecognized arguments: porch.yaml; write -c porch.yaml"),
        (("init", "porch.yaml"), "edged init: unrecognized arguments: porch.yaml; write -o porch.yaml"),
        (("check", "-c", "porch.yaml", "more"), "edged check: unrecognized arguments: more"),
        (("check", "--fast"), "edged check: unrecognized arguments: --fast"),
    ],
)
def test_a_file_without_its_option_gets_a_hint(argv: tuple[str, ...], says: str) -> None:
    *usage, last = call(*argv).stderr.splitlines()
    assert usage[0].startswith(f"usage: edged {argv[0]} ")
    assert last == says


def test_check_summarises_a_valid_configuration(good: str) -> None:
    done = call("check", "-c", good)
    assert (done.returncode, done.stdout) == (0, f"{good}: good: 1 pipeline (porch)\n")


def test_check_prints_every_problem_with_its_position(bad: str) -> None:
    done = call("check", "-c", bad)
    assert done.returncode == 78
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == [f"{bad}:1:7", f"{bad}:4:20"]
    assert "did you mean 'synthetic'?" in done.stdout


def test_check_gives_the_same_problems_as_data(good: str, bad: str) -> None:
    done = call("check", "--json", "-c", bad)
    assert done.returncode == 78
    problems = [Problem.from_data(json.loads(line)) for line in done.stdout.splitlines()]
    assert "".join(f"{problem}\n" for problem in problems) == call("check", "-c", bad).stdout
    good_one = call("check", "--json", "-c", good)
    assert (good_one.returncode, good_one.stdout) == (0, "")


@pytest.mark.parametrize("verb", ["check", "run"])
def test_a_file_that_cannot_be_read_is_78(verb: str, tmp_path: Path) -> None:
    for path, what in ((tmp_path / "none.yaml", "no such file"), (tmp_path, "a folder")):
        done = call(verb, "-c", str(path))
        assert done.returncode == 78
        assert (done.stdout + done.stderr).count(what) == 1


def test_run_with_a_bad_configuration_is_78_with_every_problem(bad: str) -> None:
    done = call("run", "-c", bad)
    assert (done.returncode, done.stdout) == (78, "")
    assert f"{bad}:1:7: " in done.stderr
    assert f"{bad}:4:20: " in done.stderr


def test_init_writes_a_valid_file_and_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "edged.yaml"
    assert call("init", "-o", str(path)).returncode == 0
    assert call("check", "-c", str(path)).returncode == 0
    before = path.read_text()
    done = call("init", "-o", str(path))
    assert (done.returncode, path.read_text()) == (73, before)
    assert "already exists" in done.stderr
    assert call("init").stdout == before


def test_init_writes_own_directories_for_an_ordinary_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    path = tmp_path / "edged.yaml"
    assert main.main(["init", "-o", str(path)]) == 0
    config, state = loader.load(path), tmp_path / ".local/state/edged"
    assert (config.state_dir, config.run_dir) == (state, state / "run/edged")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert main.main(["init"]) == 0
    assert "\nrun_dir: /run/user/1000/edged" in capsys.readouterr().out
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/edged")
    assert main.main(["init"]) == 0
    assert "\n# state_dir: " in capsys.readouterr().out


def test_without_a_verb_and_with_help_the_help_is_printed() -> None:
    whole = call("--help").stdout
    assert "verbs:" in whole
    for argv in ((), ("help",)):
        done = call(*argv)
        assert (done.returncode, done.stdout) == (0, whole)
    assert call("help", "check").stdout == call("check", "--help").stdout
    assert call("version").stdout == f"edged {edged.__version__}\n"


def test_a_verb_with_a_slip_is_suggested() -> None:
    done = call("chekc")
    assert (done.returncode, done.stderr) == (64, "edged: there is no verb chekc: did you mean check?\n")
    done = call("xyz")
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith("edged: there is no verb xyz: there are try, aim, run, check, ")


@pytest.mark.parametrize("verb", ["schema", "init"])
def test_a_full_disk_behind_standard_output_is_74(verb: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "edged", verb], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (
        74,
        "edged: standard output cannot be written: no space left on device\n",
    )


def test_init_into_a_missing_folder_is_73(tmp_path: Path) -> None:
    done = call("init", "-o", str(tmp_path / "none" / "edged.yaml"))
    assert done.returncode == 73
    assert "no such file or directory" in done.stderr


@pytest.mark.parametrize("of", ["event", "state", "health", "gap"])
def test_schemas_of_messages_are_those_of_the_package(of: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["schema", of]) == 0
    packaged = Path(edged.__file__).parent / "schema" / f"{of}.schema.json"
    assert capsys.readouterr().out == packaged.read_text("utf-8")


def test_schema_is_the_shipped_one() -> None:
    shipped = (Path(edged.__file__).parents[1] / "config" / "edged.schema.json").read_text()
    assert call("schema").stdout == shipped


def running(folder: Path) -> None:
    message = health.message(
        health.Snapshot(
            node="porch-pi",
            uptime_s=93784,
            at=1769860800.0,
            synced=True,
            pipelines={
                "porch": status(
                    fps=1.0,
                    invoke_p50_ms=12.3,
                    invoke_p95_ms=15.0,
                    frames=42,
                    dropped={"black": 2, "still": 99},
                    moves=False,
                    view=(0.5, 0.667),
                ),
                "yard": status(
                    "yard", state="waiting", fault="source", last_error="[red]no[/] camera", model=None
                ),
            },
            sensors={"attic": SensorState("attic", "hung", "no answer [within] 4 s", 7, 2)},
            readings={"attic": (Reading("", 21.5, "°C", 1769860800.0),)},
            counts=Counts(5, 3, 1, {"age": 1}),
            broker=health.Broker("connected", "MQTT to broker b:1883"),
            processes={"main": health.Process(os.getpid(), 40.0), "porch": health.Process(1, 80.0)},
            cameras={"porch": "front", "yard": "front"},
        )
    )
    StatusFile(folder).write(message)


def test_status_of_a_running_daemon(tmp_path: Path) -> None:
    running(tmp_path)
    done = call("status", RUNTIME_DIRECTORY=str(tmp_path))
    assert done.returncode == 0
    for words in (
        f"porch-pi  problem  edged {edged.__version__}, process {os.getpid()}, up 1 d 2 h, clock synced",
        "connected: MQTT to broker b:1883",
        "5 accepted, 3 acknowledged, 1 queued, 1 dropped (age)",
        "120 MB resident in 2 processes",
        "seccomp, netns, mountns, pidns (all workers)",
        "12.3 ms",
        "efficientnet_lite0_uint8 (cpu, litert)",
        "attic   hung   21.5 °C       2",
        "camera     front: porch, yard",
        "porch nothing moves; 99 frames without movement were not classified",
        "porch shows 50% of the sensor's width and 67% of its height",
        "! yard: [red]no[/] camera",
        "! attic: no answer [within] 4 s",
    ):
        assert words in done.stdout


def test_status_as_json_is_the_file(tmp_path: Path) -> None:
    running(tmp_path)
    done = call("status", "--json", RUNTIME_DIRECTORY=str(tmp_path))
    assert json.loads(done.stdout) == json.loads((tmp_path / NAME).read_text())


def test_status_uses_the_run_dir_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "edged.yaml").write_text(f"run_dir: {tmp_path}/here\n{GOOD}")
    running(tmp_path / "here")
    assert call("status", "-c", str(tmp_path / "edged.yaml")).returncode == 0


def test_status_works_while_the_configuration_is_being_edited(tmp_path: Path, bad: str) -> None:
    running(tmp_path)
    done = call("status", "-c", bad, RUNTIME_DIRECTORY=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "porch-pi" in done.stdout
    (tmp_path / "moved").mkdir()
    running(tmp_path / "moved")
    file = tmp_path / "edited.yaml"
    file.write_text(f"run_dir: moved\nbogus: 1\n{GOOD}")
    done = call("status", "-c", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    file.write_text("run_dir: moved\n  bogus: [\n")
    done = call("status", "-c", str(file), RUNTIME_DIRECTORY=str(tmp_path))
    assert done.returncode == 0
    assert f"using the default run directory, {tmp_path}" in done.stderr


def test_status_without_a_daemon_is_69(tmp_path: Path) -> None:
    for argv in (("status",), ("status", "--json")):
        done = call(*argv, RUNTIME_DIRECTORY=str(tmp_path))
        assert (done.returncode, done.stdout) == (69, "")
        assert "no daemon is running" in done.stderr


def test_status_of_a_daemon_that_hangs_is_69_and_still_shows_json(tmp_path: Path) -> None:
    stale = {"pid": os.getpid(), "monotonic": time.monotonic() - 100, "node": "n"}
    (tmp_path / NAME).write_text(json.dumps(stale))
    done = call("status", "--json", RUNTIME_DIRECTORY=str(tmp_path))
    assert done.returncode == 69
    assert re.search(r"has not answered for 1\d\d s", done.stderr)
    assert json.loads(done.stdout)["node"] == "n"


@pytest.mark.parametrize("verb", ["schema", "init"])
def test_a_closed_pipe_is_not_an_error(verb: str) -> None:
    process = subprocess.Popen([*EDGED, verb], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(30), errors) == (0, b"")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_not_an_error(good: str, closed: str) -> None:
    command = f'exec "$@" {closed}'
    done = subprocess.run(
        ["sh", "-c", command, "sh", *EDGED, "check", "-c", good], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_opened_files_do_not_get_the_numbers_of_standard_streams() -> None:
    program = (
        "import os, sys, edged.cli.main\n"
        "try: edged.cli.main.main(['--version'])\n"
        "except SystemExit: pass\n"
        "sys.exit(os.open('/', os.O_RDONLY) < 3 or not os.get_inheritable(1))"
    )
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", program], check=False
    )
    assert done.returncode == 0
