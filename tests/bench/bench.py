"""Measures the speed of edged beside its peers, in one run, interleaved: prints ratios.

    python tests/bench/bench.py                              about four minutes; a table
    python tests/bench/bench.py --mediapipe PYTHON           … beside MediaPipe Tasks, which that Python has
    python tests/bench/bench.py --parts pictures,rest --json out.json

* pictures: a JPEG of 1920x1080 to the tensor of a model, CPU time decoded small against decoded whole.
* mask: blacking out two polygons of a picture, in milliseconds.
* peers: one pipeline against bare invoke(), a careful loop, a loop as in pycoral's examples, MediaPipe Tasks.
* many: 2 and 8 pipelines against as many threads of one process, in frames a second.
* motion: CPU time of a worker at 10 pictures a second of a still scene, without and with a motion gate.
* shared: four pipelines of one camera against four that have a camera each.
* sound: CPU time of a microphone with YAMNet, beside what the same costs in silence, without its runs.
* replay: how much faster than real time `edged try -c` judges a video, and that two runs are equal.
* rest: CPU time and wake-ups of main and of the worker, at rest and at one frame a second.

Machines are noisy, so read the ratios. The models are those of ``tests/bench/throughput.py``.
"""

from __future__ import annotations

import argparse
import functools
import json
import logging
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import daemon
import numpy as np
import shared_camera
import throughput
from throughput import HERE, Bench

from edged.inference.preprocess import Preparer
from edged.models import bundled
from edged.models.spec import PictureInput
from edged.models.tensor import Tensor
from edged.sources import Frame, jpeg
from edged.testing.arecord import FakeRecorder
from edged.worker.masking import Mask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import psutil

PARTS = ("pictures", "mask", "peers", "many", "motion", "shared", "sound", "replay", "rest")
V2 = "MobileNet v2 1.0/224"


def pictures(bench: Bench) -> None:
    """From the bytes of a photograph in 1920x1080 to the tensor, in milliseconds of CPU time."""
    print("\na JPEG of 1920x1080 to a tensor, ms of CPU time, and the ratio to decoding all of it")
    cv2.setNumThreads(1)
    for side in (224, 128, 96):
        spec = PictureInput(side, side, 3, Tensor("picture", (1, side, side, 3), "uint8", 1 / 128, 128))
        shrink = jpeg.shrink((1920, 1080), (side, side))
        photographs = [_large(path) for path in sorted(bundled.PHOTOS.glob("*.jpg"))]
        whole, small = (
            sum(_least(functools.partial(_prepare, Preparer(spec), data, by)) for data in photographs) / 3
            for by in (1, shrink)
        )
        bench.results.setdefault("pictures", {})[str(side)] = {
            "whole_ms": whole, "small_ms": small, "ratio": small / whole
        }  # fmt: skip
        print(f"  {side:3d}: whole {whole:5.2f}   1/{shrink} {small:5.2f} ({small / whole:.3f})")


def _large(path: Path) -> bytes:
    picture = cv2.resize(cv2.imread(str(path)), (1920, 1080), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, 90))[1].tobytes()


def _prepare(preparer: Preparer, data: bytes, shrink: int) -> None:
    pixels = jpeg.decode(data, shrink)
    assert pixels is not None
    preparer.prepare(Frame(pixels, 0.0, shrink=shrink))


def _least(step: Callable[[], object], clock: Callable[[], float] = time.thread_time) -> float:
    def once() -> float:
        began = clock()
        step()
        return (clock() - began) * 1000

    return min(once() for _ in range(12))


def blacking(bench: Bench) -> None:
    """Black out two polygons, a third of the picture, in its own place and in a copy of it."""
    print("\na mask of two polygons, ms a picture: in its place, and in a copy")
    polygons = [[[0, 0], [0.3, 0], [0.2, 1], [0, 1]], [[0.7, 0], [1, 0], [1, 0.4]]]
    for width, height in ((640, 480), (1920, 1080)):
        masked, picture = Mask(polygons), np.full((height, width, 3), 255, np.uint8)
        held = picture.copy()
        held.flags.writeable = False
        placed, copied = (
            _least(functools.partial(masked.apply, pixels), time.perf_counter) for pixels in (picture, held)
        )
        bench.results.setdefault("mask", {})[f"{width}x{height}"] = {"placed_ms": placed, "copied_ms": copied}
        print(f"  {width}x{height}: {placed:.3f} and {copied:.3f}")


