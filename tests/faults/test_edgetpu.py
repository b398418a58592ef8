from __future__ import annotations

import asyncio
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import delegates
import pytest
from crew import Crew, alive, section, stretched, synthetic
from tflite_builder import Kind, build

from edged.config.root import Config
from edged.models import bundled
from edged.supervisor import ForkServer, OutputPump, accelerators, supervisor

pytestmark = [
    pytest.mark.realmodels,
    pytest.mark.skipif(bool(delegates.missing_tools()), reason=delegates.missing_tools() or "none"),
]
SLOWEST_S = 10.0  # from a failure to the next result
ANSWER = "tiger cat"  # what the stand-in always sees


@pytest.fixture
def twins(testdata: Path) -> dict[str, str]:
    """A model and its twin."""
    return {
        "file": str(testdata / "models/mobilenet_v1_0.25_128_quant.tflite"),
        "edgetpu_file": str(testdata / "models/mobilenet_v1_0.25_128_quant_edgetpu.tflite"),
        "labels": str(testdata / "labels/imagenet_labels.txt"),
    }


def pipeline(
    twins: dict[str, str], library: Path, policy: str = "prefer", device: str = "usb", **keys: Any
) -> Any:
    accelerator = {"policy": policy, "library": str(library), "device": device}
    return section(synthetic(interval_s=0.1), model=twins, accelerator=accelerator, **keys)


# What is wrong from the start: how the library is made, and what the pipeline's status says of it.
AT_START = {
    "absent": r"the Edge TPU runtime \S+ cannot be loaded .* install the build for this runtime",
    "no library": r"the Edge TPU runtime \S+ cannot be loaded",
    "no delegate": r"is not an Edge TPU runtime: it contains no TFLite delegate",
    "fail open": r"there is no Edge TPU at 'usb:\d+'",
    "abort open": r"the worker was ended by SIGABRT",
    "segfault open": r"the worker was ended by SIGSEGV",
    "hang open": r"the worker hung opening the accelerator for \d\.\d s",
    "fail prepare": r"the Edge TPU refuses a model: .*unresolved custom op",
    "fail allocate": r"the Edge TPU refuses a model: .*failed to prepare",
    "abort prepare": r"the worker was ended by SIGABRT: .* built for another TensorFlow Lite",
    "seize open": r"the worker hung opening the accelerator for \d\.\d s",
    "hang prepare": r"the worker hung opening the model for \d\.\d s",
    "hang allocate": r"the worker hung opening the model for \d\.\d s",
}


def make(folder: Path, kind: str) -> Path:
    return delegates.prepare(folder / f"lib{kind.replace(' ', '-')}.so.1", kind)


def test_whatever_is_wrong_with_it_at_the_start_the_cpu_takes_over(
    twins: dict[str, str], tmp_path: Path
) -> None:
    async def scenario() -> None:
        main = os.getpid()
        names = {f"p{n}": kind for n, kind in enumerate(AT_START)}
        pipelines = {
            name: pipeline(twins, make(tmp_path, kind), device=f"usb:{n}")
            for n, (name, kind) in enumerate(names.items())
        }
        async with Crew(pipelines | {"good": section(synthetic())}) as crew:
            await crew.running("good")
            since = time.monotonic()
            await crew.running(*names, within_s=stretched(SLOWEST_S))
            for name, kind in names.items():
                status = crew.status(name)
                assert (status.accelerator, status.degraded) == ("cpu", True), kind
                assert re.search(AT_START[kind], status.last_error), (kind, status.last_error)
                faults = {s.fault for _, s in crew.changes if s.name == name}
                assert "accelerator" in faults, kind
                await crew.until(lambda name=name: crew.last(name), kind)
            assert crew.longest_gap("good", since) < 1.5
            assert crew.status("good").restarts == 0
            assert os.getpid() == main

    asyncio.run(scenario())


# What goes wrong later.
LATER = {
    "fail invoke": r"the runtime failed: .*failed to invoke",
    "abort invoke": r"the worker was ended by SIGABRT",
    "segfault invoke": r"the worker was ended by SIGSEGV",
    "hang invoke": r"the worker hung running the model for \d\.\d s",
    "seize invoke": r"the worker (hung running the model|gave no sign of life) for \d\.\d s",
}


