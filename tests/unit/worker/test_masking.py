"""Masks: what is blacked out, in which picture, and that nothing gets a picture without them."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import edged
from edged import sources
from edged.config import loader
from edged.errors import ConfigError, ModelError
from edged.sources import Hint, SourceConfig
from edged.sources.drivers import synthetic
from edged.worker import masking
from edged.worker.masking import Mask

SQUARE = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]


def white(width: int = 64, height: int = 48, channels: int = 3) -> Any:
    return np.full((height, width, channels) if channels > 1 else (height, width), 255, np.uint8)


def test_blacks_out_a_polygon_and_leaves_the_rest() -> None:
    picture = Mask([SQUARE]).apply(white())
    assert not picture[12:37, 16:49].any()
    assert picture[:10].all()
    assert picture[39:].all()
    assert picture[:, :14].all()
    assert picture[:, 51:].all()


def test_takes_pixels_as_well_as_parts() -> None:
    pixels = [[16, 12], [48, 12], [48, 36], [16, 36]]
    assert np.array_equal(Mask([pixels]).apply(white()), Mask([SQUARE]).apply(white()))
    assert np.array_equal(Mask([pixels]).apply(white(channels=1)), Mask([SQUARE]).apply(white(channels=1)))


@pytest.mark.parametrize("shrink", [2, 4, 8])
def test_covers_no_less_where_a_picture_was_decoded_smaller(shrink: int) -> None:
    """Every pixel of the small picture that shows a bit of the polygon is black."""
    polygon = [[100, 60], [391, 133], [211, 399]]
    large = Mask([polygon]).covers((480, 640))
    small = Mask([polygon]).covers((480 // shrink, 640 // shrink), shrink)
    blocks = large.reshape(480 // shrink, shrink, 640 // shrink, shrink).max(axis=(1, 3))
    assert (small >= blocks).all()
    assert (small > 0).mean() < (large > 0).mean() + 0.1 * shrink


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("polygon", [[[0, 0], [0.4, 0], [0, 0.3]], [[0, 0], [19, 0], [0, 19]]])
def test_is_given_in_the_picture_as_it_is_seen(rotate: int, polygon: Any) -> None:
    picture = Mask([polygon], rotate).apply(white())
    upright = np.rot90(picture, -rotate // 90)
    black = np.argwhere(upright[:, :, 0] == 0)
    assert (0, 0) in {tuple(place) for place in black}
    assert black[:, 0].max() <= 22
    assert black[:, 1].max() <= 30


def test_what_an_outline_encloses_is_black_also_where_it_crosses_itself() -> None:
    star = [[0.5, 0.0], [0.8, 1.0], [0.0, 0.4], [1.0, 0.4], [0.2, 1.0]]
    picture = Mask([star]).apply(white(100, 100))
    assert not picture[30:70, 40:60].any(), "its middle, which an even-odd rule leaves out"


def test_polygons_that_overlap_are_black_together() -> None:
    picture = Mask([SQUARE, [[0.5, 0.5], [1, 0.5], [1, 1], [0.5, 1]]]).apply(white())
    assert not picture[24:36, 32:48].any()
    assert not picture[37:, 33:].any()


def test_does_not_write_into_a_picture_that_others_hold() -> None:
    held = white()
    held.flags.writeable = False
    picture = Mask([SQUARE]).apply(held)
    assert held.all()
    assert not picture[24, 32].any()


@pytest.mark.parametrize(
    "strange", [white()[:, ::-1], white()[::-1], white()[:, :, ::-1], white(128, 96)[::2, ::2]]
)
def test_takes_pictures_that_lie_in_memory_in_any_way(strange: Any) -> None:
    assert np.array_equal(Mask([SQUARE]).apply(strange), Mask([SQUARE]).apply(white()))


@pytest.mark.parametrize(
    "strange", [np.ones((1, 3000), np.uint8), np.ones((64, 48, 3), np.float32), np.ones(99, np.uint8)]
)
def test_what_is_not_a_picture_is_black_as_a_whole(strange: Any) -> None:
    given = Mask([SQUARE]).apply(strange)
    assert given.shape == strange.shape
    assert not given.any()


def test_refuses_a_picture_that_its_pixels_cannot_be_meant_for() -> None:
    polygon = [[100, 100], [200, 100], [200, 200]]
    with pytest.raises(ModelError, match="640x480, and the picture has 320x240"):
        Mask([polygon], size=(640, 480)).apply(white(320, 240))
    with pytest.raises(ModelError, match=r"\[200, 100\] is beyond the picture, which has 160x120"):
        Mask([polygon]).apply(white(160, 120))
    Mask([polygon], size=(641, 481)).apply(white(640, 480))  # a camera that wants even numbers
    Mask([polygon], size=(1279, 719)).apply(white(320, 180), 4)
    Mask([SQUARE], size=(640, 480)).apply(white(320, 240))  # parts are of any picture


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=12),
    st.sampled_from([0, 90, 180, 270]),
    st.sampled_from([1, 2, 4, 8]),
)
def test_no_point_of_a_polygon_is_ever_seen(points: Any, rotate: int, shrink: int) -> None:
    picture = np.rot90(Mask([points], rotate).apply(white(80, 60), shrink), -rotate // 90)
    height, width = picture.shape[:2]
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        for part in (0.0, 0.3, 0.5):
            x, y = x0 + part * (x1 - x0), y0 + part * (y1 - y0)
            assert not picture[min(height - 1, int(y * height)), min(width - 1, int(x * width))].any()


@pytest.mark.parametrize(
    ("mask", "column", "what"),
    [
        ("[[[0, 0], [0.5, 0]]]", 14, "at least 3 points, and this one has 2"),
        ("[[0, 0], [0.5, 0], [1, 1]]", 13, "each a list of points"),
        ("[[[0, 0], [0.5, 0.5], [1, 1]]]", 14, "on one line"),
        ("[[[0, 0], [10.5, 0], [1, 1]]]", 14, "whole pixels, or parts"),
        ("[[[0, 0], [640, 0], [640, 481]]]", 33, "outside the picture, which has 640x480"),
        ("[[[0, 0], [-1, 0], [1, 2]]]", 24, "a number from 0 to 8192"),
    ],
)
def test_check_says_where_a_mask_is_wrong(mask: str, column: int, what: str, tmp_path: Path) -> None:
    path = tmp_path / "edged.yaml"
    path.write_text(f"pipelines:\n  a:\n    source: {{kind: synthetic,\n      mask: {mask}}}\n")
    with pytest.raises(ConfigError) as caught:
        loader.load(path)
    (problem,) = caught.value.problems
    assert what in str(problem)
    assert str(problem).startswith(f"{path}:4:{column}: ")


def test_a_turned_picture_is_as_high_as_the_camera_is_wide() -> None:
    mask = [[[0, 0], [10, 0], [10, 640]]]
    assert synthetic.Config(rotate="90", mask=mask).mask
    with pytest.raises(ValidationError, match="640x480"):
        synthetic.Config(mask=mask)


def test_a_source_of_another_package_is_masked_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "load", lambda _kind: synthetic)
    source = masking.create(synthetic.Config(mask=[SQUARE]), Hint())
    source.open()
    assert not source.read(1.0).pixels[240, 320].any()
    assert (source.live, source.view) == (True, ())


def test_only_one_place_makes_the_sources_of_workers() -> None:
    """A frame comes from ``masking.create``, which masks it, or from a photograph that a person named."""
    room = Path(edged.__file__).parent / "worker"
    makers, importers = set(), set()
    for path in room.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == "create" and "sources" in ast.unparse(node):
                makers.add(path.name)
            if isinstance(node, ast.ImportFrom) and _gives_pictures(node.module or ""):
                importers.add(path.name)
    assert makers == {"masking.py"}
    assert not importers, "a source that is imported by name has no mask"


def _gives_pictures(module: str) -> bool:
    """Whether it is a driver of pictures; sound has nothing to black out."""
    if not module.startswith("edged.sources.drivers"):
        return False
    return issubclass(importlib.import_module(module).Config, SourceConfig)
