"""Sound through workers behind their walls: a program that records, its faults, silence, and privacy."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from build_sound import write, write_keyword
from crew import Crew, children
from integration.daemon import Daemon, wait_for
from unit.sources import wav_files

from edged.config.root import PipelineSection
from edged.testing.arecord import FakeRecorder

if TYPE_CHECKING:
    from edged.ipc import worker_messages

ALARM = "Smoke detector, smoke alarm"


def section(folder: Path, source: dict[str, Any], **keys: Any) -> PipelineSection:
    model = write(folder)
    return PipelineSection.model_validate({"source": source, "model": {"file": str(model)}} | keys)


def microphone(folder: Path, fake: FakeRecorder, **keys: Any) -> PipelineSection:
    return section(folder, {"kind": "microphone", "device": "plughw:1", "program": str(fake.path)}, **keys)


def heard(crew: Crew, name: str = "ear") -> list[worker_messages.Outcome]:
    return [outcome for _, outcome in crew.outcomes if outcome.pipeline == name and outcome.type == "result"]


def decided(crew: Crew) -> str:
    return next((o.label for _, o in reversed(crew.outcomes) if o.type != "result"), "")


@pytest.mark.slow
def test_a_microphone_behind_walls_is_heard_and_comes_back_after_each_fault(tmp_path: Path) -> None:
    fake = FakeRecorder(tmp_path)
    limits = {"capture_s": 1.0}

    async def life() -> None:
        async with Crew({"ear": microphone(tmp_path, fake, deadlines=limits)}) as crew:
            await crew.until(lambda: decided(crew) == "Beep, bleep")
            assert crew.status("ear").isolation
            pid = crew.pid("ear")
            fake.does("tone 3100 0.5")
            await crew.until(lambda: decided(crew) == ALARM)
            faults = {"stall": "no sound for", "unplug": "no such card", "busy": "another program"}
            for does, why in faults.items():
                fake.does(does)
                await crew.until(lambda why=why: why in crew.status("ear").last_error, does)
                assert crew.status("ear").fault == "source"
                if does != "unplug":  # the card comes back, and another program has it
                    fake.does("tone 440 0.5")
                    await crew.until(lambda: decided(crew) == "Beep, bleep" and not crew.status("ear").fault)
                    fake.does("tone 3100 0.5")
                    await crew.until(lambda: decided(crew) == ALARM)
            assert crew.pid("ear") == pid, "none of it costs a worker"
            assert any("arecord" in what for what in children(pid).values())
        assert not [what for what in children().values() if "arecord" in what]

    asyncio.run(life())


def test_silence_costs_no_inference_and_ends_what_was_heard(tmp_path: Path) -> None:
    fake = FakeRecorder(tmp_path)
    fake.does("silence")
    gate = {"above_dbfs": -40, "hold_s": 0.2}

    async def life() -> None:
        async with Crew({"ear": microphone(tmp_path, fake, gate=gate)}) as crew:
            await crew.until(lambda: crew.status("ear").held_by == "it is quiet")
            assert not heard(crew)
            fake.does("tone 3100 0.5")
            await crew.until(lambda: decided(crew) == ALARM)
            assert crew.status("ear").held_by == ""
            fake.does("tone 3100 0.001")
            await crew.until(lambda: crew.status("ear").held_by == "it is quiet")
            await crew.until(lambda: decided(crew) == "unknown")
            assert {reading.name for o in heard(crew) for reading in o.readings} == {"level"}

    asyncio.run(life())


@pytest.mark.skipif(shutil.which("arecord") is None, reason="arecord is not installed (alsa-utils)")
def test_the_real_arecord_records_behind_the_walls(tmp_path: Path) -> None:
    """ALSA's device ``null`` gives whatever is in memory, and does not take its time."""

    async def life() -> None:
        async with Crew({"ear": section(tmp_path, {"kind": "microphone", "device": "null"})}) as crew:
            await crew.until(lambda: heard(crew))
            assert [reading.name for reading in heard(crew)[0].readings] == ["level"]
            assert crew.status("ear").isolation

    asyncio.run(life())