def test_whatever_goes_wrong_while_it_runs_the_cpu_takes_over(twins: dict[str, str], tmp_path: Path) -> None:
    async def scenario() -> None:
        names = {f"p{n}": kind for n, kind in enumerate(LATER)}
        libraries = {name: delegates.build(tmp_path / f"lib{name}.so") for name in names}
        pipelines = {
            name: pipeline(twins, libraries[name], device=f"usb:{n}") for n, name in enumerate(names)
        }
        async with Crew(pipelines) as crew:
            await crew.running()
            for name in names:
                status = crew.status(name)
                assert (status.accelerator, status.degraded, status.last_error) == ("edgetpu", False, "")
                assert (await crew.first(name)).label == ANSWER
            since = time.monotonic()
            for name, kind in names.items():
                delegates.cue(libraries[name], kind)
            await crew.until(
                lambda: all(crew.status(n).degraded and crew.status(n).online for n in names),
                "degraded",
                within_s=stretched(SLOWEST_S),
            )
            for name, kind in names.items():
                await crew.result_after(
                    name, time.monotonic(), stretched(SLOWEST_S) - (time.monotonic() - since)
                )
                status = crew.status(name)
                assert status.accelerator == "cpu"
                assert re.search(LATER[kind], status.last_error), (kind, status.last_error)

    asyncio.run(scenario())


def test_a_device_that_dies_between_two_frames_is_left_the_second_time(
    twins: dict[str, str], tmp_path: Path
) -> None:
    async def scenario() -> None:
        library = delegates.build(tmp_path / "libedgetpu.so.1")
        async with Crew({"porch": pipeline(twins, library)}) as crew:
            await crew.running()
            since = time.monotonic()
            delegates.cue(library, "abort bus")
            await crew.until(lambda: crew.status("porch").degraded, within_s=stretched(SLOWEST_S))
            await crew.running(within_s=stretched(SLOWEST_S) - (time.monotonic() - since))

    asyncio.run(scenario())


def test_require_means_no_events_and_a_reason(twins: dict[str, str], tmp_path: Path) -> None:
    async def scenario() -> None:
        library = make(tmp_path, "fail open")
        pipelines = {"must": pipeline(twins, library, "require"), "may": pipeline(twins, library)}
        async with Crew(pipelines) as crew:
            await crew.running("may", within_s=stretched(SLOWEST_S))
            await crew.until(lambda: crew.status("must").restarts >= 2)
            status = crew.status("must")
            assert (status.online, status.fault) == (False, "accelerator")
            assert "there is no Edge TPU at 'usb'" in status.last_error
            assert not crew.last("must")
            delegates.cue(library, "")
            await crew.running("must", within_s=stretched(SLOWEST_S))
            # What is required works, so the other one comes back without a probe.
            await crew.until(lambda: crew.status("may").accelerator == "edgetpu")
            await crew.running()
            assert crew.pid("must") == crew.pid("may")

    asyncio.run(scenario())


def test_a_camera_is_shared_with_a_pipeline_on_an_edge_tpu_and_without_it(
    twins: dict[str, str], tmp_path: Path
) -> None:
    async def scenario() -> None:
        library = delegates.build(tmp_path / "libedgetpu.so.1")
        accelerator = {"policy": "prefer", "library": str(library), "device": "usb"}
        tpu: dict[str, Any] = {"model": twins, "accelerator": accelerator}
        pipelines = {"people": {"camera": "yard", **tpu}, "gate": {"camera": "yard"}}
        own = {"hall": {"source": synthetic(interval_s=0.1), **tpu}}
        config = {"cameras": {"yard": synthetic(interval_s=0.1)}, "pipelines": pipelines | own}
        async with Crew(Config.model_validate(config).pipelines) as crew:
            await crew.running()
            assert len({crew.pid(name) for name in ("people", "gate", "hall")}) == 1
            used = {name: crew.status(name).accelerator for name in crew.supervisor.status()}
            assert used == {"people": "edgetpu", "gate": "cpu", "hall": "edgetpu"}
            delegates.cue(library, "abort invoke")
            await crew.until(
                lambda: all(crew.status(name).degraded for name in ("people", "hall")),
                within_s=stretched(SLOWEST_S),
            )
            since = time.monotonic()
            for name in ("people", "gate", "hall"):
                await crew.result_after(name, since)
            await crew.running()
            assert crew.pid("people") == crew.pid("gate") != crew.pid("hall")
            assert not crew.status("gate").degraded

    asyncio.run(scenario())


