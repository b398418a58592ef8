"""``edged try -c`` with a real model: the decisions of the daemon, the same ones each time."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import TYPE_CHECKING, Any

import build_sound
import cv2
import numpy as np
import pytest
from crew import Crew, section
from detector_model import LABELS, detector
from unit.sources import wav_files

from edged.cli.main import main
from edged.events import Finding
from edged.models import bundled
from edged.pipeline.decision import Decision, Rules

if TYPE_CHECKING:
    from pathlib import Path

PHOTOS = bundled.PHOTOS
NAMES = ("01-cat.jpg", "02-espresso.jpg", "03-tripod.jpg")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "edged.yaml"
    path.write_text(
        "pipelines:\n"
        "  porch:\n"
        "    source: {kind: v4l2, device: /dev/video0, interval_s: 1}\n"
        "    decision: {votes: 2, window: 3, min_dwell_s: 3}\n"
    )
    return path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Each photograph for 3 s, at 5 frames/s."""
    path = tmp_path / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5, (320, 240))
    for name in NAMES:
        picture = cv2.resize(cv2.imread(str(PHOTOS / name)), (320, 240))
        for _ in range(15):
            writer.write(picture)
    writer.release()
    return path


def lines(capsys: pytest.CaptureFixture[str], *argv: object) -> list[dict[str, Any]]:
    assert main(["try", *map(str, argv), "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_two_runs_are_equal_and_follow_the_rules(
    config: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = lines(capsys, "-c", config, "--source", video)
    assert first == lines(capsys, "-c", config, "--source", video)
    assert [line["source"] for line in first] == [f"00:0{n}.00" for n in range(9)]
    decision = Decision(Rules(threshold=0.25, exit_threshold=0.175, votes=2, window=3, min_dwell_s=3))
    for line in first:
        findings = [Finding(each["label"], each["score"]) for each in line["top"]]
        news = decision.update(findings, line["at_s"])
        assert (line["decision"], line["news"]) == (decision.label, [change.type for change in news])
    assert [line["decision"] for line in first if line["news"]] == ["Egyptian cat", "espresso", "tripod"]


def test_only_what_moves_is_judged_in_the_recordings_own_time(
    config: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text("pipelines: {a: {source: {kind: v4l2, interval_s: 1}, motion: {hold_s: 0}}}\n")
    judged = lines(capsys, "-c", config, "--source", video)
    assert judged == lines(capsys, "-c", config, "--source", video)
    assert [line["source"] for line in judged if line.get("left_out") == "still"] == ["00:02.00", "00:05.00",
        "00:08.00"]  # fmt: skip
    times = [line["source"] for line in judged if "left_out" not in line]
    assert times == [f"00:0{n}.00" for n in (0, 1, 2, 3, 4, 5, 6, 7)], "and each picture before a movement"


def test_the_daemon_decides_the_same(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(f"pipelines: {{a: {{source: {{kind: folder, path: {PHOTOS}, loop: false}}}}}}\n")
    tried = [(line["decision"], *line["news"]) for line in lines(capsys, "-c", config)]

    async def scenario() -> list[tuple[str, str]]:
        source = {"kind": "folder", "path": str(PHOTOS), "loop": False}
        async with Crew({"a": section(source)}, results=False) as crew:
            await crew.until(lambda: crew.status("a").state == "ended")
            return [(outcome.label, outcome.type) for _, outcome in crew.outcomes]

    assert tried == asyncio.run(scenario())


def test_objects_are_decided_each_by_itself(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.tflite").write_bytes(detector())
    (tmp_path / "l.txt").write_text("\n".join(LABELS))
    config.write_text(
        "pipelines: {p: {source: {kind: v4l2, device: auto}, model: {file: m.tflite, labels: l.txt}, "
        "task: {kind: detect}}}\n"
    )
    red, green = (0, 0, 255), (0, 255, 0)
    (tmp_path / "photos").mkdir()
    for number, things in enumerate(([], [red], [red, red, green], [green], [])):
        picture = np.zeros((64, 64, 3), np.uint8)
        picture[0, 0] = 40  # a picture without any light is left out
        for n, colour in enumerate(things):
            picture[8:16, 16 * n + 8 : 16 * n + 16] = colour
        cv2.imwrite(str(tmp_path / "photos" / f"{number}.png"), picture)
    found = lines(capsys, "-c", config, "--source", tmp_path / "photos")
    decided = ["unknown", "red", "green, red: 2", "green", "unknown"]
    assert [line["decision"] for line in found if "left_out" not in line] == decided


def test_sound_is_tried_in_its_own_time(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_sound.write(tmp_path)
    config.write_text(
        "pipelines: {ear: {source: {kind: microphone, hop_s: 0.2}, model: {file: tones.tflite}, "
        "gate: {above_dbfs: -50}, decision: {votes: 2, window: 2}}}\n"
    )
    (tmp_path / "night").mkdir()
    parts = [np.zeros(16000), wav_files.tone(440, 1.0), np.zeros(16000)]
    wav_files.write(tmp_path / "night" / "a.wav", np.concatenate(parts))
    first = lines(capsys, "-c", config, "--source", tmp_path / "night")
    assert first == lines(capsys, "-c", config, "--source", tmp_path / "night" / "a.wav")
    news = [(line["source"], line["decision"]) for line in first if line["news"]]
    assert [decision for _, decision in news] == ["Silence", "Beep, bleep", "Silence"]
    assert ["00:01.20" <= at <= "00:01.60" for at, _ in news] == [False, True, False]


def test_text_is_tried_line_by_line_and_never_shown(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(
        "pipelines: {helper: {source: {kind: lines, command: [tail, -F, /x]}, task: {kind: text}, "
        "model: {name: replies}}}\n"
    )
    (tmp_path / "t.txt").write_text("hello there\n\n" + 300 * "thanks a lot\n" + "qwxyz")
    found = lines(capsys, "-c", config, "--source", tmp_path / "t.txt")
    assert [line["source"] for line in found] == ["line 1", *(f"line {n}" for n in range(3, 304))]
    assert found[-1]["decision"] == "unknown"
    assert found[1]["decision"] == found[300]["decision"] != "unknown"
    assert "thanks" not in json.dumps([line["source"] for line in found])
    assert main(["try", "-c", str(config)]) == 66
    assert "what a program prints is not a recording" in capsys.readouterr().err


def test_a_person_reads_a_line_a_picture_and_a_sum(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["try", "-c", str(config), "--source", str(PHOTOS)]) == 0
    first, *_, last, news = capsys.readouterr().out.splitlines()
    assert first.split(maxsplit=1)[0] == "01-cat.jpg"
    assert first.endswith(" 0.77 → unknown")
    assert (last, news) == ("3 pictures over 2.0 s: unknown 3", "news: start 0, change 0, end 0")


def test_what_is_expected_is_compared(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expect = tmp_path / "expect.jsonl"
    expect.write_text("".join(f'{{"source": "{name}", "decision": "unknown"}}\n' for name in NAMES))
    argv = ["try", "-c", str(config), "--source", str(PHOTOS), "--expect", str(expect)]
    assert main(argv) == 0
    assert capsys.readouterr().out.startswith("3 pictures")
    expect.write_text(expect.read_text().replace("unknown", "Egyptian cat", 1))
    assert main(argv) == 1
    assert capsys.readouterr().out.splitlines()[:4] == [
        "--- expected",
        "+++ decided",
        "-01-cat.jpg: Egyptian cat",
        "+01-cat.jpg: unknown",
    ]


def test_masks_and_pictures_that_cannot_be_read_are_left_out_by_name(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(PHOTOS / NAMES[0], folder / "a.jpg")
    (folder / "b.jpg").write_bytes(b"\xff\xd8\xff not a photograph")
    cv2.imwrite(str(folder / "c.png"), np.zeros((64, 64, 3), np.uint8))
    assert main(["try", "-c", str(config), "--source", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert "b.jpg is left out" in err
    assert "left out: black" in out
    config.write_text(
        "pipelines:\n  p: {source: {kind: v4l2, device: auto, mask: [[[0, 0], [1, 0], [1, 1], [0, 1]]]}}\n"
    )
    assert main(["try", "-c", str(config), "--source", str(PHOTOS), "--count", "1"]) == 0
    assert "left out: black" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--pipeline", "p"], "--pipeline needs -c"),
        (["--expect", "f"], "--expect needs -c"),
        (["-c", "CONFIG", "--model", "m.tflite"], "-c and --model do not go together"),
        (["-c", "CONFIG", "--broker", "b"], "-c and --broker do not go together"),
        (["-c", "CONFIG", "--normalize", "0..1"], "the configuration says how the model runs"),
    ],
)
def test_options_that_do_not_go_together(
    config: Path, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["try", *(str(config) if word == "CONFIG" else word for word in options)])
    assert stopped.value.code == 64
    assert sentence in capsys.readouterr().err


def test_a_folder_without_pictures_is_66(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["try", "-c", str(config), "--source", str(tmp_path / "empty")]) == 66
    assert "edged: " in capsys.readouterr().err
