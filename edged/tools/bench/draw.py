"""The process that draws the chart: a point per result, which shows what a millisecond or a megabyte buys.

With judged photographs: accuracy against latency; the area of a point is the size of the file, its colour the
family of the model, the dashed line the budget. Without: latency against size. The line is the Pareto front:
for any point that is not on it, another one is at least as good in both and better in one.

It is a process of its own because matplotlib imports numpy, which main must not; there are no pixels here.
"""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.system.child import serve
from edged.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edged.system.child import Tell

_INCHES, _DPI = (9.0, 6.0), 150
_LARGEST_POINT = 900.0  # square points
_SMALLEST_POINT = 25.0
_WIDE = 12.0  # above this ratio of largest to smallest, an axis is logarithmic
# They stay distinct with most kinds of colour blindness (Okabe and Ito).
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#f0e442", "#7f7f7f")
_MARGIN = 0.15  # around the points, for the labels
_BESIDE = 7.0  # points from a marker to its label, to the side
_ROW = 11.0  # points from one row of labels to the next
# The places for a label, best first: to the right or left (1, -1), and rows above or below.
_PLACES = tuple((side, row) for row in (0.7, -0.7, 1.8, -1.8, 2.9, -2.9, 4.0, -4.0) for side in (1, -1))


@dataclass(frozen=True)
class Point:
    """A result in the chart.

    Attributes:
        name: its label.
        x, y: its coordinates.
        megabytes: the size of the file.
        family: the family of the model.
    """

    name: str
    x: float
    y: float
    megabytes: float
    family: str = ""


@dataclass(frozen=True)
class Chart:
    """The words of the chart.

    Attributes:
        title, x, y: the title and the labels of the axes, with units.
        more_is_better: whether high is better; left is always better.
    """

    title: str
    x: str
    y: str
    more_is_better: bool


def chart(report: Mapping[str, Any]) -> tuple[Chart, list[Point]]:
    """Return the words of the chart, and its points: the results without an error."""
    results = [result for result in report["results"] if not result["error"]]
    judged = all(result["top1"] is not None for result in results)
    names = _names(results)
    points = []
    for name, result in zip(names, results, strict=True):
        megabytes, p50 = result["size_bytes"] / 1e6, result["latency_ms"]["p50"]
        place = (p50, 100 * result["top1"]) if judged else (megabytes, p50)
        points.append(Point(name, *place, megabytes, printable(result.get("family", ""))))
    board = report["machine"]["board"] or report["machine"]["cpu"] or report["machine"]["architecture"]
    latency = "latency of one inference, median [ms]"
    if not judged:
        return Chart(f"Latency and size on {board}", "size of the file [MB]", latency, False), points
    images = results[0]["images"]
    counted = f"top-1 accuracy on {images} photograph{'s' if images > 1 else ''} [%]"
    return Chart(f"Accuracy and latency on {board}", latency, counted, True), points


