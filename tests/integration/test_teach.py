"""``edged teach`` as a command, with the bundled classifier, and a daemon that learns while it runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from daemon import Daemon, wait_for

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow  # the quick suite has tests/unit/cli/test_teach.py

COLOURS = {"red": (40, 40, 220), "blue": (220, 60, 40), "green": (60, 200, 60)}


def pictures(folder: Path, colour: str, count: int, seed: int = 0) -> Path:
    """Discs of a colour at some place on grey ground."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        random = np.random.default_rng([seed, number])
        picture = np.full((240, 320, 3), random.integers(90, 150), np.uint8)
        x, y = (int(random.integers(80, side - 80)) for side in (320, 240))
        cv2.circle(picture, (x, y), int(random.integers(40, 70)), COLOURS[colour], -1)
        noise = random.integers(0, 12, picture.shape, np.uint8)
        cv2.imwrite(str(folder / f"{seed}-{number}.png"), cv2.add(picture, noise))
    return folder


def text(folder: Path) -> str:
    return (
        f"node: n\nstate_dir: {folder}/state\nrun_dir: {folder}/run\npipelines:\n  porch:\n"
        f"    source: {{kind: folder, path: {folder}/seen, interval_s: 0.1, loop: true}}\n"
        "    model: {taught: discs}\n"
    )


def edged(folder: Path, *words: str, status: int = 0) -> str:
    command = [sys.executable, "-m", "edged", *words, "-c", str(folder / "edged.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=os.environ)
    assert done.returncode == status, done.stderr
    return done.stdout or done.stderr


def report(folder: Path, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(edged(folder, "teach", *words, "--json"))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "edged.yaml").write_text(text(tmp_path))
    for colour in ("red", "blue"):
        pictures(tmp_path / "shown" / colour, colour, 5)
    return tmp_path


def test_a_model_from_the_first_photograph_to_the_last_command(folder: Path) -> None:
    assert "no such taught model" in edged(folder, "check", status=78)
    for version, colour in enumerate(("red", "blue"), 1):
        lesson = report(folder, "discs", "--label", colour, "--images", str(folder / "shown" / colour))
        assert (lesson["version"], lesson["examples"][colour]) == (version, 5)
    assert "good: 1 pipeline" in edged(folder, "check")
    for colour in ("red", "blue", "green"):
        pictures(folder / "asked" / colour, colour, 4, seed=1)
    found = report(folder, "discs", "--evaluate", "--images", str(folder / "asked"))
    assert found["top1"] == 1.0
    assert found["leave_one_out"] == 1.0
    assert found["labels"] == {"blue": {"n": 4, "right": 4}, "red": {"n": 4, "right": 4}}
    assert found["unknown"]["n"] == 4
    assert found["seconds"] > 0
    shown = edged(folder, "teach", "discs", "--evaluate")
    assert "next: other: photographs of what else may be there" in shown
    assert edged(folder, "teach", "list") == "discs: red (5), blue (5), version 2\n"
    assert report(folder, "discs", "forget", "blue")["version"] == 3
    assert edged(folder, "teach", "discs", "--undo") == "discs: back at version 2, red (5), blue (5)\n"
    assert "no label 'pink'" in edged(folder, "teach", "discs", "forget", "pink", status=64)
    edged(folder, "teach", "discs", "remove")
    assert edged(folder, "teach", "list").startswith("no model was taught here")


def test_a_running_pipeline_learns_without_a_restart(folder: Path) -> None:
    shown = folder / "shown"
    edged(folder, "teach", "discs", "--images", str(shown))
    pictures(folder / "seen", "green", 6, seed=2)
    with Daemon(folder, text(folder)) as daemon:
        before = daemon.pid
        edged(
            folder, "teach", "discs", "--label", "green", "--images", str(pictures(shown / "g", "green", 5))
        )
        wait_for(lambda: '"label":"green"' in (folder / "stdout").read_text(), "the new label in an event")
        assert daemon.pid == before
        events = [json.loads(line) for line in (folder / "stdout").read_text().splitlines()]
        assert {event["model"]["name"] for event in events} == {"discs"}
        assert "its model was taught" in daemon.log


CHAT = """node: n
state_dir: {0}/state
run_dir: {0}/run
pipelines:
  chat:
    source: {{kind: lines, path: {0}/chat.log}}
    model: {{taught: chat}}
    task: {{kind: text}}
    publish: {{result: true}}
"""
SENTENCES = {
    "greeting": "hello there\ngood morning\nhi, how are you\nhey\nhello my friend\ngood evening\n",
    "weather": "will it rain today\nhow is the weather\nis it cold outside\nis rain coming\nis it sunny\n",
}


def test_a_pipeline_tells_what_a_line_is_about_and_never_the_line(tmp_path: Path) -> None:
    (tmp_path / "edged.yaml").write_text(CHAT.format(tmp_path))
    (tmp_path / "said").mkdir()
    for label, sentences in SENTENCES.items():
        (tmp_path / "said" / f"{label}.txt").write_text(sentences)
    lesson = report(tmp_path, "chat", "--text", str(tmp_path / "said"))
    assert lesson["examples"] == {"greeting": 6, "weather": 5}
    assert report(tmp_path, "chat", "--evaluate", "--text", str(tmp_path / "said"))["top1"] == 1.0
    (tmp_path / "chat.log").write_text("hello from before\n")
    with Daemon(tmp_path, CHAT.format(tmp_path)) as daemon:
        for line in ("hello, good morning to you", "how is the weather today", "xylophone quartz zebra"):
            with (tmp_path / "chat.log").open("a") as log:
                log.write(f"{line}\n")
        wait_for(lambda: (tmp_path / "stdout").read_text().count('"result"') >= 3, "three lines judged")
        printed = (tmp_path / "stdout").read_text() + daemon.log
    events = [json.loads(line) for line in (tmp_path / "stdout").read_text().splitlines()]
    results = [event for event in events if event["type"] == "result"]
    assert [event["label"] for event in results][:2] == ["greeting", "weather"]
    assert results[2]["score"] < 0.5
    assert events[-1]["type"] in {"end", "result"}
    assert not [word for word in ("morning", "today", "xylophone", "before") if word in printed]


def test_root_teaches_what_the_service_owns(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can teach for others")
    (folder / "state").mkdir()
    os.chown(folder / "state", 12345, 23456)
    for path in (folder, *list(folder.parents)[:-2]):
        path.chmod(0o755)
    for colour in ("red", "blue"):
        edged(folder, "teach", "discs", "--label", colour, "--images", str(folder / "shown" / colour))
    assert report(folder, "discs", "--evaluate")["leave_one_out"] == 1.0
    owned = {(path.stat().st_uid, path.stat().st_mode & 0o77) for path in (folder / "state").rglob("head")}
    assert owned == {(12345, 0)}
