from __future__ import annotations

from typing import Any

import pytest

from edged.tools.bench.budget import choose


def result(model: str, p50: float, top1: float | None = None, **fields: Any) -> dict[str, Any]:
    interval = None if top1 is None else [top1 - 0.1, top1 + 0.1]
    fixed = {"runtime": "litert", "threads": 1, "accelerator": "cpu", "error": None, "published": None}
    return {
        "model": model,
        "top1": top1,
        "top1_interval": interval,
        "latency_ms": {"p50": p50},
        **fixed,
    } | fields


def test_the_most_accurate_within_the_budget_is_chosen() -> None:
    found = choose([result("a", 2, 0.5), result("b", 9, 0.8), result("c", 50, 0.9), result("d", 3, 0.8)], 10)
    assert found is not None
    assert (found["model"], found["accuracy"], found["by"], found["as_good"]) == ("d", 0.8, "measured", [])


def test_what_cannot_be_told_apart_and_is_faster_is_named() -> None:
    found = choose([result("b", 9, 0.8), result("a", 2, 0.75), result("a", 3, 0.75), result("c", 1, 0.5)], 10)
    assert found is not None
    assert (found["model"], found["as_good"]) == ("b", ["a"])


@pytest.mark.parametrize(
    ("published", "model", "by"), [((0.4, 0.7), "slow", "published"), ((None, None), "quick", "")]
)
def test_without_photographs_what_was_published_decides(
    published: tuple[float | None, float | None], model: str, by: str
) -> None:
    rows = [result("quick", 2, published=published[0]), result("slow", 5, published=published[1])]
    found = choose(rows, 10)
    assert found is not None
    assert (found["model"], found["by"]) == (model, by)


def test_nothing_fits() -> None:
    failed = result("a", 1, error="a: damaged", latency_ms={"p50": None})
    assert choose([failed, result("b", 20, 0.9)], 10) is None