def test_who_shares_an_edge_tpu_with_a_network_camera_has_its_files_and_says_that_it_has_a_route(
    twins: dict[str, str], tmp_path: Path
) -> None:
    async def scenario() -> None:
        library = delegates.build(tmp_path / "libedgetpu.so.1")
        (tmp_path / "photographs").mkdir()
        for photograph in bundled.PHOTOS.glob("*.jpg"):
            shutil.copy(photograph, tmp_path / "photographs")
        near = {"kind": "folder", "path": str(tmp_path / "photographs"), "interval_s": 0.1}
        far = {"kind": "video", "url": "rtsp://127.0.0.1:9/yard", "timeout_s": 0.5}
        accelerator = {"policy": "prefer", "library": str(library), "device": "usb"}
        tpu: dict[str, Any] = {"model": twins, "accelerator": accelerator}
        async with Crew({"near": section(near, **tpu), "far": section(far, **tpu)}) as crew:
            await crew.running("near")
            assert crew.pid("near") == crew.pid("far")
            assert (crew.status("near").accelerator, crew.status("near").network) == ("edgetpu", True)
            delegates.cue(library, "abort invoke")
            await crew.until(lambda: crew.status("near").degraded, within_s=stretched(SLOWEST_S))
            await crew.running("near")
            assert crew.pid("near") != crew.pid("far")
            assert not crew.status("near").network

    asyncio.run(scenario())


def test_pipelines_of_one_device_share_a_worker(twins: dict[str, str], tmp_path: Path) -> None:
    async def scenario() -> None:
        one = delegates.build(tmp_path / "libone.so")
        pipelines = {
            "a": pipeline(twins, one, device="usb:0"),
            "b": pipeline(twins, one, device="usb:0"),
            "c": pipeline(twins, one, device="usb:1"),
        }
        async with Crew(pipelines) as crew:
            await crew.running()
            assert crew.pid("a") == crew.pid("b") != crew.pid("c")
            delegates.cue(one, "abort invoke")
            await crew.until(lambda: all(s.degraded for s in crew.supervisor.status().values()))
            await crew.running()
            assert len({crew.pid(name) for name in "abc"}) == 3

    asyncio.run(scenario())


@pytest.mark.slow
def test_one_that_opens_slowly_is_used_once_a_probe_has_opened_it(
    twins: dict[str, str], tmp_path: Path
) -> None:
    async def scenario() -> None:
        library = make(tmp_path, "slow open")
        async with Crew({"porch": pipeline(twins, library)}) as crew:
            await crew.until(lambda: crew.status("porch").degraded, within_s=stretched(SLOWEST_S))
            await crew.running(within_s=stretched(SLOWEST_S))  # on the CPU meanwhile
            await crew.until(lambda: not crew.status("porch").degraded, "the accelerator")
            await crew.running()
            assert crew.status("porch").accelerator == "edgetpu"

    asyncio.run(scenario())


@pytest.mark.slow
def test_one_without_firmware_is_opened_beside_the_cpu_from_the_start(
    twins: dict[str, str], tmp_path: Path
) -> None:
    async def scenario() -> None:
        library = make(tmp_path, "slow open")
        delegates.plug(tmp_path, "2-1", 4)
        async with Crew({"porch": pipeline(twins, library)}, root=tmp_path) as crew:
            assert await crew.running() < stretched(5)  # less than the 6 s that a worker has
            assert crew.status("porch").degraded
            since = time.monotonic()
            await crew.until(crew.probes, "a probe")
            await asyncio.sleep(1)  # in which the probe has begun to load it
            delegates.cue(library, "")
            await crew.until(lambda: not crew.status("porch").degraded, "the accelerator")
            await crew.running()
            status = crew.status("porch")
            # Nothing was ended while it opened, and the CPU went on meanwhile.
            assert (status.accelerator, status.last_error) == ("edgetpu", "")
            assert crew.longest_gap("porch", since) < 2

    asyncio.run(scenario())


