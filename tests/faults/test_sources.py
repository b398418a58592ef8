from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any

from crew import Crew, children, offer_lab_driver, section, stretched, synthetic

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

GAP_S = 1.5  # without a result of somebody who is not concerned
SLOWEST_S = 10.0  # from a fault to its report, or to the next worker

# By fault: the kind it is reported as, what its sentence says, and whether it takes another worker.
FAULTS = {
    "hang": ("defect", r"the worker hung reading a frame for \d+\.\d s", True),
    "crash": ("defect", r"the worker was ended by SIGABRT", True),
    "vanish": ("source", r"the synthetic source was unplugged", False),
    "frozen": ("picture", r"the same picture again and again", False),
    "black": ("picture", r"the picture is black", False),
    "garbage": ("picture", r"not a picture \(wrong shape\)", False),
}


def test_bad_cameras_are_reported_and_a_good_one_never_notices() -> None:
    async def scenario() -> None:
        sections = {
            fault: section(synthetic(fault=fault, fault_after=10), deadlines={"capture_s": 2})
            for fault in FAULTS
        }
        async with Crew(sections | {"good": section(synthetic())}) as crew:
            await crew.running("good")
            good, since = crew.pid("good"), time.monotonic()
            for fault, (kind, sentence, dies) in FAULTS.items():
                await crew.until(
                    lambda fault=fault: any(s.fault for _, s in crew.changes if s.name == fault), fault
                )
                began = next(at for at, o in crew.outcomes if o.pipeline == fault)
                at, said = next((at, s) for at, s in crew.changes if s.name == fault and s.fault)
                assert at - began < stretched(SLOWEST_S), fault
                assert (said.fault, said.state, said.online) == (kind, "waiting", False)
                assert re.search(sentence, said.last_error), said
                if dies:
                    await crew.result_after(fault, at, stretched(SLOWEST_S))
                    assert crew.status(fault).restarts >= 1
            assert crew.pid("good") == good
            assert not any(s.fault for _, s in crew.changes if s.name == "good")
            assert crew.longest_gap("good", since) < stretched(GAP_S)
            assert crew.supervisor.stalled() == []

    asyncio.run(scenario())


def test_a_camera_that_comes_back_is_running_again_in_the_same_worker() -> None:
    async def scenario() -> None:
        async with Crew({"bad": section(synthetic(fault="vanish", fault_after=5))}) as crew:
            await crew.running()
            pid = crew.pid("bad")
            await crew.until(lambda: sum(s.state == "running" for _, s in crew.changes) >= 3)
            assert crew.pid("bad") == pid
            states = [s.online for _, s in crew.changes if s.name == "bad" and s.model is not None]
            assert states[:5] == [True, False, True, False, True]

    asyncio.run(scenario())


def lab(do: str, tmp_path: Path, **keys: Any) -> dict[str, Any]:
    offer_lab_driver()
    (tmp_path / "said").touch()  # a worker can write into it, but not create it
    return {"kind": "lab", "do": do, "cue": str(tmp_path / "cue"), "file": str(tmp_path / "said")} | keys


# What a driver can do to its worker: the sentence, and configuration beside the source.
MISDEEDS: dict[str, tuple[str, dict[str, Any]]] = {
    "leak": (r"had \d+ files open, over 256: something leaks them|Too many open files", {}),
    "grow": (r"had grown to \d+ MB, over 200", {"memory_mb": 200}),
    "exit": (r"the worker ended with exit status 3", {}),
    "raise": (r"ValueError: a defect of the driver", {}),
    "segfault": (r"the worker was ended by SIGSEGV", {}),
    "hold_lock": (
        r"hung (reading a frame|running the model)|gave no sign of life",
        {"deadlines": {"capture_s": 2}},
    ),
    "mute": (r"the worker closed its pipe|ended with exit status 0", {}),
    "babble": (r"the worker sent a message that makes no sense \(not JSON\)", {}),
}


def test_drivers_that_misbehave_cost_one_worker_each(tmp_path: Path) -> None:
    async def scenario() -> None:
        sections = {}
        for do, (_, keys) in MISDEEDS.items():
            (tmp_path / do).mkdir()
            sections[do.replace("_", "-")] = section(lab(do, tmp_path / do), **keys)
        async with Crew(sections | {"good": section(synthetic())}) as crew:
            await crew.running()
            pids, since = dict(crew.supervisor.processes()), time.monotonic()
            for do in MISDEEDS:
                (tmp_path / do / "cue").touch()
            for do, (sentence, _) in MISDEEDS.items():
                name = do.replace("_", "-")
                left_s = stretched(SLOWEST_S) - (time.monotonic() - since)
                await crew.until(lambda name=name: crew.status(name).restarts, do, within_s=left_s)
                said = [s.last_error for _, s in crew.changes if s.name == name and s.fault]
                assert re.search(sentence, said[-1]), (do, said)
                (tmp_path / do / "cue").unlink()
            for name in sections:
                await crew.result_after(name, time.monotonic(), stretched(SLOWEST_S))
                assert crew.pid(name) != pids[name]
            assert crew.pid("good") == pids["good"]
            assert crew.longest_gap("good", since) < stretched(GAP_S)

    asyncio.run(scenario())


def test_a_source_that_hangs_when_it_is_opened_is_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        bad = section(lab("hang_open", tmp_path), deadlines={"open_s": 2})
        (tmp_path / "cue").touch()
        async with Crew({"bad": bad}) as crew:
            await crew.until(lambda: crew.status("bad").fault, within_s=stretched(SLOWEST_S))
            assert "the worker hung opening the source for " in crew.status("bad").last_error
            (tmp_path / "cue").unlink()
            await crew.running(within_s=stretched(SLOWEST_S))

    asyncio.run(scenario())


def test_what_a_driver_started_ends_with_its_worker(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Crew({"bad": section(lab("child", tmp_path))}) as crew:
            (tmp_path / "cue").touch()
            await crew.until((tmp_path / "said").read_text)
            (child,) = (pid for pid, what in children(crew.pid("bad")).items() if what.endswith("sleep"))
            crew.supervisor.enable("bad", on=False)
            await crew.until(lambda: child not in children() | children(1), within_s=5)
            await crew.until(lambda: len(children()) == 1, within_s=5)

    asyncio.run(scenario())


def test_an_hour_of_complaints_would_be_less_than_a_megabyte(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with Crew({"bad": section(lab("flood", tmp_path))}) as crew:
            await crew.running()
            since = time.monotonic()
            (tmp_path / "cue").touch()
            await crew.until(lambda: sum(at > since for at, _ in crew.outcomes) >= 40, "2 s of pictures")
            assert crew.status("bad").state == "running"
            assert crew.longest_gap("bad", since) < stretched(1)

    asyncio.run(scenario())
    assert 0 < len([m for m in caplog.messages if "the library complains" in m]) <= 45