def test_any_loud_noise_is_decided_without_a_model(tmp_path: Path) -> None:
    fake = FakeRecorder(tmp_path)
    fake.does("tone 440 0.001")
    source = {"kind": "microphone", "device": "plughw:1", "program": str(fake.path), "window_s": 0.2}
    pipeline = PipelineSection.model_validate({"source": source, "task": {"kind": "loud"}})

    async def life() -> None:
        async with Crew({"ear": pipeline}) as crew:
            await crew.until(lambda: heard(crew))
            fake.does("tone 440 0.5")
            await crew.until(lambda: decided(crew) == "loud")
            fake.does("silence")
            await crew.until(lambda: decided(crew) == "unknown")

    asyncio.run(life())


def test_a_keyword_model_gets_features_and_goes_on_from_window_to_window(tmp_path: Path) -> None:
    file = wav_files.write(tmp_path / "a.wav", wav_files.tone(700, 1.0))
    model = write_keyword(tmp_path)
    named = {"file": str(model), "labels": str(model.with_suffix(".txt"))}
    source = {"kind": "sound", "path": str(file), "features": "micro"}
    pipeline = PipelineSection.model_validate({"source": source, "model": named})

    async def life() -> None:
        async with Crew({"ear": pipeline}) as crew:
            await crew.until(lambda: crew.status("ear").state == "ended")
            assert len(heard(crew)) == 33
            assert {o.label for o in heard(crew)} <= {"background", "okay nabu"}
            assert decided(crew) == "okay nabu", "its model says yes to whatever is loud"

    asyncio.run(life())


def holds(pid: int, trace: bytes) -> bool:
    """Return whether a process has these bytes in memory that it may write."""
    with Path(f"/proc/{pid}/mem").open("rb") as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            first, last = (int(end, 16) for end in span.split("-"))
            if rights.startswith("rw"):
                with contextlib.suppress(OSError, ValueError):
                    memory.seek(first)
                    if trace in memory.read(last - first):
                        return True
    return False


@pytest.mark.slow
def test_no_sample_of_sound_leaves_its_worker(tmp_path: Path) -> None:
    """Main, its files and what it publishes have none of 48,000 samples, in any form; the worker has."""
    samples = np.random.default_rng(7).uniform(-0.5, 0.5, 48000)
    file = wav_files.write(tmp_path / "a.wav", samples)
    stored = np.round(samples * 32767).astype("<i2")
    real = (stored / np.float32(32768)).astype("<f4")
    model = write(tmp_path)
    text = f"""
node: ear
state_dir: {tmp_path}/state
run_dir: {tmp_path}/run
pipelines:
  ear:
    source: {{kind: sound, path: {file}, loop: true, realtime: true, hop_s: 0.05}}
    model: {{file: {model}}}
    publish: {{result: true}}
"""
    with Daemon(tmp_path, text) as daemon:
        wait_for(lambda: (tmp_path / "stdout").read_bytes().count(b'"level"') > 40, "results")
        worker = daemon.health()["processes"]["ear"]["pid"]
        pieces = [real[at : at + 4].tobytes() for at in range(0, 40000, 1000)]
        assert any(holds(worker, piece) for piece in pieces), "so the words are right"
        for piece in [*pieces[::8], *(stored[at : at + 8].tobytes() for at in range(0, 40000, 8000))]:
            assert not holds(daemon.pid, piece)
        daemon.stop()
    left = [path for part in ("stdout", "stderr", "run", "state") for path in written(tmp_path / part)]
    everything = b"".join(path.read_bytes() for path in left)
    assert len(everything) > 10_000
    for at in range(0, 40000, 500):
        assert stored[at : at + 4].tobytes() not in everything
        assert real[at : at + 2].tobytes() not in everything
        assert f"{real[at]:.6f}"[1:].encode() not in everything


def written(path: Path) -> list[Path]:
    return [found for found in (path, *path.rglob("*")) if found.is_file()]