def test_what_the_library_prints_before_it_aborts_is_kept(twins: dict[str, str], tmp_path: Path) -> None:
    lines: list[str] = []

    async def scenario() -> None:
        server = ForkServer(OutputPump(lambda _level, line: lines.append(line)))
        porch = pipeline(twins, make(tmp_path, "abort prepare"))
        async with Crew({"porch": porch}, forkserver=server) as crew:
            await crew.until(lambda: crew.status("porch").degraded)
            await crew.running()

    asyncio.run(scenario())
    assert any("Check failed at prepare" in line for line in lines), lines


def test_on_a_stop_the_model_is_freed_first_and_then_the_device(
    twins: dict[str, str], tmp_path: Path
) -> None:
    lines: list[str] = []

    async def scenario() -> None:
        server = ForkServer(OutputPump(lambda _level, line: lines.append(line)))
        porch = pipeline(twins, make(tmp_path, ""))
        async with Crew({"porch": porch}, forkserver=server) as crew:
            await crew.running()
            began = time.monotonic()
            await crew.supervisor.stop(5)
            assert time.monotonic() - began < 2

    asyncio.run(scenario())
    told = [line.partition("stand-in: ")[2] for line in lines if "stand-in: " in line]
    assert told == ["a node was freed", "the device was closed"], lines


