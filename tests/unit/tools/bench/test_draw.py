from __future__ import annotations

import itertools
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.tools.bench import draw
from edged.tools.bench.draw import Point, chart, front

NUMBER = st.floats(0, 100)


def result(model: str, p50: float = 1.0, top1: float | None = 0.5, **fields: Any) -> dict[str, Any]:
    return {
        "model": model,
        "runtime": "litert",
        "threads": 1,
        "top1": top1,
        "images": 10,
        "latency_ms": {"p50": p50, "p95": 2 * p50},
        "size_bytes": 2_000_000,
        "error": None,
    } | fields


def report(*results: dict[str, Any]) -> dict[str, Any]:
    return {"machine": {"board": "Pi", "cpu": None, "architecture": "aarch64"}, "results": list(results)}


def test_accuracy_is_drawn_against_latency() -> None:
    said, points = chart(report(result("d/a.tflite", 4.0), result("b.tflite", error="b: damaged", top1=None)))
    assert points == [Point("a", 4.0, 50.0, 2.0)]
    assert (said.title, said.more_is_better) == ("Accuracy and latency on Pi", True)
    assert said.x.endswith("[ms]")
    assert said.y == "top-1 accuracy on 10 photographs [%]"


def test_latency_is_drawn_against_size_where_nothing_was_judged() -> None:
    said, points = chart(report(result("a.tflite", 4.0, None)))
    assert points == [Point("a", 2.0, 4.0, 2.0)]
    assert (said.x[-4:], said.y[-4:], said.more_is_better) == ("[MB]", "[ms]", False)


@pytest.mark.parametrize(
    ("results", "names"),
    [
        ([result("x/a.tflite"), result("x/b.tflite")], ["a", "b"]),
        ([result("x/a.tflite"), result("y/a.tflite")], ["x/a.tflite", "y/a.tflite"]),
        ([result("a.tflite"), result("a.tflite", threads=2)], ["a, 1 thread", "a, 2 threads"]),
        (
            [result("a.tflite"), result("a.tflite", runtime="tflite-runtime")],
            ["a, litert", "a, tflite-runtime"],
        ),
    ],
)
def test_a_name_says_what_not_all_have_in_common(results: list[dict[str, Any]], names: list[str]) -> None:
    assert [point.name for point in chart(report(*results))[1]] == names


@given(st.lists(st.builds(Point, st.just(""), NUMBER, NUMBER, st.just(1.0)), min_size=1), st.booleans())
def test_nothing_beats_what_is_on_the_front(points: list[Point], more_is_better: bool) -> None:
    best = front(points, more_is_better=more_is_better)

    def beats(one: Point, other: Point) -> bool:
        ahead = one.y - other.y if more_is_better else other.y - one.y
        return one.x <= other.x and ahead >= 0 and (one.x < other.x or ahead > 0)

    assert not any(beats(point, chosen) for point in points for chosen in best)
    for point in points:
        assert point in best or any(beats(c, point) or (c.x, c.y) == (point.x, point.y) for c in best)
    assert [p.x for p in best] == sorted({p.x for p in best})


@pytest.mark.parametrize("top1", [0.5, None])
def test_a_picture_has_names_axes_and_the_front(top1: float | None) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib comes with the extra 'plot'")
    results = [result(f"model-{n}.tflite", 0.3 * 3**n, top1, size_bytes=10**6 * n) for n in range(1, 6)]
    svg = draw.draw(report(*results), "svg").decode()
    assert all(f">model-{n}<" in svg for n in range(1, 6))
    assert ">Pareto front<" in svg
    assert "median [ms]<" in svg
    assert ("[%]<" if top1 else "[MB]<") in svg
    assert "area of a point: size of the file, 5.0 MB for the largest" in svg
    assert draw.draw(report(*results), "svg").decode().count("<text") == svg.count("<text")


def test_families_have_colours_and_the_budget_is_a_line() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib comes with the extra 'plot'")
    results = [result("a.tflite", 1.0, family="SSD"), result("b.tflite", 2.0, family="MobileNet v2")]
    svg = draw.draw(report(*results) | {"budget_ms": 1.5}, "svg").decode()
    assert all(f">{word}<" in svg for word in ("SSD", "MobileNet v2", "budget, 1.5 ms"))
    assert svg.count(draw._COLOURS[0]) == svg.count(draw._COLOURS[1]) > 0


def test_a_png_is_one_and_large_enough_to_read() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib comes with the extra 'plot'")
    png = draw.draw(report(result("a.tflite", math.pi)), "png")
    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[16:20], "big") == 1350


def test_labels_do_not_cover_each_other() -> None:
    """Three results at one place, as different threads often are."""
    pytest.importorskip("matplotlib", reason="matplotlib comes with the extra 'plot'")
    results = [result("model.tflite", 5 + n / 100, 0.75, threads=n) for n in (1, 2, 4)]
    svg = draw.draw(report(result("other.tflite", 50.0, 0.9), *results), "svg").decode()
    lines = [float(y) for y in re.findall(r' y="([\d.]+)"[^>]*>model, \d thread', svg)]
    assert len(lines) == 3
    assert (
        min(abs(one - other) for one, other in itertools.combinations(lines, 2)) > 8
    )  # points, a line's height
