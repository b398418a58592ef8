"""Programs that sources start end with their worker, even one that hangs and notices no closed pipe."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import build_sound
import pytest
from crew import Crew, children

from edged.config.root import PipelineSection
from edged.models import bundled
from edged.testing.arecord import FakeRecorder

if TYPE_CHECKING:
    from pathlib import Path


def listening(folder: Path) -> dict[str, Any]:
    fake = FakeRecorder(folder)
    fake.does("stall")
    source = {"kind": "microphone", "device": "plughw:1", "program": str(fake.path)}
    return {"source": source, "model": {"file": str(build_sound.write(folder))}}


def reading(folder: Path) -> dict[str, Any]:
    del folder
    command = ["sh", "-c", "sleep 98763; echo never"]
    return {
        "source": {"kind": "lines", "command": command},
        "task": {"kind": "text"},
        "model": {"file": str(bundled.REPLIES)},
    }


@pytest.mark.parametrize("keys", [listening, reading])
def test_a_program_that_hangs_ends_with_its_worker(tmp_path: Path, keys: Any) -> None:
    async def life() -> None:
        async with Crew({"p": PipelineSection.model_validate(keys(tmp_path))}) as crew:
            await crew.until(lambda: crew.supervisor.processes().get("p") and children(crew.pid("p")))
            pid, started = crew.pid("p"), children(crew.pid("p"))
            os.kill(pid, signal.SIGKILL)
            await crew.until(lambda: not started.keys() & children().keys(), "its end")

    asyncio.run(life())