def test_a_device_that_does_not_close_delays_a_stop_by_a_second(
    twins: dict[str, str], tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with Crew({"porch": pipeline(twins, make(tmp_path, "hang close"))}) as crew:
            await crew.running()
            pid, began = crew.pid("porch"), time.monotonic()
            await crew.supervisor.stop(5)
            assert time.monotonic() - began < 3
            assert not alive(pid)

    asyncio.run(scenario())


def test_a_model_that_the_library_refuses_is_to_blame_itself(twins: dict[str, str], tmp_path: Path) -> None:
    async def scenario() -> None:
        library = make(tmp_path, "fail version")
        async with Crew({"porch": pipeline(twins, library)}) as crew:
            await crew.running()
            status = crew.status("porch")
            assert (status.accelerator, status.degraded) == ("cpu", True)
            assert "requires runtime version (15)" in status.last_error
            faults = {change.fault for _, change in crew.changes}
            assert "model" in faults
            assert "accelerator" not in faults

    asyncio.run(scenario())


def test_what_requires_a_slow_one_waits_for_it(twins: dict[str, str], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Crew({"porch": pipeline(twins, make(tmp_path, "slow open"), "require")}) as crew:
            await crew.running()
            assert (crew.status("porch").restarts, crew.status("porch").last_error) == (0, "")

    asyncio.run(scenario())


def plug(root: Path) -> None:
    port = root / "sys/bus/usb/devices/2-1"
    port.mkdir(parents=True)
    (port / "idVendor").write_text("1a6e\n")
    (port / "idProduct").write_text("089a\n")


def test_a_device_that_is_plugged_in_is_used_without_a_pause(twins: dict[str, str], tmp_path: Path) -> None:
    async def scenario() -> None:
        library = make(tmp_path, "fail open")
        async with Crew({"porch": pipeline(twins, library)}, root=tmp_path) as crew:
            await crew.running()
            assert crew.status("porch").degraded
            since = time.monotonic()
            delegates.cue(library, "")
            plug(tmp_path)
            await crew.until(lambda: not crew.status("porch").degraded, within_s=stretched(SLOWEST_S))
            await crew.running(within_s=stretched(SLOWEST_S) - (time.monotonic() - since))
            assert crew.status("porch").accelerator == "edgetpu"
            # The CPU went on until the accelerator had been tried.
            assert crew.longest_gap("porch", since) < 2

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["fail open", "hang open", "abort invoke"])
def test_a_probe_that_fails_costs_the_pipeline_nothing(
    kind: str, twins: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerators, "FIRST_PAUSE_S", 0.5)

    async def scenario() -> None:
        library = make(tmp_path, kind)
        porch = pipeline(twins, library, deadlines={"open_s": 2, "invoke_s": 1, "accelerator_s": 2})
        async with Crew({"porch": porch}) as crew:
            await crew.running()
            await crew.until(lambda: crew.status("porch").degraded)
            await crew.running()
            pid, since = crew.pid("porch"), time.monotonic()
            await crew.until(crew.probes, "a probe")
            await crew.until(lambda: not crew.probes(), "its end")
            assert crew.pid("porch") == pid
            assert crew.longest_gap("porch", since) < 1.5
            assert (crew.status("porch").state, crew.status("porch").degraded) == ("running", True)

    asyncio.run(scenario())


def test_after_its_pause_an_accelerator_that_works_again_is_used(
    twins: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerators, "FIRST_PAUSE_S", 1.0)

    async def scenario() -> None:
        library = make(tmp_path, "abort invoke")
        async with Crew({"porch": pipeline(twins, library)}) as crew:
            await crew.until(lambda: crew.status("porch").degraded)
            delegates.cue(library, "")
            await crew.until(lambda: crew.status("porch").accelerator == "edgetpu")
            await crew.running()
            status = crew.status("porch")
            assert (status.degraded, status.fault) == (False, "")
            assert "SIGABRT" in status.last_error

    asyncio.run(scenario())


def test_stopping_does_not_wait_for_a_probe(
    twins: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerators, "FIRST_PAUSE_S", 0.2)

    async def scenario() -> None:
        library = make(tmp_path, "abort open")
        async with Crew({"porch": pipeline(twins, library)}) as crew:
            await crew.until(lambda: crew.status("porch").degraded)
            await crew.running()
            delegates.cue(library, "hang open")
            await crew.until(crew.probes, "a probe")
            await asyncio.sleep(0.5)  # in which one that began before the cue has ended
            await crew.until(crew.probes, "a probe that hangs")
            (pid,) = crew.probes()
            began = time.monotonic()
            await crew.supervisor.stop(5)
            assert time.monotonic() - began < 2
            assert not alive(pid)

    asyncio.run(scenario())


def test_a_bad_twin_leaves_its_pipeline_on_the_cpu_and_the_others_alone(
    twins: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "WEIGH_S", 0.2)

    async def scenario() -> None:
        library = delegates.build(tmp_path / "libedgetpu.so.1")
        twin = tmp_path / "twin_edgetpu.tflite"
        pipelines = {
            "bad": pipeline(twins | {"edgetpu_file": str(twin)}, library),
            "must": pipeline(twins | {"edgetpu_file": str(twin)}, library, "require"),
            "good": pipeline(twins, library),
        }
        async with Crew(pipelines) as crew:
            await crew.running("bad", "good")
            bad, good, must = (crew.status(name) for name in ("bad", "good", "must"))
            assert (good.accelerator, good.degraded, good.restarts) == ("edgetpu", False, 0)
            assert (bad.accelerator, bad.degraded) == ("cpu", True)
            assert f"edgetpu_compiler {twins['file']}" in bad.last_error
            assert (must.fault, must.online) == ("model", False)
            assert must.last_error.startswith(f"{twin}: there is no such file")
            await crew.result_after("good", time.monotonic() + 2 * supervisor.WEIGH_S)
            assert crew.pid("good") == crew.pid("bad") == good.pid
            twin.write_bytes(Path(twins["edgetpu_file"]).read_bytes())
            await crew.until(lambda: crew.status("must").state == "running", within_s=stretched(SLOWEST_S))
            await crew.running()
            assert {(s.accelerator, s.degraded) for s in crew.supervisor.status().values()} == {
                ("edgetpu", False)
            }

    asyncio.run(scenario())


def test_a_bad_model_in_a_shared_worker_costs_the_others_nothing(
    twins: dict[str, str], tmp_path: Path
) -> None:
    async def scenario() -> None:
        library = delegates.build(tmp_path / "libedgetpu.so.1")
        plain = tmp_path / "plain.tflite"  # not compiled for an Edge TPU
        plain.write_bytes(build(picture=Kind("uint8", 1 / 255), scores=Kind("uint8", 1 / 256)))
        pipelines = {
            "bad": pipeline(twins | {"edgetpu_file": str(plain)}, library, "require"),
            "good": pipeline(twins, library, "require"),
        }
        async with Crew(pipelines) as crew:
            await crew.running("good")
            assert crew.status("bad").fault == "model"
            assert str(plain) in crew.status("bad").last_error
            plain.write_bytes(Path(twins["edgetpu_file"]).read_bytes())
            await crew.running("bad", within_s=stretched(SLOWEST_S))

    asyncio.run(scenario())
