from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from commandline import python_path
from crew import (
    Crew,
    alive,
    children,
    descriptors,
    offer_lab_driver,
    proc,
    section,
    stretched,
    synthetic,
)
from tflite_builder import Kind, Packed, build

from edged.models import bundled
from edged.system import landlock

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = {"kind": "folder", "path": str(bundled.PHOTOS), "interval_s": 0.05}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Each test gives back its processes and descriptors."""
    offer_lab_driver()
    files = descriptors()
    yield
    assert children() == {}
    assert descriptors() <= files


def write_model(folder: Path, name: str = "m.tflite") -> dict[str, Any]:
    """Write a small model; returns its part of the configuration."""
    (folder / name).write_bytes(build(picture=Kind("uint8", 1 / 255), scores=Kind("uint8", 1 / 256)))
    (folder / "labels.txt").write_text("\n".join("abcdefgh"))
    return {"file": str(folder / name), "labels": str(folder / "labels.txt")}


def test_the_bundled_model_names_the_cat() -> None:
    async def scenario() -> None:
        async with Crew({"porch": section(PHOTOS)}, results=False) as crew:
            await crew.supervisor.settle(30)
            assert crew.status("porch").state == "running"
            await crew.until(lambda: len(crew.outcomes) >= 3)
            labels = [outcome.label for _, outcome in crew.outcomes]
            assert labels[:3] == ["Egyptian cat", "espresso", "tripod"]
            kinds = [outcome.type for _, outcome in crew.outcomes]
            assert kinds[:3] == ["start", "change", "change"]
            first = crew.outcomes[0][1]
            assert first.score > 0.3
            assert 0 <= first.decided_at - first.captured_at < 5
            assert first.frame == 0
            status = crew.status("porch")
            assert status.model is not None
            assert bundled.MODEL_SHA256.startswith(status.model.sha256)
            assert (status.accelerator, status.degraded, status.network) == ("cpu", False, False)
            assert "seccomp" in status.isolation
            await crew.until(lambda: crew.status("porch").fps > 0)
            assert (crew.status("porch").invoke_p50_ms or 0) > 0

    asyncio.run(scenario())


def test_a_finite_source_ends_and_its_worker_with_it() -> None:
    async def scenario() -> None:
        async with Crew({"porch": section(PHOTOS | {"loop": False}), "attic": section(synthetic())}) as crew:
            await crew.until(lambda: crew.status("porch").state == "ended")
            await crew.running("attic")
            assert [o.frame for _, o in crew.outcomes if o.pipeline == "porch" and o.type == "result"] == [
                0,
                1,
                2,
            ]
            await crew.until(lambda: "porch" not in crew.supervisor.processes())
            assert crew.status("porch").frames == 3
            assert not crew.supervisor.stalled()

    asyncio.run(scenario())


def test_a_switch_stops_and_starts_one_pipeline_and_no_other() -> None:
    async def scenario() -> None:
        async with Crew({"porch": section(synthetic()), "attic": section(synthetic())}) as crew:
            await crew.running()
            attic = crew.pid("attic")
            crew.supervisor.enable("porch", on=False)
            await crew.until(lambda: crew.status("porch").state == "disabled")
            assert crew.changes[-1][1].name == "porch"
            assert not crew.changes[-1][1].online
            await crew.until(lambda: len(children()) <= 2, within_s=stretched(5))
            crew.supervisor.enable("porch", on=True)
            await crew.running("porch")
            assert crew.pid("attic") == attic
            with pytest.raises(KeyError):
                crew.supervisor.enable("cellar", on=True)

    asyncio.run(scenario())


def test_switches_that_are_played_with_leave_nothing_behind() -> None:
    async def scenario() -> None:
        names, rng = ("a", "b", "c"), random.Random(4)
        async with Crew({name: section(synthetic()) for name in names}) as crew:
            await crew.running()
            files = descriptors()
            for _ in range(600):
                crew.supervisor.enable(rng.choice(names), on=rng.random() < 0.5)
                # At every moment of a birth: not at all, at once, or a little later.
                await asyncio.sleep(rng.choice([0, 0, 0, 0.001, 0.02]))
            for name in names:
                crew.supervisor.enable(name, on=True)
            await crew.running()
            await crew.until(lambda: set(children()) == set(crew.supervisor.processes().values()), "no more")
            await crew.until(lambda: descriptors() <= files, "the descriptors of those that ended are closed")

    asyncio.run(scenario())


def test_a_reload_restarts_only_what_changed() -> None:
    async def scenario() -> None:
        names = ("a", "b", "c")
        async with Crew({name: section(synthetic()) for name in names}) as crew:
            await crew.running()
            before = {name: crew.pid(name) for name in names}
            crew.supervisor.enable("a", on=False)
            wanted = {
                "a": section(synthetic()),
                "b": section(synthetic(seed=7)),
                "c": section(synthetic()),
                "d": section(synthetic()),
            }
            assert await crew.supervisor.apply(wanted, "required") == {"b", "d"}
            await crew.running("b", "c", "d")
            assert crew.pid("c") == before["c"]
            assert crew.pid("b") != before["b"]
            assert crew.status("a").state == "disabled"  # what was switched stays switched
            assert await crew.supervisor.apply(wanted, "optional") == {"a", "b", "c", "d"}
            await crew.running("b", "c", "d")
            assert await crew.supervisor.apply({"c": wanted["c"]}, "optional") == {"a", "b", "d"}
            assert list(crew.supervisor.status()) == ["c"]

    asyncio.run(scenario())


def test_an_explicit_value_wins_over_the_switch_and_last_keeps_it() -> None:
    async def scenario() -> None:
        async with Crew({"a": section(synthetic(), enabled=True)}) as crew:

            async def state(enabled: bool | str) -> str:
                await crew.supervisor.apply({"a": section(synthetic(), enabled=enabled)}, "required")
                return crew.status("a").state

            crew.supervisor.enable("a", on=False)
            assert await state("last") == "disabled", "it was switched off, and nothing says on"
            assert await state(True) != "disabled"
            assert await state("last") != "disabled", "the switch is forgotten"
            assert await state(False) == "disabled"
            crew.supervisor.enable("a", on=True)
            assert await state("last") != "disabled"
            assert await state(False) == "disabled"
            assert await state("last") != "disabled", "as if the line was never there"

    asyncio.run(scenario())


def test_a_worker_that_takes_over_a_camera_waits_for_the_one_that_had_it() -> None:
    async def scenario() -> None:
        async with Crew({"a": section(synthetic())}) as crew:
            await crew.running()
            old = crew.pid("a")
            await crew.supervisor.apply({"b": section(synthetic())}, "required")
            while alive(old):
                assert "b" not in crew.supervisor.processes()
                await asyncio.sleep(0.001)
            await crew.running("b")

    asyncio.run(scenario())


def damage(kind: str, file: Path) -> None:
    good = file.read_bytes()
    if kind == "truncated":
        file.write_bytes(good[: len(good) // 2])
    elif kind == "flipped":
        file.write_bytes(good[:600] + bytes(b ^ 0xFF for b in good[600:]))
    elif kind == "swapped":
        file.write_bytes((bundled.PHOTOS / "01-cat.jpg").read_bytes())
    else:
        file.unlink()


def test_bad_models_are_named_while_others_run_and_taken_when_they_are_mended(tmp_path: Path) -> None:
    async def scenario() -> None:
        kinds, sections, good = ("truncated", "flipped", "swapped", "missing"), {}, b""
        for kind in kinds:
            model = write_model(tmp_path, f"{kind}.tflite")
            good = Path(model["file"]).read_bytes()
            damage(kind, Path(model["file"]))
            sections[kind] = section(synthetic(), model=model)
        async with Crew(sections | {"good": section(synthetic())}) as crew:
            await crew.supervisor.settle(30)
            await crew.running("good")
            pid = crew.pid("good")
            for kind in kinds:
                status = crew.status(kind)
                assert (status.fault, status.online) == ("model", False), kind
                assert status.last_error.startswith(f"{tmp_path / kind}.tflite: "), kind
                (tmp_path / f"{kind}.tflite").write_bytes(good)
            await crew.running(within_s=stretched(10))
            assert crew.pid("good") == pid

    asyncio.run(scenario())


def test_labels_that_only_the_worker_has_read_are_taken_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    labels = [f"colour {number} {'x' * 90}" for number in range(8)]
    model = build(
        picture=Kind("uint8", 1 / 255), scores=Kind("uint8", 1 / 256), packed=Packed("\n".join(labels))
    )
    (tmp_path / "m.tflite").write_bytes(model)

    async def scenario() -> None:
        pipeline = section(
            synthetic(), model={"file": str(tmp_path / "m.tflite")}, decision={"threshold": 0.1}
        )
        async with Crew({"porch": pipeline}) as crew:
            for _ in range(2):
                await crew.running()
                await crew.result_after("porch", time.monotonic())
                crew.forget_failures("porch")
                os.kill(crew.pid("porch"), signal.SIGKILL)
                await crew.until(lambda: crew.status("porch").state == "waiting", every_s=0.001)
            assert {outcome.label for _, outcome in crew.outcomes} <= {*labels, "unknown"}
            told = [m for m in caplog.messages if "takes the labels of its model" in m]
            assert len(told) == 1
            assert told[0].startswith(f"porch: takes the labels of its model: 8, from {labels[0]!r}")

    asyncio.run(scenario())


def test_a_flipped_model_that_still_can_be_read_never_takes_main_along(tmp_path: Path) -> None:
    async def scenario() -> None:
        pipelines = {}
        content = bundled.MODEL.read_bytes()
        for n in range(4):
            file = tmp_path / f"{n}.tflite"
            at = len(content) // 5 * (n + 1)
            file.write_bytes(content[:at] + bytes(64) + content[at + 64 :])
            model = {"file": str(file), "labels": str(bundled.LABELS)}
            pipelines[f"p{n}"] = section(synthetic(), model=model)
        async with Crew(pipelines | {"good": section(synthetic())}) as crew:
            await crew.supervisor.settle(30)
            assert crew.status("good").state == "running"
            for name in pipelines:
                status = crew.status(name)
                assert status.state == "running" or status.last_error

    asyncio.run(scenario())


@pytest.mark.parametrize("state", ["starting", "running", "hung", "stopped", "holding the lock", "waiting"])
def test_stops_within_two_seconds_from_any_state(state: str) -> None:
    sources: dict[str, dict[str, Any]] = {
        "hung": synthetic(fault="hang", fault_after=2),
        "holding the lock": {"kind": "lab", "do": "hold_lock"},
        "waiting": {"kind": "v4l2", "device": "/dev/video99"},
    }

    async def scenario() -> None:
        crew = Crew({"a": section(sources.get(state, synthetic())), "b": section(synthetic())})
        async with crew:
            if state != "starting":
                await crew.supervisor.settle(30)
                await asyncio.sleep(0.5)
            if state == "stopped":
                os.kill(crew.pid("a"), signal.SIGSTOP)
                os.kill(crew.pid("forkserver"), signal.SIGSTOP)
            began = time.monotonic()
            await crew.supervisor.stop(5)
            assert time.monotonic() - began <= stretched(2)
            assert crew.supervisor.processes() == {}

    asyncio.run(scenario())


def test_the_fork_server_has_one_thread_and_workers_are_its_children() -> None:
    async def scenario() -> None:
        async with Crew({"porch": section(synthetic())}) as crew:
            await crew.running()
            server = crew.pid("forkserver")
            assert proc(server, "status")["Threads"] == "1"
            assert children(server)[crew.pid("porch")].endswith("edged:porch")

    asyncio.run(scenario())


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP])
def test_a_fork_server_that_dies_or_hangs_is_replaced_with_its_workers(sign: signal.Signals) -> None:
    async def scenario() -> None:
        async with Crew({"porch": section(synthetic())}) as crew:
            await crew.running()
            worker, server = crew.pid("porch"), crew.pid("forkserver")
            since = time.monotonic()
            os.kill(server, sign)
            await crew.until(
                lambda: crew.supervisor.processes().get("forkserver", server) != server,
                within_s=stretched(10),
            )
            await crew.until(lambda: crew.last("porch") > since and not alive(worker), within_s=stretched(5))
            await crew.running()
            assert crew.pid("porch") != worker

    asyncio.run(scenario())


def test_a_fork_server_that_dies_while_it_forks_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        async with Crew({"porch": section(synthetic())}) as crew:
            await crew.running()
            for _ in range(8):
                crew.supervisor.enable("porch", on=False)
                crew.supervisor.enable("porch", on=True)
                await asyncio.sleep(0)
                crew.forget_failures("forkserver")
                server = crew.pid("forkserver")
                os.kill(server, signal.SIGKILL)
                await crew.until(
                    lambda server=server: crew.supervisor.processes().get("forkserver", server) != server
                )
            await crew.running()

            def tidy() -> bool:
                known = set(crew.supervisor.processes().values())
                return all(pid in known for pid, what in children().items() if "edged" in what)

            await crew.until(tidy, within_s=stretched(10))

    asyncio.run(scenario())


MAIN = """
import asyncio, sys
sys.path.insert(0, "tests")
from crew import Crew, section, synthetic
async def scenario():
    hung = section(synthetic(fault="hang", fault_after=2))
    async with Crew({"a": section(synthetic()), "b": hung}) as crew:
        await crew.until(lambda: crew.outcomes)
        print(*crew.supervisor.processes().values(), flush=True)
        await asyncio.sleep(600)