def peers(bench: Bench, mediapipe: str | None) -> None:
    """One pipeline, flat out, against each peer of the same round."""
    print("\none pipeline, frames a second, 1 thread (ratio of edged to each)")
    for name, model in bench.models.items():
        rates: dict[str, list[float]] = {"bare": [], "careful": [], "pycoral": []}
        edged = []
        for _ in range(bench.rounds):
            edged.append(bench.pipelines(model, 1)[0])
            for what, seen in rates.items():
                seen.append(bench.plain(what, model))
        _print_row(bench, name, edged, rates)
    if mediapipe is not None:
        edged, seen = [], []
        for _ in range(bench.rounds):
            edged.append(bench.bundled())
            command = [mediapipe, str(HERE / "mediapipe_loop.py"), str(bundled.MODEL), str(bench.seconds)]
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
            seen.append(float(answer.stdout))
        _print_row(bench, "the bundled classifier", edged, {"mediapipe": seen})


def _print_row(bench: Bench, name: str, edged: Sequence[float], rates: dict[str, list[float]]) -> None:
    ratios = {
        what: throughput.median([e / r for e, r in zip(edged, seen, strict=True)])
        for what, seen in rates.items()
    }
    bench.results.setdefault("peers", {})[name] = {"edged": throughput.median(edged), "ratios": ratios}
    words = "   ".join(
        f"{what} {throughput.median(rates[what]):7.1f} ({ratio:.3f})" for what, ratio in ratios.items()
    )
    print(f"  {name:22s} edged {throughput.median(edged):7.1f}   {words}")


def many(bench: Bench) -> None:
    """Several pipelines against as many threads of one careful process."""
    print("\nseveral pipelines, frames a second in all (ratio to threads of one process)")
    for count in (2, 8):
        rates: dict[str, list[float]] = {"careful": [], "pycoral": []}
        edged = []
        for _ in range(bench.rounds):
            edged.append(bench.pipelines(bench.models[V2], count)[0])
            for what, seen in rates.items():
                seen.append(bench.plain(what, bench.models[V2], str(count)))
        _print_row(bench, f"{count} pipelines", edged, rates)


def motion(bench: Bench) -> None:
    """A photograph again and again: classified each time, and looked at by the motion gate."""
    print("\na still scene at 10 pictures a second, ms of CPU time a second of the worker")
    with tempfile.TemporaryDirectory() as folder:
        photograph = Path(folder) / "still.png"
        cv2.imwrite(str(photograph), cv2.resize(cv2.imread(str(bundled.PHOTO)), (640, 480)))
        source = f"{{kind: folder, path: {photograph}, interval_s: 0.1}}"
        for name, model in bench.models.items():
            used = {}
            for what, keys in (("classified", ""), ("gated", ", motion: {hold_s: 0}")):
                with daemon.Daemon(bench.yaml(model, 1, source + keys)) as running:
                    running.subscriber.wait_online(1)
                    time.sleep(3)
                    used[what] = _watched({"worker": running.worker()}, 10)["worker"]["cpu_ms"]
            ratio = used["gated"] / used["classified"]
            bench.results.setdefault("motion", {})[name] = used | {"ratio": ratio}
            print(f"  {name:22s} {used['classified']:6.1f}   gated {used['gated']:6.1f} ({ratio:.3f})")


def shared(bench: Bench) -> None:
    """Four pipelines of one camera against four that have a camera each, at a pace and flat out."""
    print("\nfour pipelines with a camera of 1280x720 each, and of one camera (ratios)")
    v2 = {"file": str(bench.models[V2]), "labels": str(bench.labels)}
    with tempfile.TemporaryDirectory(prefix="edged-bench-") as folder:
        for camera, keys in shared_camera.cameras(Path(folder)).items():
            for pace, interval_s in (("5 a second", 0.2), ("flat out", 0.0)):
                rows = shared_camera.measure({**keys, "interval_s": interval_s}, v2, 2 * bench.seconds)
                bench.results.setdefault("shared", {})[f"{camera}, {pace}"] = rows
                words = "   ".join(
                    f"{what} {rows['separate'][key]:.1f} and {rows['shared'][key]:.1f} "
                    f"({rows['shared'][key] / rows['separate'][key]:.2f})"
                    for what, key in shared_camera.FIGURES.items()
                )
                print(f"  {camera}, {pace}: {words}")


def sound(bench: Bench) -> None:
    """A microphone at 16 kHz and two windows a second: with YAMNet, and in silence behind a gate."""
    print("\na microphone, ms of CPU time a second and wake-ups a second of the worker")
    model = next(iter(bench.models.values())).parent / "yamnet_audio_classifier_with_metadata.tflite"
    with tempfile.TemporaryDirectory() as folder:
        fake = FakeRecorder(Path(folder))
        source = f"{{kind: microphone, device: plughw:1, program: {fake.path}, hop_s: 0.5}}"
        for what, does, keys in (
            ("heard", "tone 440 0.1", ""),
            ("quiet", "tone 440 0.001", ", gate: {above_dbfs: -40, hold_s: 0}"),
        ):
            fake.does(does)
            pipeline = f"pipelines: {{p: {{source: {source}, model: {{file: {model}}}{keys}}}}}\n"
            with daemon.Daemon(pipeline) as running:
                running.subscriber.wait_online(1)
                time.sleep(3)
                rows = _watched({"worker": running.worker(), "main": running.processes()[0]}, 20)
            bench.results.setdefault("sound", {})[what] = rows
            words = (
                f"{who} {row['cpu_ms']:5.2f} ms, {row['wakeups']:5.1f} wake-ups" for who, row in rows.items()
            )
            print(f"  {what:6s} {'   '.join(words)}")


