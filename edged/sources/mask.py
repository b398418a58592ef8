"""The key ``mask`` of a source: polygons in the picture as it is seen, so after ``rotate``, as for ``crop``.

:mod:`edged.worker.masking` blacks them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from edged.drivers import wrong

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_POLYGONS, MOST_POINTS = 32, 64
LEAST_POINTS = 3
_PIXELS_END = 8192  # no picture is larger

Coordinate = Annotated[float, Field(ge=0, le=_PIXELS_END, allow_inf_nan=False)]
Point = tuple[Coordinate, Coordinate]  # x, y


def is_in_parts(polygon: Sequence[Point]) -> bool:
    """Return whether its points are parts of the width and height, 0 to 1; else they are pixels."""
    return all(coordinate <= 1 for point in polygon for coordinate in point)


def _polygon(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """Return the points of a polygon. Raises ``PydanticCustomError`` where they have no area."""
    if len(points) < LEAST_POINTS:
        raise wrong(f"a polygon has at least {LEAST_POINTS} points, and this one has {len(points)}")
    (x0, y0), *rest = points
    if not any((x - x0) * (v - y0) != (u - x0) * (y - y0) for x, y in rest for u, v in rest):
        raise wrong("the points lie on one line, so that nothing is blacked out")
    if not is_in_parts(points) and any(c != round(c) for point in points for c in point):
        raise wrong("points are whole pixels, or parts of the picture from 0 to 1, and not both")
    return points


Polygon = Annotated[
    tuple[Point, ...],
    Field(max_length=MOST_POINTS, json_schema_extra={"minItems": LEAST_POINTS}),
    AfterValidator(_polygon),
]


def _list(value: Any) -> Any:
    """Return what may be a list of polygons. Raises ``PydanticCustomError`` where it is a single one."""
    first = value[0] if isinstance(value, list | tuple) and value else None
    point = first[0] if isinstance(first, list | tuple) and first else None
    if point is not None and not isinstance(point, list | tuple):
        raise wrong("it is a list of polygons, each a list of points: write [[[x, y], [x, y], [x, y]]]")
    return value


Polygons = Annotated[tuple[Polygon, ...], Field(max_length=MOST_POLYGONS), BeforeValidator(_list)]


def outside(polygons: Sequence[Sequence[Point]], size: tuple[int, int]) -> tuple[int, int] | None:
    """Return the numbers of the first polygon and its point that is beyond a picture; None: there is none.

    Args:
        polygons: the key ``mask``.
        size: of the picture as it is seen, in pixels.
    """
    for number, polygon in enumerate(polygons):
        for place, (x, y) in enumerate(polygon):
            if not is_in_parts(polygon) and (x > size[0] or y > size[1]):
                return number, place
    return None


def size_of(config: Any) -> tuple[int, int] | None:
    """Return the size of a camera's picture by its configuration, in pixels; None where it has none."""
    size = getattr(config, "size", None)
    return size if isinstance(size, tuple) and len(size) == 2 else None