asyncio.run(scenario())
"""


def test_no_process_outlives_main() -> None:
    main = subprocess.Popen(
        [sys.executable, "-c", MAIN], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert main.stdout is not None
    pids = [int(pid) for pid in main.stdout.readline().split()]
    assert len(pids) == 3
    assert all(map(alive, pids))
    main.kill()
    main.communicate(timeout=10)
    deadline = time.monotonic() + 5
    while any(map(alive, pids)):
        assert time.monotonic() < deadline, [pid for pid in pids if alive(pid)]
        time.sleep(0.01)


def test_a_worker_finds_no_way_out(tmp_path: Path) -> None:
    async def scenario() -> None:
        found = tmp_path / "found.json"
        found.touch()
        lab = {"kind": "lab", "do": "escape", "file": str(found)}
        async with Crew({"porch": section(lab), "other": section(synthetic())}) as crew:
            await crew.running()
            await crew.until(lambda: found.read_text().endswith("}"))
            status = proc(crew.pid("porch"), "status")
            assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
        said = json.loads(found.read_text())
        families = {int(family): what for family, what in said["families"].items()}
        assert set(families.values()) == {"EPERM"}, families
        assert said["wide"] == "EPERM"
        assert set(said["calls"].values()) == {"EPERM"}, said["calls"]
        assert (said["seccomp"], said["no_new_privs"]) == ("2", "1")
        if "netns" in crew.status("porch").isolation:
            assert said["interfaces"] == ["lo"]
        sockets = [link for link in said["links"].values() if link.startswith("socket:")]
        assert len(sockets) == 1, said["links"]
        others = {link for link in said["links"].values() if not link.startswith(("socket:", "/proc/"))}
        assert all(link.startswith(("/dev/null", "/memfd:edged-", "pipe:", "/dev/pts")) for link in others), (
            others
        )

    asyncio.run(scenario())


NO_WALLS = """
import asyncio, sys
sys.path.insert(0, "tests")
from crew import Crew, section, synthetic
async def scenario():
    async with Crew({"a": section(synthetic())}, isolation=sys.argv[1]) as crew:
        await crew.supervisor.settle(30)
        status = crew.status("a")
        print(status.state, status.fault, status.isolation, status.last_error, flush=True)
