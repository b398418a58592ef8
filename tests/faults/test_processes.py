from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from crew import Crew, alive, section, stretched, synthetic

from edged.models import bundled
from edged.supervisor import stall_detector, supervisor

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = {"kind": "folder", "path": str(bundled.PHOTOS), "interval_s": 0.05}


def test_a_killed_worker_decides_again_within_a_second() -> None:
    async def scenario() -> None:
        async with Crew({"porch": section(PHOTOS), "attic": section(PHOTOS)}) as crew:
            await crew.running()
            attic, took = crew.pid("attic"), []
            begin = time.monotonic()
            for _ in range(3):
                crew.forget_failures("porch")  # each is the first one
                pid, since = crew.pid("porch"), time.monotonic()
                os.kill(pid, signal.SIGKILL)
                await crew.until(lambda pid=pid: crew.supervisor.processes().get("porch", pid) != pid)
                born = time.monotonic()
                took.append(born - since + await crew.result_after("porch", born))
            assert min(took) <= stretched(1.0), took
            assert crew.pid("attic") == attic
            assert crew.longest_gap("attic", begin) < stretched(1.5)
            assert crew.status("porch").restarts == 3
            assert crew.status("porch").last_error == "the worker was ended by SIGKILL"

    asyncio.run(scenario())


def test_what_was_decided_goes_on_after_a_restart() -> None:
    async def scenario() -> None:
        photo = {"kind": "folder", "path": str(bundled.PHOTOS / "01-cat.jpg"), "interval_s": 0.05}
        async with Crew({"porch": section(photo)}, results=False) as crew:
            await crew.until(lambda: crew.outcomes)
            os.kill(crew.pid("porch"), signal.SIGKILL)
            await crew.until(lambda: len(crew.outcomes) > 1)
            first, second = (outcome for _, outcome in crew.outcomes[:2])
            assert (first.type, first.label) == ("start", "Egyptian cat")
            assert (second.type, second.label) == ("heartbeat", "Egyptian cat")

    asyncio.run(scenario())


def test_a_stopped_worker_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stall_detector, "IDLE_S", 2.0)

    async def scenario() -> None:
        async with Crew({"porch": section(synthetic()), "attic": section(synthetic())}) as crew:
            await crew.running()
            pid, since = crew.pid("porch"), time.monotonic()
            os.kill(pid, signal.SIGSTOP)
            await crew.until(
                lambda: crew.supervisor.processes().get("porch", pid) != pid,
                within_s=stretched(10),
                every_s=0.05,
            )
            await crew.running(within_s=stretched(10) - (time.monotonic() - since))
            assert not alive(pid)
            assert crew.longest_gap("attic", since) < stretched(1.5)

    asyncio.run(scenario())


async def stand_still(crew: Crew, pids: list[int]) -> None:
    """Stop processes for longer than any deadline; return when whom it blames for that would be replaced."""
    listed = " ".join(map(str, pids))
    with subprocess.Popen(["sh", "-c", f"kill -STOP {listed}; sleep 2.5; kill -CONT {listed}"]) as program:
        await crew.until(lambda: program.poll() is not None, "awake")
    judged_at = time.monotonic() + stall_detector.GRACE_S + 3 * supervisor.LOOK_S
    for name in crew.supervisor.status():
        await crew.result_after(name, judged_at)


def test_a_main_that_slept_blames_nobody() -> None:
    async def scenario() -> None:
        pipelines = {
            "a": section(synthetic(), deadlines={"capture_s": 1, "invoke_s": 1}),
            "b": section(PHOTOS, deadlines={"capture_s": 1, "invoke_s": 1}),
        }
        async with Crew(pipelines) as crew:
            await crew.running()
            before = dict(crew.supervisor.processes())
            await stand_still(crew, [os.getpid()])
            assert crew.supervisor.processes() == before
            assert all(status.restarts == 0 for status in crew.supervisor.status().values())

    asyncio.run(scenario())


def test_a_frozen_machine_that_wakes_up_blames_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """All processes stand still for longer than any deadline, as when a virtual machine is paused."""

    monkeypatch.setattr(stall_detector, "IDLE_S", 2.0)

    async def scenario() -> None:
        strict = {"deadlines": {"capture_s": 2, "invoke_s": 2}}
        async with Crew({"a": section(synthetic(), **strict), "b": section(PHOTOS, **strict)}) as crew:
            await crew.running()
            before = dict(crew.supervisor.processes())
            await stand_still(crew, [os.getpid(), *before.values()])
            assert crew.supervisor.processes() == before
            assert all(status.restarts == 0 for status in crew.supervisor.status().values())

    asyncio.run(scenario())


NO_FILES = """
import asyncio, os, resource, signal, sys
sys.path.insert(0, "tests")
from crew import Crew, section, synthetic
async def scenario():
    async with Crew({"a": section(synthetic())}) as crew:
        await crew.running()
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        taken = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        try:
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        os.kill(crew.pid("a"), signal.SIGKILL)
        await crew.until(lambda: "Errno 24" in crew.status("a").last_error)
        print(crew.status("a").state, crew.status("a").last_error)
        for fd in taken:
            os.close(fd)
        await crew.running(within_s=20)
        print(crew.status("a").state)
asyncio.run(scenario())
"""


def test_a_main_without_descriptors_goes_on_when_it_has_some() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", NO_FILES], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert answer.returncode == 0, answer
    first, second = answer.stdout.splitlines()
    assert first.startswith("waiting [Errno 24]"), answer
    assert second == "running"
