"""The field of view of the official cameras, by the modes that their drivers publish."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edged.sources import Hint, field_of_view
from edged.sources.drivers.picamera2 import Config, PiCamera
from edged.testing.sensor_modes import FULL, Mode

if TYPE_CHECKING:
    from edged.testing.picamera2 import Board

# The sensor's mode, and how much of the scene the picture shows, in % of the width and of the height. Its
# shape costs what it costs: 4:3 of a 16:9 sensor is 75 % of the width.
VIEWS = [
    ("ov5647", (640, 480), None, (1296, 972), (100, 100)),
    ("ov5647", (1280, 720), None, (1296, 972), (100, 75)),
    ("ov5647", (1920, 1080), None, (2592, 1944), (100, 75)),
    ("imx219", (640, 480), None, (1640, 1232), (100, 100)),
    ("imx219", (1280, 720), None, (1640, 1232), (100, 75)),
    ("imx219", (1920, 1080), None, (3280, 2464), (100, 75)),
    ("imx708", (640, 480), None, (2304, 1296), (75, 100)),
    ("imx708", (1280, 720), None, (2304, 1296), (100, 100)),
    ("imx708", (1920, 1080), None, (2304, 1296), (100, 100)),
    ("imx477", (640, 480), None, (2028, 1520), (100, 100)),
    ("imx477", (1280, 720), None, (2028, 1520), (100, 75)),
    ("imx477", (1920, 1080), None, (2028, 1520), (100, 75)),
    ("imx296", (640, 480), None, (1456, 1088), (100, 100)),
    ("imx296", (1280, 720), None, (1456, 1088), (100, 75)),
    # More frames per second than the full view gives: the picture is cropped, which is said.
    ("imx219", (640, 480), 90, (640, 480), (39, 39)),
    ("imx708", (640, 480), 100, (1536, 864), (50, 67)),
    ("imx219", (1920, 1080), 30, (1920, 1080), (59, 44)),
    ("imx477", (1920, 1080), 50, (2028, 1080), (95, 71)),
    # No mode is that fast, or the only one shows everything.
    ("imx296", (640, 480), 120, (1456, 1088), (100, 100)),
]


@pytest.mark.parametrize("case", VIEWS, ids=lambda case: "-".join(map(str, case[:3])))
def test_the_picture_shows_all_that_the_sensor_sees(
    case: tuple[str, tuple[int, int], float | None, tuple[int, int], tuple[int, int]],
    board: Board,
    caplog: pytest.LogCaptureFixture,
) -> None:
    model, size, fps, mode, view = case
    board.cameras = [model]
    source = PiCamera(Config(size=size, fps=fps), Hint(224, 224))
    source.open()
    source.close()
    assert board.mode is not None
    assert board.mode.size == mode
    width, height = _shown(board.mode, size)
    whole = FULL[model]
    assert (round(100 * width / whole[0]), round(100 * height / whole[1])) == view
    cropped = board.mode.crop[2:] != whole
    assert cropped == ("of the sensor's width" in caplog.text)
    parts = tuple(part / full for part, full in zip(board.mode.crop[2:], whole, strict=True))
    assert source.view == (pytest.approx(parts, abs=0.001) if cropped else ())


def _shown(mode: Mode, size: tuple[int, int]) -> tuple[float, float]:
    """Return width and height of what is shown, in pixels of the sensor: the largest part of that shape."""
    _x, _y, width, height = mode.crop
    scale = min(width / size[0], height / size[1])
    return size[0] * scale, size[1] * scale


def test_what_libcamera_does_not_tell_is_not_called_a_crop() -> None:
    assert field_of_view.crop({}) is None
    assert field_of_view.view(None, (3280, 2464)) == ()