asyncio.run(scenario())
"""


@pytest.mark.parametrize("isolation", ["required", "optional"])
def test_where_no_wall_can_be_had_a_worker_runs_only_when_told_to(isolation: str, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to give up the right to make namespaces")
    (tmp_path / "pyseccomp.py").write_text("raise ImportError('not on this machine')\n")
    answer = subprocess.run(
        [
            str(shutil.which("setpriv")),
            "--bounding-set=-sys_admin",
            "--inh-caps=-sys_admin",
            sys.executable,
            "-c",
            NO_WALLS,
            isolation,
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": python_path(tmp_path), "PATH": "/nowhere"},  # no bubblewrap either
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    if isolation == "required":
        assert answer.stdout.startswith("waiting isolation () this worker is not isolated"), answer
        assert "isolation: optional" in answer.stdout
    else:
        held = "('landlock',)" if landlock.version() else "()"
        assert answer.stdout.startswith(f"running  {held} "), answer


# What the unit forbids beside what edged never calls: see SystemCallFilter= in systemd/edged.service.
UNDER_THE_UNIT = """
import asyncio, ctypes, errno, json, os, subprocess, sys
sys.path.insert(0, "tests")
import pyseccomp
walls = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
for group in ("privileged", "resources", "mount", "clock", "debug", "module", "raw-io", "reboot", "swap"):
    told = subprocess.check_output(["systemd-analyze", "syscall-filter", f"@{group}"], text=True)
    for name in (line.strip() for line in told.splitlines()[1:]):
        if name[:1].isalpha():
            try:
                walls.add_rule(pyseccomp.ERRNO(errno.EPERM), name)
            except OSError:
                continue
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
walls.load()
from crew import Crew, children, offer_lab_driver, section, synthetic
offer_lab_driver()
async def scenario():
    hung = section(synthetic(fault="hang", fault_after=5), deadlines={"capture_s": 1})
    spy = section({"kind": "lab", "do": "escape", "file": sys.argv[1]})
    async with Crew({"a": section(synthetic()), "b": hung, "c": spy}, isolation="optional") as crew:
        await crew.running()
        await crew.until(lambda: crew.status("b").restarts)
        print(os.getuid(), *crew.status("a").isolation)
        await crew.until(lambda: "edged-fork" in open(sys.argv[1]).read())
        print(json.loads(open(sys.argv[1]).read())["memory"])
    print(children())
asyncio.run(scenario())
"""


@pytest.mark.slow
def test_runs_as_nobody_with_the_rights_that_the_unit_leaves() -> None:
    """And a worker cannot reach into main or the fork server, which may use the network."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to give up rights")
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]
    python = [*nobody, "--no-new-privs", sys.executable, "-B", "-c"]
    if subprocess.run([*python, "import edged"], cwd=ROOT, capture_output=True, check=False).returncode != 0:
        pytest.skip(f"nobody may not read {ROOT}")
    with tempfile.NamedTemporaryFile("r") as found:
        os.fchown(found.fileno(), 65534, 65534)
        answer = subprocess.run(
            [*python, UNDER_THE_UNIT, found.name],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    memory = "{'main': 'EACCES', 'edged-fork': 'EACCES'}"
    walls, *rest = answer.stdout.splitlines() or [""]
    assert set(walls.split()) - {"landlock"} == {"65534", "seccomp"}, answer
    assert rest == [memory, "{}"], answer