def replay(bench: Bench) -> None:
    """A video of 25 frames/s, judged once a second of it."""
    print("\na video on `edged try -c`, times real time")
    with tempfile.TemporaryDirectory() as name:
        folder, seconds = Path(name), 120
        (folder / "edged.yaml").write_text("pipelines: {p: {source: {kind: v4l2, device: auto}}}\n")
        for width, height in ((640, 480), (1920, 1080)):
            video = folder / f"{width}.mp4"
            _film(video, width, height, 25 * seconds)
            command = [
                sys.executable,
                "-m",
                "edged",
                "try",
                "-c",
                "edged.yaml",
                "--source",
                str(video),
                "--json",
            ]
            lines, took = [], []
            for _ in range(2):
                began = time.monotonic()
                lines.append(subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=True).stdout)
                took.append(time.monotonic() - began)
            times = seconds / min(took)
            equal = lines[0] == lines[1]
            bench.results.setdefault("replay", {})[f"{width}x{height}"] = {"times": times, "equal": equal}
            print(f"  {width}x{height}: {times:.0f}, two runs are {'equal' if equal else 'NOT equal'}")


def _film(path: Path, width: int, height: int, frames: int) -> None:
    """Write the bundled photographs, 5 s each, with a little noise."""
    photographs = [cv2.imread(str(photo)) for photo in sorted(bundled.PHOTOS.glob("*.jpg"))]
    pictures = [cv2.resize(photograph, (width, height)) for photograph in photographs]
    noise = np.random.default_rng(0).integers(0, 8, (4, height, width, 3), np.uint8)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (width, height))
    for number in range(frames):
        writer.write(cv2.add(pictures[number // 125 % len(pictures)], noise[number % 4]))
    writer.release()


def rest(bench: Bench) -> None:
    """The daemon with one pipeline: at rest, and at one frame a second."""
    print("\nCPU time (ms a second) and wake-ups a second")
    for name, interval_s in (("at rest", 86400), ("1 frame a second", 1)):
        yaml = bench.yaml(
            bench.models[V2], 1, f"{{kind: synthetic, size: [640, 480], interval_s: {interval_s}}}"
        )
        with daemon.Daemon(yaml) as running:
            running.subscriber.wait_online(1)
            time.sleep(5)
            rows = _watched({"main": running.processes()[0], "worker": running.worker()}, 10)
        bench.results.setdefault("rest", {})[name] = rows
        words = "   ".join(
            f"{who} {row['cpu_ms']:5.2f} ms, {row['wakeups']:5.1f} wake-ups" for who, row in rows.items()
        )
        print(f"  {name:17s} {words}")


def _watched(processes: dict[str, psutil.Process], seconds: float) -> dict[str, dict[str, float]]:
    def look() -> dict[str, tuple[float, int]]:
        return {who: (sum(p.cpu_times()[:2]), _switches(p)) for who, p in processes.items()}

    before = look()
    time.sleep(seconds)
    after = look()
    return {
        who: {
            "cpu_ms": (after[who][0] - before[who][0]) / seconds * 1000,
            "wakeups": (after[who][1] - before[who][1]) / seconds,
        }
        for who in processes
    }


def _switches(process: psutil.Process) -> int:
    """Return how often its threads began to wait, which is how often they were woken."""
    count = 0
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        lines = (task / "status").read_text("ascii", "replace").splitlines()
        count += next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt"))
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    default = HERE.parents[2] / "shared" / "testdata"
    parser.add_argument("--models", type=Path, default=default, help="a folder with the models")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="of each comparison")
    parser.add_argument("--parts", default=",".join(PARTS), help="which, with commas: " + ", ".join(PARTS))
    parser.add_argument("--mediapipe", help="a Python that has the package mediapipe")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # the labels of these models have two cranes, and each pipeline says so
    bench = Bench(options.models, options.seconds, options.rounds)
    parts: dict[str, Callable[[], Any]] = {
        "pictures": lambda: pictures(bench),
        "mask": lambda: blacking(bench),
        "peers": lambda: peers(bench, options.mediapipe),
        "many": lambda: many(bench),
        "motion": lambda: motion(bench),
        "shared": lambda: shared(bench),
        "sound": lambda: sound(bench),
        "replay": lambda: replay(bench),
        "rest": lambda: rest(bench),
    }
    for part in options.parts.split(","):
        parts[part]()
    if options.json is not None:
        options.json.write_text(json.dumps(bench.results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
