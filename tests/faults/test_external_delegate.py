"""Accelerators behind an external delegate, a stand-in built with gcc: supervised as an Edge TPU is.

They run the CPU's own model, so the bundled one does, and no test data is needed.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import delegates
import pytest
from crew import Crew, section, stretched, synthetic
from doctor_check import judged

from edged.models import bundled
from edged.models import labels as label_files
from edged.supervisor import ForkServer, OutputPump, accelerators
from edged.tools.doctor.checks import accelerators as checks

if TYPE_CHECKING:
    from pathlib import Path

    from edged.tools.doctor.verdict import Verdict

pytestmark = pytest.mark.skipif(bool(delegates.missing_tools()), reason=delegates.missing_tools() or "none")
SLOWEST_S = stretched(10.0)  # from a failure to the next result
CLASS = 17  # what the stand-in is told to see


def pipeline(library: Path, policy: str = "prefer", **keys: Any) -> Any:
    accelerator = {"policy": policy, "library": str(library), "options": {"answer": CLASS}}
    return section(synthetic(interval_s=0.1), accelerator=accelerator, decision={"threshold": 0.5}, **keys)


def make(folder: Path, kind: str = "") -> Path:
    return delegates.prepare(folder / "libnpu.so", kind, "npu")


def test_a_model_runs_through_any_delegate_with_its_options(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Crew({"porch": pipeline(make(tmp_path)), "attic": section(synthetic())}) as crew:
            await crew.running()
            status = crew.status("porch")
            assert (status.accelerator, status.degraded, status.last_error) == ("external", False, "")
            label = (await crew.first("porch")).label
            assert label == label_files.load(bundled.LABELS).names[CLASS]
            assert crew.status("attic").accelerator == "cpu"

    asyncio.run(scenario())


# What goes wrong, and what the pipeline's status says of it.
FAULTS = {
    "absent": r"the external delegate \S+ cannot be loaded",
    "no delegate": r"is not an external delegate: it contains no TFLite delegate",
    "fail open": r"libnpu.so opens no accelerator: cannot open /dev/npu0",
    "fail prepare": r"libnpu.so refuses a model: ",
    "abort prepare": r"the worker was ended by SIGABRT: .* built for another TensorFlow Lite",
    "segfault invoke": r"the worker was ended by SIGSEGV",
    "hang invoke": r"the worker hung running the model for \d\.\d s",
}


def test_whatever_is_wrong_the_cpu_takes_over_with_the_same_model(tmp_path: Path) -> None:
    async def scenario() -> None:
        names = {f"p{n}": kind for n, kind in enumerate(FAULTS)}
        pipelines = {}
        for name, kind in names.items():
            (tmp_path / name).mkdir()
            library = delegates.prepare(tmp_path / name / "libnpu.so", kind, "npu")
            pipelines[name] = pipeline(library, deadlines={"invoke_s": 0.5})
        async with Crew(pipelines) as crew:
            await crew.until(lambda: all(crew.status(n).degraded for n in names), within_s=SLOWEST_S)
            await crew.running(within_s=SLOWEST_S)
            for name, kind in names.items():
                status = crew.status(name)
                assert (status.accelerator, status.model.name) == ("cpu", bundled.MODEL.stem), kind
                assert re.search(FAULTS[kind], status.last_error), (kind, status.last_error)
                faults = {change.fault for _, change in crew.changes if change.name == name}
                assert "accelerator" in faults, kind

    asyncio.run(scenario())


def test_the_log_says_where_it_takes_nothing_of_a_model(tmp_path: Path) -> None:
    lines: list[str] = []

    async def scenario() -> None:
        server = ForkServer(OutputPump(lambda _level, line: lines.append(line)))
        async with Crew({"porch": pipeline(make(tmp_path, "fail take"))}, forkserver=server) as crew:
            await crew.running(within_s=SLOWEST_S)
            assert (crew.status("porch").accelerator, crew.status("porch").degraded) == ("external", False)

    asyncio.run(scenario())
    assert any("takes no operator of the model: the CPU runs all of it" in line for line in lines), lines


def test_one_that_works_again_is_used_after_its_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerators, "FIRST_PAUSE_S", 0.5)

    async def scenario() -> None:
        library = make(tmp_path, "fail open")
        async with Crew({"porch": pipeline(library)}) as crew:
            await crew.until(lambda: crew.status("porch").degraded)
            delegates.cue(library, "")
            await crew.until(lambda: crew.status("porch").accelerator == "external")
            await crew.running()
            assert (crew.status("porch").degraded, crew.status("porch").fault) == (False, "")

    asyncio.run(scenario())


def test_require_means_no_events_and_a_reason(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Crew({"porch": pipeline(make(tmp_path, "fail open"), "require")}) as crew:
            await crew.until(lambda: crew.status("porch").restarts >= 1)
            status = crew.status("porch")
            assert (status.online, status.fault) == (False, "accelerator")
            assert not crew.last("porch")

    asyncio.run(scenario())


def test_pipelines_of_one_library_share_a_worker_unless_their_options_differ(tmp_path: Path) -> None:
    async def scenario() -> None:
        library = make(tmp_path)
        other = pipeline(library)
        other = other.model_copy(
            update={"accelerator": other.accelerator.model_copy(update={"options": {"answer": 3}})}
        )
        async with Crew({"a": pipeline(library), "b": pipeline(library), "c": other}) as crew:
            await crew.running()
            assert crew.pid("a") == crew.pid("b") != crew.pid("c")

    asyncio.run(scenario())


def _slow(*values: object) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


def judged_external(folder: Path, library: Path, policy: str) -> Verdict:
    path = folder / "edged.yaml"
    path.write_text(
        f"node: n\nstate_dir: {folder}/state\nrun_dir: {folder}/run\npipelines:\n  porch:\n"
        "    source: {kind: synthetic}\n"
        f"    accelerator: {{policy: {policy}, library: {library}, options: {{answer: {CLASS}}}}}\n"
        "    deadlines: {open_s: 2, invoke_s: 1, accelerator_s: 2}\n"
    )
    return judged(path, checks.external)


@pytest.mark.parametrize(
    ("kind", "policy", "status", "says"),
    [
        ("", "prefer", "ok", r"porch: .* on external with "),
        ("fail open", "prefer", "warning", r"cannot open /dev/npu0; the CPU is used instead"),
        _slow("fail open", "require", "error", r"opens no accelerator: cannot open /dev/npu0"),
        _slow("abort invoke", "require", "error", r"ended by SIGABRT"),
        ("fail take", "require", "warning", r"on external with .* takes no operator of the model"),
    ],
)
def test_doctor_runs_the_model_on_it(tmp_path: Path, kind: str, policy: str, status: str, says: str) -> None:
    found = judged_external(tmp_path, make(tmp_path, kind), policy)
    assert found.status == status, found
    assert re.search(says, found.detail), found
    assert bool(found.fix) is (status != "ok")


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "status"), [("", 0), ("fail take", 0), ("fail open", 1)])
def test_bench_measures_a_model_on_the_cpu_and_through_a_delegate(
    tmp_path: Path, kind: str, status: int
) -> None:
    library, results = make(tmp_path, kind), tmp_path / "results.json"
    options = ["--seconds", "0.1", "--threads", "1", "--json", str(results)]
    delegate = ["--delegate", str(library), "--delegate-option", f"answer={CLASS}"]
    done = subprocess.run(
        [sys.executable, "-m", "edged", "bench", str(bundled.MODEL), *options, *delegate],
        capture_output=True,
        text=True,
        timeout=stretched(120),
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == status, done.stderr
    found = {one["accelerator"]: one for one in json.loads(results.read_text())["results"]}
    assert found.keys() == {"cpu", "external"}
    assert found["cpu"]["error"] is None
    assert (found["external"]["error"] is None) is (status == 0)
    assert ("takes no operator of it: the CPU ran all of it" in done.stderr) is (kind == "fail take")
