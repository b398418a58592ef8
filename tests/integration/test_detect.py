"""Objects and several labels, through a real worker: what moves through zones, and what outlives a worker."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any

import cv2
import detector_model
import numpy as np
import pytest
from crew import Crew
from tflite_builder import Kind, Packed, build

from edged.config.pipeline import PipelineSection

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from edged.ipc.worker_messages import Outcome

HALVES = {"left": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]], "right": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]}


def film(folder: Path, frames: Sequence[Sequence[tuple[str, int, int]]], haze: int = 0) -> dict[str, Any]:
    """Write a picture for each frame, in a blue haze; return the source that gives them."""
    (folder / "film").mkdir()
    for number, things in enumerate(frames):
        pixels = detector_model.picture(things, width=320, height=160)
        pixels[:, :, 2] = np.maximum(pixels[:, :, 2], haze)
        cv2.imwrite(str(folder / "film" / f"{number:03}.png"), pixels[:, :, ::-1])
    return {"kind": "folder", "path": str(folder / "film"), "interval_s": 0}


def watching(folder: Path, source: dict[str, Any], task: dict[str, Any], **keys: Any) -> PipelineSection:
    model, labels = detector_model.write(folder)
    named = {"model": {"file": str(model), "labels": str(labels)}}
    return PipelineSection.model_validate({"source": source, "task": task, **named, **keys})


def news(crew: Crew) -> list[Outcome]:
    return [outcome for _, outcome in crew.outcomes if outcome.type != "result"]


def added_up(events: Iterable[Outcome]) -> Counter[tuple[str, str]]:
    """Return what somebody knows who hears only of changes."""
    there: Counter[tuple[str, str]] = Counter()
    for event in events:
        label = event.previous if event.type == "end" else event.label
        there[label, event.zone] = event.count or 0
    return +there


def test_things_that_move_through_zones_are_counted_where_they_are(tmp_path: Path) -> None:
    frames = [[("red", column, 2), ("green", 7 - column, 5), ("green", 7, 1)] for column in range(8)]
    source = film(tmp_path, frames) | {"loop": False}
    section = watching(
        tmp_path,
        source,
        {"kind": "detect", "zones": HALVES, "labels": ["red", "green"]},
        publish={"boxes": True},
    )

    async def scenario() -> None:
        async with Crew({"yard": section}) as crew:
            await crew.until(lambda: crew.status("yard").state == "ended")
            assert crew.status("yard").frames == len(frames)
            events = news(crew)
            for number, things in enumerate(frames):
                shown = added_up(event for event in events if (event.frame or 0) <= number)
                wanted = Counter((label, "left" if column < 4 else "right") for label, column, _ in things)
                assert shown == wanted, f"frame {number}"
            first = events[0]
            assert first.boxes is not None
            assert len(first.boxes) == first.count
            walks = [(e.type, e.zone) for e in events if "red" in {e.label, e.previous}]
            assert walks == [("start", "left"), ("start", "right"), ("end", "left")]

    asyncio.run(scenario())


def test_what_is_there_stays_there_when_its_worker_is_killed(tmp_path: Path) -> None:
    source = film(tmp_path, [[("red", 1, 1), ("red", 3, 3), ("blue", 6, 6)]]) | {
        "loop": True,
        "interval_s": 0.05,
    }
    section = watching(tmp_path, source, {"kind": "detect"})

    async def scenario() -> None:
        async with Crew({"yard": section}) as crew:
            await crew.first("yard")
            await crew.until(lambda: len(news(crew)) == 2)
            before = crew.status("yard").present
            assert before is not None
            assert {each.label: each.count for each in before} == {"red": 2, "blue": 1}
            os.kill(crew.pid("yard"), signal.SIGKILL)
            await crew.until(lambda: len(news(crew)) >= 4, "news of the next worker")
            after = news(crew)[2:]
            assert [(each.type, each.label, each.count) for each in after] == [
                ("heartbeat", each.label, each.count) for each in before
            ]
            assert [each.since for each in crew.status("yard").present or ()] == [
                each.since for each in before
            ]

    asyncio.run(scenario())


def test_several_labels_of_a_classifier_are_there_at_the_same_time(tmp_path: Path) -> None:
    kinds = {"picture": Kind("uint8", 1 / 255), "scores": Kind("uint8", 1 / 256)}
    (tmp_path / "m.tflite").write_bytes(build((1, 8, 8, 3), (1, 2), **kinds, head="sigmoid"))
    (tmp_path / "m.txt").write_text("red\ngreen\nblue\n")
    section = PipelineSection.model_validate(
        {
            "source": film(tmp_path, [[("red", c, r) for c in range(8) for r in range(8)]]) | {"loop": True},
            "model": {"file": str(tmp_path / "m.tflite"), "labels": str(tmp_path / "m.txt")},
            "task": {"kind": "classify", "multi_label": True},
            "decision": {"threshold": 0.45, "labels": {"red": {"threshold": 0.6}}},
        }
    )

    async def scenario() -> None:
        async with Crew({"yard": section}) as crew:
            result = await crew.first("yard")
            assert (result.label, result.count) == ("red", 1)
            await crew.until(lambda: len(news(crew)) == 3)
            assert added_up(news(crew)) == {("red", ""): 1, ("green", ""): 1, ("blue", ""): 1}

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_film_of_photographs_starts_what_they_show(tmp_path: Path, testdata: Path) -> None:
    """Each photograph for some frames, as in a video: one start and one end for each thing."""
    (tmp_path / "film").mkdir()
    for number, name in enumerate(("cat.bmp", "cat.bmp", "grace_hopper.bmp", "parrot.jpg", "parrot.jpg")):
        pixels = cv2.resize(cv2.imread(str(testdata / "images" / name)), (640, 480))
        cv2.imwrite(str(tmp_path / "film" / f"{number}.png"), pixels)
    section = PipelineSection.model_validate(
        {
            "source": {"kind": "folder", "path": str(tmp_path / "film"), "interval_s": 0, "loop": False},
            "model": {
                "file": str(testdata / "models" / "ssd_mobilenet_v1.tflite"),
                "labels": str(testdata / "labels" / "coco_labels.txt"),
            },
            "task": {"kind": "detect", "labels": ["cat", "person", "bird"]},
            "decision": {"threshold": 0.55, "exit_threshold": 0.4},
        }
    )

    async def scenario() -> None:
        async with Crew({"yard": section}) as crew:
            await crew.until(lambda: crew.status("yard").state == "ended")
            told = [(e.type, e.previous if e.type == "end" else e.label) for e in news(crew)]
            assert [kind for kind in told if kind[1] == "cat"] == [("start", "cat"), ("end", "cat")]
            assert [kind for kind in told if kind[1] == "bird"] == [("start", "bird")]
            assert ("start", "person") in told

    asyncio.run(scenario())


@pytest.mark.parametrize("rotate", [0, 90])
def test_a_second_model_looks_at_the_part_with_the_thing(rotate: int, tmp_path: Path) -> None:
    """The classifier sees the strongest colour of its picture, which is that of the thing alone."""
    kinds = {"picture": Kind("uint8", 1 / 255), "scores": Kind("uint8", 1 / 256)}
    (tmp_path / "colours.tflite").write_bytes(build((1, 8, 8, 3), (1, 2), **kinds, gain=20.0))
    (tmp_path / "colours.txt").write_text("rot\nbunt\nblau\n")
    frames = [[], [("red", 2, 3)], [("red", 2, 3), ("green", 6, 6)]]
    source = film(tmp_path, frames, haze=60)
    if rotate:
        for file in (tmp_path / "film").iterdir():
            cv2.imwrite(str(file), cv2.rotate(cv2.imread(str(file)), cv2.ROTATE_90_COUNTERCLOCKWISE))
    section = watching(
        tmp_path,
        source | {"loop": False, "rotate": str(rotate)},
        {"kind": "detect", "labels": ["red", "green"]},
        then={
            "labels": ["red"],
            "model": {"file": str(tmp_path / "colours.tflite"), "labels": str(tmp_path / "colours.txt")},
            "margin": 0,
        },
    )

    async def scenario() -> None:
        async with Crew({"yard": section}, results=False) as crew:
            await crew.until(lambda: crew.status("yard").state == "ended")
            told = [(event.label, [found.label for found in event.then]) for event in news(crew)]
            assert told == [("red", ["rot"]), ("green", [])]

    asyncio.run(scenario())


def test_a_second_model_with_packed_labels_is_known_before_it_says_one(tmp_path: Path) -> None:
    kinds = {"picture": Kind("uint8", 1 / 255), "scores": Kind("uint8", 1 / 256)}
    packed = Packed(labels="rot\ngruen\nblau\n")
    (tmp_path / "colours.tflite").write_bytes(build((1, 8, 8, 3), (1, 2), **kinds, gain=20.0, packed=packed))
    source = film(tmp_path, [[("red", 2, 3), ("green", 6, 6)]]) | {"loop": False}
    then = {"model": {"file": str(tmp_path / "colours.tflite")}, "margin": 0}
    section = watching(tmp_path, source, {"kind": "detect"}, then=then)

    async def scenario() -> None:
        async with Crew({"yard": section}, results=False) as crew:
            await crew.until(lambda: crew.status("yard").state == "ended")
            told = {event.label: [found.label for found in event.then] for event in news(crew)}
            assert told == {"red": ["rot"], "green": ["gruen"]}

    asyncio.run(scenario())
