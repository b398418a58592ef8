from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from edged.cli import bench


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


def test_files_with_the_same_name_are_shown_with_their_folders() -> None:
    _, first, second = shown(
        [result("x/[m].tflite", 1), result("y/[m].tflite", 2, accelerator="edgetpu")], 140
    )
    assert (first.split()[0], second.split()[0]) == ("x/[m].tflite", "y/[m].tflite")
    assert "tflite-runtime, Edge TPU" in second
