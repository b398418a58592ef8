"""Pipelines that share a camera, with real workers."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from conftest import ROOT
from crew import Crew, children, descriptors, offer_lab_driver, stretched, synthetic

from edged.config.cameras import OWN
from edged.config.loader import load
from edged.config.root import Config, PipelineSection
from edged.config.source import SOURCES
from edged.models import bundled
from edged.tools.check import check

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXAMPLE = ROOT / "config" / "examples" / "one-camera-two-questions.yaml"
NAMES = ("gate", "people", "cars", "birds")
PHOTOS = {"kind": "folder", "path": str(bundled.PHOTOS), "interval_s": 0}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    offer_lab_driver()
    files = descriptors()
    yield
    assert children() == {}
    assert descriptors() <= files


def sharing(camera: dict[str, Any], **pipelines: dict[str, Any]) -> dict[str, PipelineSection]:
    named = {name: {"camera": "yard"} | keys for name, keys in pipelines.items()}
    return Config.model_validate({"cameras": {"yard": camera}, "pipelines": named}).pipelines


def test_four_pipelines_take_one_worker_and_one_capture() -> None:
    async def scenario() -> None:
        async with Crew(sharing(PHOTOS, **{name: {} for name in NAMES})) as crew:
            await crew.running()
            assert len({crew.pid(name) for name in NAMES}) == 1
            results = lambda: [o for _, o in crew.outcomes if o.type == "result"]  # noqa: E731 - read twice
            await crew.until(lambda: len(results()) >= 80)
            judged = {name: sum(o.pipeline == name for o in results()) for name in NAMES}
            captures = 1 + max(o.frame or 0 for o in results())
            assert captures <= 1.25 * max(judged.values())
            assert min(judged.values()) > 0
            frames = {name: [o.frame for o in results() if o.pipeline == name] for name in NAMES}
            assert all(each == sorted(set(each)) for each in frames.values()), "none twice, none late"

    asyncio.run(scenario())


def test_each_has_a_crop_and_a_decision_of_its_own() -> None:
    async def scenario() -> None:
        pipelines = sharing(
            {**PHOTOS, "path": str(next(bundled.PHOTOS.glob("*cat*"))), "interval_s": 0.05},
            gate={},
            people={"crop": [0, 0, 40, 40], "decision": {"threshold": 0.99}},
        )
        async with Crew(pipelines, results=True) as crew:
            await crew.running()
            await crew.until(lambda: all(crew.status(name).frames > 5 for name in ("gate", "people")))
            tops = {o.pipeline: (o.top[0].label, round(o.top[0].score, 2)) for _, o in crew.outcomes}
            assert tops["gate"][0] == "Egyptian cat"
            assert tops["gate"] != tops["people"]
            assert {o.pipeline for _, o in crew.outcomes if o.type == "start"} == {"gate"}

    asyncio.run(scenario())


def test_one_that_is_switched_off_stops_no_sister_and_the_last_closes_the_camera() -> None:
    async def scenario() -> None:
        async with Crew(sharing(synthetic(), gate={}, people={})) as crew:
            await crew.running()
            before = crew.pid("people")
            await crew.result_after("people", time.monotonic())
            crew.changes.clear()
            crew.supervisor.enable("gate", on=False)
            await crew.until(lambda: crew.status("gate").state == "disabled")
            await crew.result_after("people", time.monotonic() + stretched(0.5))
            assert crew.last("gate") < crew.last("people")
            assert "gate" not in crew.supervisor.processes()
            crew.supervisor.enable("gate", on=True)
            await crew.result_after("gate", time.monotonic())
            await crew.running()
            assert crew.pid("gate") == crew.pid("people") == before
            assert {status.name for _, status in crew.changes} == {"gate"}, "people noticed nothing"
            for name in ("gate", "people"):
                crew.supervisor.enable(name, on=False)
            await crew.until(lambda: set(crew.supervisor.processes()) == {"forkserver"})
            await crew.until(lambda: before not in children())
            crew.supervisor.enable("people", on=True)
            await crew.result_after("people", time.monotonic())
            crew.supervisor.enable("gate", on=True)
            await crew.result_after("gate", time.monotonic())
            assert crew.pid("gate") == crew.pid("people")

    asyncio.run(scenario())


def test_one_that_is_switched_on_again_starts_undecided() -> None:
    async def scenario() -> None:
        cat = {**PHOTOS, "path": str(next(bundled.PHOTOS.glob("*cat*"))), "interval_s": 0.05}
        async with Crew(sharing(cat, gate={}, people={}), results=False) as crew:
            news = lambda name: [o.type for _, o in crew.outcomes if o.pipeline == name]  # noqa: E731 - short, and read often
            await crew.until(lambda: news("gate") == news("people") == ["start"])
            crew.supervisor.enable("gate", on=False)
            await asyncio.sleep(0.2)
            crew.supervisor.enable("gate", on=True)
            await crew.until(lambda: news("gate") == ["start", "start"])
            assert {o.previous for _, o in crew.outcomes} == {"unknown"}
            assert news("people") == ["start"]

    asyncio.run(scenario())


def test_a_worker_that_dies_comes_back_with_all_its_pipelines() -> None:
    async def scenario() -> None:
        async with Crew(sharing(synthetic(), gate={}, people={}, cars={"enabled": False})) as crew:
            await crew.running("gate", "people")
            killed = time.monotonic()
            os.kill(crew.pid("gate"), signal.SIGKILL)
            for name in ("gate", "people"):
                await crew.result_after(name, killed)
            await crew.running("gate", "people")
            assert [crew.status(name).restarts for name in ("gate", "people", "cars")] == [1, 1, 0]
            assert crew.status("cars").state == "disabled"

    asyncio.run(scenario())


def test_a_fault_of_the_camera_is_one_of_each(tmp_path: Path) -> None:
    async def scenario() -> None:
        camera = {"kind": "folder", "path": str(tmp_path / "none"), "interval_s": 0.05}
        async with Crew(sharing(camera, gate={}, people={})) as crew:
            await crew.until(lambda: all(crew.status(name).fault == "source" for name in ("gate", "people")))
            (tmp_path / "none").symlink_to(bundled.PHOTOS)
            await crew.running()
            assert crew.status("gate").restarts == 0

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_camera_that_hangs_is_replaced() -> None:
    async def scenario() -> None:
        limits = {"deadlines": {"capture_s": 0.5}}
        camera = synthetic(fault="hang", fault_after=8)
        async with Crew(sharing(camera, gate=limits, people=limits)) as crew:
            await crew.until(lambda: all(crew.status(name).restarts for name in ("gate", "people")))
            assert "hung reading a frame" in crew.status("people").last_error

    asyncio.run(scenario())


@pytest.mark.slow
def test_switches_that_are_played_with_leave_nothing_behind() -> None:
    async def scenario() -> None:
        rng = random.Random(7)
        async with Crew(sharing(synthetic(), gate={}, people={}, cars={})) as crew:
            await crew.running()
            files = descriptors()
            for _ in range(200):
                crew.supervisor.enable(rng.choice(NAMES[:3]), on=rng.random() < 0.5)
                await asyncio.sleep(rng.choice([0, 0, 0.001, 0.02]))
            for name in NAMES[:3]:
                crew.supervisor.enable(name, on=True)
            for name in NAMES[:3]:
                await crew.result_after(name, time.monotonic())
            await crew.running()
            await crew.until(lambda: set(children()) == set(crew.supervisor.processes().values()), "no more")
            await crew.until(lambda: descriptors() <= files)

    asyncio.run(scenario())


def test_the_example_shares_its_camera() -> None:
    assert check(EXAMPLE) == []

    async def scenario() -> None:
        pipelines = load(EXAMPLE).pipelines
        assert {section.source.model_dump()["size"] for section in pipelines.values()} == {(1280, 720)}
        keys = {"kind": "synthetic", "size": [1280, 720]}
        stand_in = {
            name: section.model_copy(
                update={
                    "source": SOURCES.read(
                        keys
                        | {key: getattr(section, key) for key in OWN if getattr(section, key) is not None}
                    )
                }
            )
            for name, section in pipelines.items()
        }
        async with Crew(stand_in) as crew:
            for name in pipelines:
                await crew.result_after(name, time.monotonic())
            assert crew.pid("gate") == crew.pid("feeder")

    asyncio.run(scenario())
