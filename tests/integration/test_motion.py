"""The motion gate in a real worker: over a recording, and over a scene in which nothing moves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from crew import Crew, section

from edged.models import bundled

if TYPE_CHECKING:
    from pathlib import Path

STILL, MOVING = 30, 12


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A still scene with noise, somebody who walks through it, and the scene again."""
    path = tmp_path_factory.mktemp("motion") / "walker.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    random = np.random.default_rng(5)
    scene = cv2.resize(random.integers(40, 200, (24, 32, 3)).astype(np.uint8), (320, 240)).astype(np.float32)
    for n in range(2 * STILL + MOVING):
        picture = scene.copy()
        if STILL <= n < STILL + MOVING:
            picture[80:160, 20 + 20 * (n - STILL) :][:, :40] = 230
        noisy = picture + random.normal(0, 4, scene.shape)
        writer.write(np.clip(noisy, 0, 255).astype(np.uint8))
    writer.release()
    return path


def test_only_what_moves_in_a_recording_is_classified(recording: Path) -> None:
    source = {"kind": "video", "url": str(recording), "interval_s": 0}

    async def scenario() -> None:
        async with Crew({"yard": section(source, motion={"hold_s": 0})}) as crew:
            await crew.until(lambda: crew.status("yard").state == "ended")
            numbers = [outcome.frame for _, outcome in crew.outcomes if outcome.type == "result"]
            walk = [*range(STILL - 1, STILL + MOVING + 1)]
            assert numbers == [0, 1, *walk], "the first two, the one before the walker, and the one after"
            status = crew.status("yard")
            assert status.frames == len(numbers)
            assert status.dropped["still"] == 2 * STILL + MOVING - len(numbers) + 1
            assert status.moves is False

    asyncio.run(scenario())


def test_a_decision_stays_while_nothing_moves_and_is_repeated() -> None:
    source = {"kind": "folder", "path": str(bundled.PHOTO), "interval_s": 0.05}
    keys = {"motion": {"hold_s": 0}, "publish": {"heartbeat_s": 0.5}}

    async def scenario() -> None:
        async with Crew({"porch": section(source, **keys)}, results=False) as crew:
            await crew.until(lambda: len(crew.outcomes) >= 3)
            kinds = [outcome.type for _, outcome in crew.outcomes]
            assert kinds[:3] == ["start", "heartbeat", "heartbeat"]
            assert {outcome.label for _, outcome in crew.outcomes} == {bundled.ANSWER}
            status = crew.status("porch")
            assert (status.state, status.online, status.frames) == ("running", True, 2)
            assert status.dropped["still"] > 10

    asyncio.run(scenario())
