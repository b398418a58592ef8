"""``edged bench``: accuracy, latency and size of classifiers on this board, to choose between them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.cli import model_options, terminal
from edged.cli.progress import Bar, Notes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

NAME = "bench"
HELP = "measure accuracy, speed and size of .tflite classifiers on this board"
WIDTH = 200
MAX_THREADS, MAX_SECONDS, MAX_BUDGET_MS = 64, 3600.0, 1e6
NARROW, MIN_NAME = 100, 16  # columns: a narrower terminal gets fewer figures; width of the first column
_CONFUSED = 5  # labels that a label was taken for
_ACCELERATORS = {"cpu": "", "edgetpu": "Edge TPU", "external": "external"}
_NUMBERS = ("threads", "p50", "p95", "prepare", "top-1", "95 %", "top-5", "file", "memory")
_ONLY_WIDE = frozenset({"prepare", "95 %", "top-5", "file"})  # left out on a narrow terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "models",
        metavar="MODEL",
        type=Path,
        nargs="*",
        help="a .tflite file, the name of an installed model, or the folder of a taught one (default: the "
        "bundled classifier)",
    )
    parser.add_argument(
        "--labels",
        metavar="F",
        type=Path,
        help="one label a line, for all models (default: the labels packed in each model)",
    )
    parser.add_argument(
        "--images",
        metavar="DIR",
        type=Path,
        help="photographs as DIR/LABEL/*.jpg (or sound as DIR/LABEL/*.wav), and DIR/unknown/ with what no "
        "label fits; default: the bundled photographs (noise for a model of sound), without accuracy figures",
    )
    parser.add_argument(
        "--threads", metavar="1,2", type=_threads, default=(), help="default: cores, at most 4"
    )
    parser.add_argument(
        "--runtime",
        choices=("auto", "litert", "tflite-runtime", "all"),
        default="auto",
        help="all: every installed runtime (default auto: the best one)",
    )
    parser.add_argument(
        "--seconds", metavar="S", type=_seconds, default=3.0, help="length of each measurement (default 3)"
    )
    model_options.configure(parser)
    parser.add_argument(
        "--thresholds",
        action="store_true",
        help="with --images: which labels are confused, what each threshold would do, and the line to write",
    )
    parser.add_argument(
        "--budget-ms",
        metavar="N",
        type=_budget,
        help="name the most accurate model whose median latency is within this; exit status 1 where none is",
    )
    parser.add_argument("--json", metavar="F", help="write the results to this file; - is standard output")
    parser.add_argument(
        "--delegate", metavar="LIBRARY", default="", help="measure on this external delegate of TFLite, too"
    )
    parser.add_argument(
        "--delegate-option",
        metavar="KEY=VALUE",
        type=_option,
        action="append",
        default=[],
        help="an option of that library; may be repeated",
    )
    parser.add_argument(
        "--plot", metavar="F", type=Path, help="draw a chart, .png or .svg; needs the extra edged[plot]"
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure, show and write the results; return 1 where a model could not be measured."""
    from edged.models import bundled
    from edged.tools import bench

    options = bench.Options(
        models=tuple(dict.fromkeys(arguments.models)) or (bundled.MODEL,),
        labels=arguments.labels,
        images=arguments.images,
        threads=arguments.threads,
        runtime=arguments.runtime,
        seconds=arguments.seconds,
        json=arguments.json,
        plot=arguments.plot,
        model_keys=model_options.keys(arguments),
        delegate=arguments.delegate,
        delegate_options=tuple(arguments.delegate_option),
        thresholds=arguments.thresholds,
        budget_ms=arguments.budget_ms,
    )
    work = bench.Bench(options)
    with _watcher() as watcher:
        report = work.measure(watcher)
    if arguments.json != "-":
        _show(report)
    work.write(report)
    none_fits = arguments.budget_ms is not None and report["best"] is None
    return int(none_fits or any(result["error"] for result in report["results"]))


def _budget(text: str) -> float:
    try:
        budget = float(text)
    except ValueError:
        budget = 0.0
    if not 0 < budget < MAX_BUDGET_MS:
        raise argparse.ArgumentTypeError(f"{text}: write a number of milliseconds above 0")
    return budget


def _threads(text: str) -> tuple[int, ...]:
    numbers = text.split(",")
    if not all(n.isascii() and n.isdecimal() and 1 <= int(n) <= MAX_THREADS for n in numbers):
        raise argparse.ArgumentTypeError(f"{text}: write numbers from 1 to {MAX_THREADS}, such as 1,2")
    return tuple(dict.fromkeys(map(int, numbers)))


def _option(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text}: write KEY=VALUE")
    return key, value


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{text}: write a number above 0, at most {MAX_SECONDS:g}")
    return seconds


class Quiet(Notes):
    """Progress where nobody watches: prints only warnings."""

    def begin(self, steps: int) -> None:
        """Print nothing."""

    def step(self, words: str) -> None:
        """Print nothing."""

    def progress(self, part: float) -> None:
        """Print nothing."""


