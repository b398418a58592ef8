from __future__ import annotations

import io
import os
from typing import Any

import pytest
from rich.console import Console

from edged.cli import bench
from edged.cli.main import main
from edged.tools.bench.thresholds import Said, report


def result(model: str, p50: float | None, **fields: Any) -> dict[str, Any]:
    return {
        "model": model,
        "runtime": "tflite-runtime",
        "threads": 2,
        "accelerator": "cpu",
        "top1": None,
        "top5": None,
        "latency_ms": {"p50": p50, "p95": p50},
        "prepare_ms": {"p50": 0.25, "p95": 1.0},
        "size_bytes": 3_577_760,
        "rss_mb": 90.6,
        "error": None if p50 else f"{model}: damaged",
    } | fields


def shown(results: list[dict[str, Any]], width: int) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width, highlight=False)
    console.print(bench._table(results, narrow=width < bench.NARROW))
    return file.getvalue().splitlines()


def test_results_are_sorted_by_latency_with_failures_last() -> None:
    results = [
        result("b.tflite", 20),
        result("c.tflite", None),
        result("a.tflite", 3.14159, top1=0.5, top5=1),
    ]
    _, *rows = shown(results, 120)
    assert [row.split()[0] for row in rows] == ["a", "b", "c"]
    assert (
        " ".join(rows[0].split()) == "a tflite-runtime 2 3.14 ms 3.14 ms 0.25 ms 50.0 % 100.0 % 3.6 MB 91 MB"
    )
    assert " ".join(rows[2].split()) == "c tflite-runtime 2 failed"


@pytest.mark.parametrize("width", [80, 120])
def test_names_stay_complete_on_a_narrow_terminal(width: int) -> None:
    name = "a_model_with_quite_a_long_name_for_a_column"
    lines = shown([result(f"{name}.tflite", 100.0, top1=1.0)], width)
    assert "".join(line.split(" ")[0] for line in lines[1:]) == name
    assert all(word in lines[0] for word in ("p50", "p95", "top-1", "memory"))
    assert max(map(len, lines)) <= width


def test_an_interval_is_shown_beside_the_accuracy() -> None:
    (line,) = shown([result("a.tflite", 1.0, top1=0.5, top5=1.0, top1_interval=[0.221, 0.779])], 120)[1:]
    assert (
        " ".join(line.split())
        == "a tflite-runtime 2 1.00 ms 1.00 ms 0.25 ms 50.0 % 22-78 % 100.0 % 3.6 MB 91 MB"
    )


def test_thresholds_are_shown_once_a_model_with_the_line_to_write(capsys: pytest.CaptureFixture[str]) -> None:
    told = report([Said("cat", "cat", 0.9, right=True), Said("cat", "dog", 0.4, right=False)])
    rows = [result("a.tflite", 1.0, threads=threads, top1=0.5, **told) for threads in (1, 2)]
    machine = {"board": None, "cpu": "cpu", "cores": 2, "architecture": "x86_64"}
    found = {"machine": machine, "results": [{"top5": 1.0, **row} for row in rows]}
    best = {"model": "a.tflite", "p50_ms": 1.0, "accuracy": 0.5, "by": "measured", "as_good": ["b.tflite"]}
    bench._show(found | {"budget_ms": 5.0, "best": best})
    printed = capsys.readouterr().out
    assert printed.count("a.tflite\n") == 1
    assert "cat    2      1  dog (1)" in printed
    assert "      0.5      1      0        1" in printed
    assert "decision: {threshold: 0.65}     # 1 right, 0 wrong, 1 unknown" in printed
    assert "the best within 5 ms: a.tflite (50.0 % measured, 1.00 ms); on so few" in printed
    assert bench._within(None, 5) == "no model is within 5 ms"
    guess = best | {"by": "", "accuracy": None}
    assert "the fastest within 5 ms, as nothing is known" in bench._within(guess, 5)


@pytest.mark.parametrize("words", ["--budget-ms 0", "--budget-ms soon"])
def test_a_budget_is_a_number(capsys: pytest.CaptureFixture[str], words: str) -> None:
    with pytest.raises(SystemExit):
        main(["bench", *words.split()])
    assert "write a number of milliseconds above 0" in capsys.readouterr().err


def test_thresholds_need_photographs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--thresholds"]) == os.EX_USAGE
    assert "--thresholds needs photographs whose right answers are known: --images" in capsys.readouterr().err


def test_files_with_the_same_name_are_shown_with_their_folders() -> None:
    _, first, second = shown(
        [result("x/[m].tflite", 1), result("y/[m].tflite", 2, accelerator="edgetpu")], 140
    )
    assert (first.split()[0], second.split()[0]) == ("x/[m].tflite", "y/[m].tflite")
    assert "tflite-runtime, Edge TPU" in second
