"""Measures edged against bare ``invoke()`` and a careful user's loop, in one run, interleaved: prints ratios.

    python tests/bench/throughput.py                 about three minutes; a table
    python tests/bench/throughput.py --json out.json --seconds 2 --rounds 1 --parts throughput,many

Machines are noisy, so every figure is the median of rounds in which the rivals take turns. Needs the models
of ../shared/testdata, or --models DIR with mobilenet_v2_1.0_224_quant.tflite,
mobilenet_v1_0.25_128_quant.tflite and imagenet_labels.txt somewhere below it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import daemon
import psutil

from edged.config import loader
from edged.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edged.ipc import worker_messages
    from edged.supervisor import PipelineStatus

HERE = Path(__file__).resolve().parent
MODELS = {
    "MobileNet v2 1.0/224": "mobilenet_v2_1.0_224_quant.tflite",
    "MobileNet v1 0.25/128": "mobilenet_v1_0.25_128_quant.tflite",
}
DETECTOR, OBJECTS = "ssd_mobilenet_v1.tflite", "coco_labels.txt"
PARTS = ("throughput", "detect", "many", "memory", "latency", "recovery", "start")
SOURCE = "{kind: synthetic, size: [640, 480], interval_s: 0}"


class Bench:
    """The models, the patience, and what was measured."""

    def __init__(self, models: Path, seconds: float, rounds: int) -> None:
        self.models = {name: next(models.rglob(file)) for name, file in MODELS.items()}
        self.labels = next(models.rglob("imagenet_labels.txt"))
        self._folder = models
        self.seconds = seconds
        self.rounds = rounds
        self.results: dict[str, Any] = {}

    def file(self, name: str) -> Path:
        """Return the file of this name."""
        return next(self._folder.rglob(name))

    def yaml(self, model: Path, count: int, source: str = SOURCE) -> str:
        line = f"source: {source}, model: {{file: {model}, labels: {self.labels}, threads: 1}}"
        return "pipelines:\n" + "".join(f"  p{n}: {{{line}}}\n" for n in range(count))

    def plain(self, what: str, model: Path, *more: str) -> float:
        command = [sys.executable, str(HERE / "plain.py"), what, str(model), str(self.labels)]
        answer = subprocess.run(
            [*command, str(self.seconds), *more], capture_output=True, text=True, check=True
        )
        return float(answer.stdout.split()[0])

    def pipelines(self, model: Path, count: int) -> tuple[float, list[PipelineStatus]]:
        """Return frames a second of all pipelines together, flat out, and what each says of itself."""
        config = loader.loads(self.yaml(model, count), "bench", Path("/"))
        return asyncio.run(_flat_out(config.pipelines, self.seconds))

    def bundled(self) -> float:
        """Return frames a second of one pipeline with the bundled classifier, flat out."""
        config = loader.loads(
            f"pipelines: {{p: {{source: {SOURCE}, model: {{threads: 1}}}}}}\n", "bench", Path("/")
        )
        return asyncio.run(_flat_out(config.pipelines, self.seconds))[0]


class Silent:
    """A listener that has nothing to do."""

    def outcome(self, outcome: worker_messages.Outcome, status: PipelineStatus) -> None:
        """Nothing."""

    def changed(self, status: PipelineStatus) -> None:
        """Nothing."""


async def _flat_out(sections: Mapping[str, Any], seconds: float) -> tuple[float, list[PipelineStatus]]:
    supervisor = Supervisor(sections, listener=Silent())
    await supervisor.start()
    await supervisor.settle(60)
    await asyncio.sleep(1)
    rates = await asyncio.gather(*(_rate(supervisor, name, seconds) for name in sections))
    statuses = list(supervisor.status().values())
    await supervisor.stop(3)
    return sum(rates), statuses


async def _rate(supervisor: Supervisor, name: str, seconds: float) -> float:
    """Count from one report of the worker to another: between them nothing is known."""

    async def report(after: int) -> tuple[int, float]:
        while (frames := supervisor.status()[name].frames) <= after:  # noqa: ASYNC110 - a look costs nothing
            await asyncio.sleep(0.002)
        return frames, time.perf_counter()

    first, began = await report(supervisor.status()[name].frames)
    await asyncio.sleep(seconds)
    last, ended = await report(supervisor.status()[name].frames)
    return (last - first) / (ended - began)


def throughput(bench: Bench) -> None:
    """One pipeline, one thread: against bare invoke() and a careful loop."""
    print("\nthroughput, frames a second, 1 thread, from 640x480 (ratio to bare invoke)")
    for name, model in bench.models.items():
        bare, careful, edged, added = [], [], [], []
        for _ in range(bench.rounds):
            before = bench.plain("bare", model)
            rate, statuses = bench.pipelines(model, 1)
            careful.append(bench.plain("careful", model))
            bare.append((before + bench.plain("bare", model)) / 2)
            edged.append(rate)
            added.append((1 / rate - 1 / bare[-1]) * 1000)
        ratios = [e / b for e, b in zip(edged, bare, strict=True)]
        others = [c / b for c, b in zip(careful, bare, strict=True)]
        row = {
            "bare": median(bare), "edged": median(edged), "careful": median(careful),
            "ratio": median(ratios), "ratio_careful": median(others), "added_ms": median(added),
            "capture_ms": statuses[0].capture_p50_ms, "invoke_p50_ms": statuses[0].invoke_p50_ms,
        }  # fmt: skip
        bench.results.setdefault("throughput", {})[name] = row
        print(
            f"  {name:22s} bare {row['bare']:7.1f}   edged {row['edged']:7.1f} ({row['ratio']:.3f})   "
            f"careful loop {row['careful']:7.1f} ({row['ratio_careful']:.3f})   "
            f"added a frame {row['added_ms']:.3f} ms, capture {row['capture_ms']:.2f} ms beside invoke"
        )


def detect(bench: Bench) -> None:
    """One pipeline that detects objects: its speed against bare invoke(), and its memory."""
    model, labels = bench.file(DETECTOR), bench.file(OBJECTS)
    line = f"model: {{file: {model}, labels: {labels}, threads: 1}}, task: {{kind: detect}}"
    ratios = []
    for _ in range(bench.rounds):
        before = bench.plain("bare", model)
        config = loader.loads(f"pipelines: {{p: {{source: {SOURCE}, {line}}}}}\n", "bench", Path("/"))
        rate, _ = asyncio.run(_flat_out(config.pipelines, bench.seconds))
        ratios.append(2 * rate / (before + bench.plain("bare", model)))
    source = "{kind: synthetic, size: [640, 480], interval_s: 0.2}"
    pss = _pss(f"pipelines:\n  p: {{source: {source}, {line}}}\n", 1)
    row = {"frames_s": rate, "ratio": median(ratios), "pss": pss}
    bench.results["detect"] = row
    print(
        f"\ndetect, SSD MobileNet v1: {rate:.1f} frames/s ({row['ratio']:.3f} of bare), all {pss:.1f} MB PSS"
    )


def _pss(yaml: str, count: int) -> float:
    """Return the memory of a daemon with this many pipelines, in MB."""
    with daemon.Daemon(yaml) as running:
        running.subscriber.wait_online(count)
        time.sleep(4)
        return sum(p.memory_full_info().pss for p in running.processes()) / 1e6


def many(bench: Bench) -> None:
    """Several pipelines at once: their sum against threads of one process, bare and careful."""
    print(
        "\nseveral pipelines at once, frames a second in all, MobileNet v2 (ratio to threads of one process)"
    )
    model = bench.models["MobileNet v2 1.0/224"]
    for count in (1, 2, 4, 8):
        rates: dict[str, list[float]] = {"bare": [], "careful": []}
        edged = []
        for _ in range(bench.rounds):
            before = {what: bench.plain(what, model, str(count)) for what in rates}
            edged.append(bench.pipelines(model, count)[0])
            for what, seen in rates.items():
                seen.append((before[what] + bench.plain(what, model, str(count))) / 2)
        ratio = {
            what: median([e / r for e, r in zip(edged, seen, strict=True)]) for what, seen in rates.items()
        }
        bench.results.setdefault("many", {})[str(count)] = {
            "edged": median(edged), "ratio": ratio, **{what: median(seen) for what, seen in rates.items()}
        }  # fmt: skip
        print(
            f"  {count}: edged {median(edged):7.1f}   careful threads {median(rates['careful']):7.1f} "
            f"({ratio['careful']:.3f})   bare threads {median(rates['bare']):7.1f} ({ratio['bare']:.3f})"
        )


def memory(bench: Bench) -> None:
    """The daemon with 1 to 8 pipelines at five frames a second."""
    print("\nmemory in MB: RSS of main and of a worker, PSS of all processes")
    source = "{kind: synthetic, size: [640, 480], interval_s: 0.2}"
    totals = {}
    for count in (1, 2, 4, 8):
        yaml = bench.yaml(bench.models["MobileNet v2 1.0/224"], count, source)
        with daemon.Daemon(yaml) as running:
            running.subscriber.wait_online(count)
            time.sleep(4)
            processes = running.processes()
            pss = sum(p.memory_full_info().pss for p in processes) / 1e6
            main = processes[0].memory_info().rss / 1e6
            worker = max(p.memory_info().rss for p in processes[1:]) / 1e6
        totals[count] = pss
        bench.results.setdefault("memory", {})[str(count)] = {
            "main_rss": main, "worker_rss": worker, "pss": pss
        }  # fmt: skip
        print(f"  {count}: main {main:5.1f}   worker {worker:5.1f}   all {pss:6.1f}")
    bench.results["memory"]["each_further"] = (totals[8] - totals[1]) / 7
    print(f"  each further pipeline {bench.results['memory']['each_further']:.1f}")


def latency(bench: Bench) -> None:
    """Decision made to message at a local subscriber, with a real broker; ts has whole milliseconds."""
    # Every finding is news here: the label changes with each photograph.
    source = "{kind: folder, path: PHOTOS, interval_s: 0.02}".replace("PHOTOS", str(daemon.PHOTOS))
    with daemon.Daemon(bench.yaml(bench.models["MobileNet v2 1.0/224"], 1, source)) as running:
        delays = running.subscriber.delays(count=1000, timeout_s=90)  # one stall of the disk is 5 of them
    row = {"p50_ms": median(delays), "p99_ms": _share(delays, 0.99), "count": len(delays)}
    bench.results["latency"] = row
    print(f"\ndecided -> subscriber: p50 {row['p50_ms']:.2f} ms, p99 {row['p99_ms']:.2f} ms")


def recovery(bench: Bench) -> None:
    """Worker killed to the next result."""
    source = "{kind: synthetic, interval_s: 0.01}, publish: {result: true}"
    took = []
    with daemon.Daemon(bench.yaml(bench.models["MobileNet v2 1.0/224"], 1, source)) as running:
        for _ in range(5):
            running.subscriber.wait_result()
            worker = running.worker()
            began = time.time()
            worker.kill()
            psutil.wait_procs([worker], timeout=5)
            took.append(running.subscriber.wait_result(after=began + 0.005) - began)
            time.sleep(2.5)
    bench.results["recovery_s"] = took
    print(f"\nworker killed -> next result: {', '.join(f'{s * 1000:.0f}' for s in took)} ms")


def start(bench: Bench) -> None:
    """Cold start to READY=1, and what `edged --help` takes."""
    yaml = bench.yaml(bench.models["MobileNet v2 1.0/224"], 1)
    ready = []
    for _ in range(bench.rounds):
        with daemon.Daemon(yaml) as running:
            ready.append(running.ready_s)
    helps = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([daemon.EDGED, "--help"], stdout=subprocess.DEVNULL, check=True)
        helps.append(time.perf_counter() - began)
    bench.results["start"] = {"ready_s": median(ready), "help_s": min(helps)}
    print(f"\nstart -> READY {median(ready):.2f} s; edged --help {min(helps) * 1000:.0f} ms")


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def _share(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    default = HERE.parents[2] / "shared" / "testdata"
    parser.add_argument("--models", type=Path, default=default, help="a folder with the models")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="of each comparison")
    parser.add_argument("--parts", default=",".join(PARTS), help="which, with commas: " + ", ".join(PARTS))
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    bench = Bench(options.models, options.seconds, options.rounds)
    parts = {f.__name__: f for f in (throughput, detect, many, memory, latency, recovery, start)}
    for part in options.parts.split(","):
        parts[part](bench)
    text = json.dumps(bench.results, indent=1)
    if options.json is not None:
        options.json.write_text(text + "\n", "utf-8")
    else:
        print("\n" + text)


if __name__ == "__main__":
    main()