class Steps(Bar):
    """A progress bar over the steps, on a terminal."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        super().__init__(
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:3.0f} %", table_column=Column(no_wrap=True)),
            TimeElapsedColumn(table_column=Column(no_wrap=True)),
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            expand=True,
        )
        self._started = 0

    def begin(self, steps: int) -> None:
        """Set the number of steps."""
        self._progress.update(self._task, total=steps)

    def step(self, words: str) -> None:
        """Show the next step."""
        self._progress.update(self._task, description=words, completed=self._started)
        self._started += 1

    def progress(self, part: float) -> None:
        """Show the progress of the current step; 0..1."""
        self._progress.update(self._task, completed=self._started - 1 + part)


def _watcher() -> Quiet | Steps:
    return Steps() if sys.stderr.isatty() else Quiet()


def _show(report: dict[str, Any]) -> None:
    machine = report["machine"]
    cores = f"{machine['cores']} core{'s' if machine['cores'] > 1 else ''}"
    board = ", ".join(filter(None, (machine["board"], machine["cpu"], cores, machine["architecture"])))
    console = terminal.console(WIDTH)
    console.print(board, markup=False, soft_wrap=True)
    console.print(_table(report["results"], narrow=console.width < NARROW))
    for result in _each_once(report["results"]):
        _show_thresholds(console, result)
    if "budget_ms" in report:
        terminal.print_line(_within(report["best"], report["budget_ms"]))


def _each_once(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the results with thresholds, one for each model: they hardly depend on runtime and threads."""
    found: dict[str, dict[str, Any]] = {}
    for result in results:
        if result.get("thresholds"):
            found.setdefault(result["model"], result)
    return list(found.values())


def _show_thresholds(console: Console, result: dict[str, Any]) -> None:
    from rich.table import Table

    from edged.tools.bench import line

    terminal.print_line("")
    terminal.print_line(result["model"])
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("label", "n", "right", "taken for"):
        table.add_column(column, justify="right" if column in {"n", "right"} else "left", overflow="fold")
    for label, row in result["labels"].items():
        others = ", ".join(f"{name} ({count})" for name, count in list(row["confused"].items())[:_CONFUSED])
        right = "" if row["right"] is None else str(row["right"])
        table.add_row(terminal.escape(label), str(row["n"]), right, terminal.escape(others))
    console.print(table)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("threshold", "right", "wrong", "unknown"):
        table.add_column(column, justify="right")
    for row in result["thresholds"]:
        table.add_row(f"{row['threshold']:.1f}", *(str(row[key]) for key in ("right", "wrong", "unknown")))
    console.print(table)
    if result["decision"] is None:
        terminal.print_line("no threshold decides more of them right than wrong: choose another model")
        return
    decided = result["decided"]
    said = f"{decided['right']} right, {decided['wrong']} wrong, {decided['unknown']} unknown"
    terminal.print_line(f"{line(result['decision'])}     # {said}")


def _within(best: dict[str, Any] | None, budget_ms: float) -> str:
    """Return which model is the best within a budget, as a sentence."""
    if best is None:
        return f"no model is within {budget_ms:g} ms"
    if not best["by"]:
        chosen = f"the fastest within {budget_ms:g} ms, as nothing is known of their accuracy (--images)"
        return f"{chosen}: {best['model']}, {best['p50_ms']:.2f} ms"
    how = f"{100 * best['accuracy']:.1f} % {best['by']}, {best['p50_ms']:.2f} ms"
    sentence = f"the best within {budget_ms:g} ms: {best['model']} ({how})"
    if best["as_good"]:
        others = ", ".join(best["as_good"])
        return f"{sentence}; on so few photographs no worse, and faster: {others}"
    return sentence


def _table(results: Sequence[dict[str, Any]], *, narrow: bool) -> Table:
    """Return the results, fastest first and failed ones last."""
    from rich.table import Table

    numbers = [name for name in _NUMBERS if not (narrow and name in _ONLY_WIDE)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", min_width=MIN_NAME, overflow="fold")
    table.add_column("runtime", no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    stems = {Path(result["model"]).stem for result in results}
    short = len(stems) == len({result["model"] for result in results})
    for result in sorted(results, key=lambda r: (r["error"] is not None, r["latency_ms"]["p50"] or 0)):
        path = Path(result["model"])
        name = path.stem if short else str(path)
        runtime = ", ".join(filter(None, (result["runtime"], _ACCELERATORS[result["accelerator"]])))
        cells = _cells(result)
        table.add_row(terminal.escape(name), runtime, *(cells[number] for number in numbers))
    return table


def _cells(result: dict[str, Any]) -> dict[str, str]:
    """Return the text of each column."""
    cells = dict.fromkeys(_NUMBERS, "") | {"threads": str(result["threads"])}
    if result["error"] is not None:
        return cells | {"p50": "[red]failed[/]"}
    latency = result["latency_ms"]
    cells |= {
        "p50": f"{latency['p50']:.2f} ms",
        "p95": f"{latency['p95']:.2f} ms",
        "prepare": f"{result['prepare_ms']['p50']:.2f} ms",
        "file": f"{result['size_bytes'] / 1e6:.1f} MB",
        "memory": f"{result['rss_mb']:.0f} MB",
    }
    for column, key in (("top-1", "top1"), ("top-5", "top5")):
        if result[key] is not None:
            cells[column] = f"{100 * result[key]:.1f} %"
    if result.get("top1_interval"):
        low, high = (100 * bound for bound in result["top1_interval"])
        cells["95 %"] = f"{low:.0f}-{high:.0f} %"
    return cells