def _names(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name each result by its file, and by its settings where they differ between results."""
    paths = [Path(result["model"]) for result in results]
    ambiguous = len({path.stem for path in paths}) < len(set(paths))
    several = {key for key in ("runtime", "threads") if len({result[key] for result in results}) > 1}
    names = []
    for path, result in zip(paths, results, strict=True):
        more = [result["runtime"]] if "runtime" in several else []
        if "threads" in several:
            more.append(f"{result['threads']} thread{'s' if result['threads'] > 1 else ''}")
        name = str(path) if ambiguous else path.stem
        names.append(", ".join([printable(name), *more]))
    return names


def front(points: Sequence[Point], *, more_is_better: bool) -> list[Point]:
    """Return the points of the Pareto front, from left to right."""
    sign = -1 if more_is_better else 1
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (p.x, sign * p.y)):
        if not best or sign * point.y < sign * best[-1].y:
            best.append(point)
    return best


def draw(report: Mapping[str, Any], format_: str) -> bytes:
    """Return the chart as ``png`` or ``svg``."""
    import matplotlib as mpl

    mpl.rcParams["svg.fonttype"] = "none"  # text stays text
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    said, points = chart(report)
    figure = Figure(figsize=_INCHES, layout="constrained")
    FigureCanvasAgg(figure)  # needs no screen
    axes = figure.subplots()
    _frame(axes, said, points)
    best = front(points, more_is_better=said.more_is_better)
    axes.step(
        [p.x for p in best], [p.y for p in best], where="post", color="black", lw=1, label="Pareto front"
    )
    _points(axes, points, best)
    if budget_ms := report.get("budget_ms"):
        along = axes.axvline if said.more_is_better else axes.axhline
        along(budget_ms, color="tab:red", ls="--", lw=1, label=f"budget, {budget_ms:g} ms")
    largest = max(point.megabytes for point in points)
    note = f"area of a point: size of the file, {largest:.1f} MB for the largest"
    figure.legend(title=note, loc="outside lower center", ncols=4, fontsize="small", title_fontsize="small")
    figure.canvas.draw()
    figure.set_layout_engine("none")  # the labels are written into what is laid out now
    _label(axes, points)
    file = io.BytesIO()
    figure.savefig(file, format=format_, dpi=_DPI, metadata={"Date": None} if format_ == "svg" else None)
    return file.getvalue()


def _points(axes: Any, points: Sequence[Point], best: Sequence[Point]) -> None:
    """Draw the points: a colour for each family, an edge around those on the front."""
    largest = max(point.megabytes for point in points)
    for number, family in enumerate(dict.fromkeys(point.family for point in points)):
        colour = _COLOURS[number % len(_COLOURS)]
        kind = [point for point in points if point.family == family]
        axes.scatter(
            [p.x for p in kind],
            [p.y for p in kind],
            s=[max(_SMALLEST_POINT, _LARGEST_POINT * p.megabytes / largest) for p in kind],
            color=colour,
            edgecolors="black",
            linewidths=[1.0 if p in best else 0.0 for p in kind],
            alpha=0.7,
            zorder=3,
        )
        if family:  # the legend shows points of one size
            axes.scatter([], [], s=40, color=colour, label=family)


def _frame(axes: Any, said: Chart, points: Sequence[Point]) -> None:
    """Set the title and the axes."""
    from matplotlib.ticker import LogLocator, ScalarFormatter

    axes.set(title=said.title, xlabel=said.x, ylabel=said.y)
    axes.margins(_MARGIN)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    values = {axes.xaxis: [p.x for p in points]}
    if not said.more_is_better:  # accuracy is never logarithmic
        values[axes.yaxis] = [p.y for p in points]
    for axis, along in values.items():
        if min(along) > 0 and max(along) / min(along) > _WIDE:
            (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(ScalarFormatter())
            axis.set_minor_locator(LogLocator(subs=()))


def _label(axes: Any, points: Sequence[Point]) -> None:
    """Place each name inside the frame, where it covers no other one if there is such a place."""
    from matplotlib.text import Text

    frame = axes.get_window_extent()
    taken: list[Any] = []
    for point in sorted(points, key=lambda p: p.x):
        for place in (*_PLACES, _PLACES[0]):
            text = _write(axes, point, *place)
            text.update_positions(axes.figure.canvas.get_renderer())
            box = Text.get_window_extent(text)  # without the line to its point
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            if inside and not box.count_overlaps(taken):
                break
            text.set_visible(False)
        text.set_visible(True)
        taken.append(box)


def _write(axes: Any, point: Point, side: int, row: float) -> Any:
    return axes.annotate(
        point.name,
        (point.x, point.y),
        xytext=(side * _BESIDE, row * _ROW),
        textcoords="offset points",
        ha="left" if side > 0 else "right",
        va="center",
        fontsize="small",
        arrowprops={
            "arrowstyle": "-",
            "color": "gray",
            "linewidth": 0.6,
            "shrinkA": 0,
            "relpos": (0.5 - side / 2, 0.5),
        },
        zorder=4,
    )


def answer(question: Mapping[str, Any]) -> dict[str, str]:
    """Return the chart, or the name of the missing package; an empty chart for an empty report."""
    try:
        import matplotlib.backends.backend_agg  # noqa: F401 - fails for a half-installed matplotlib
    except ImportError as error:
        return {"missing": str(error)}
    picture = draw(question, question["format"]) if question else b""
    return {"picture": base64.b64encode(picture).decode()}


def respond(data: bytes, tell: Tell) -> None:
    """Answer a report with its chart.

    Args:
        data: the report, as JSON.
        tell: takes the answer.
    """
    tell(answer(json.loads(data)))


if __name__ == "__main__":
    serve(respond)
