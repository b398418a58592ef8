"""The modes of the official cameras' sensors, as the kernel's drivers publish them, and libcamera's choice.

The list is that of ``rpicam-hello --list-cameras``; it comes from the drivers in drivers/media/i2c of
raspberrypi/linux.
"""

from __future__ import annotations

from typing import NamedTuple


class Mode(NamedTuple):
    """One mode of a sensor.

    Attributes:
        size: of its picture, in pixels.
        crop: [x, y, width, height] of the sensor that it shows, in pixels of the full resolution.
        fps: frames per second at most.
        bits: of a pixel.
    """

    size: tuple[int, int]
    crop: tuple[int, int, int, int]
    fps: float
    bits: int = 10


MODES: dict[str, tuple[Mode, ...]] = {
    "ov5647": (
        Mode((640, 480), (16, 0, 2560, 1920), 58.92),
        Mode((1296, 972), (0, 0, 2592, 1944), 46.34),
        Mode((1920, 1080), (348, 434, 1928, 1080), 32.81),
        Mode((2592, 1944), (0, 0, 2592, 1944), 15.63),
    ),
    "imx219": (
        Mode((640, 480), (1000, 752, 1280, 960), 103.33),
        Mode((1640, 1232), (0, 0, 3280, 2464), 41.85),
        Mode((1920, 1080), (680, 692, 1920, 1080), 47.57),
        Mode((3280, 2464), (0, 0, 3280, 2464), 21.19),
        Mode((640, 480), (1000, 752, 1280, 960), 206.65, 8),
        Mode((1640, 1232), (0, 0, 3280, 2464), 83.70, 8),
        Mode((1920, 1080), (680, 692, 1920, 1080), 47.57, 8),
        Mode((3280, 2464), (0, 0, 3280, 2464), 21.19, 8),
    ),
    "imx708": (
        Mode((1536, 864), (768, 432, 3072, 1728), 120.13),
        Mode((2304, 1296), (0, 0, 4608, 2592), 56.03),
        Mode((4608, 2592), (0, 0, 4608, 2592), 14.35),
    ),
    "imx477": (
        Mode((1332, 990), (696, 528, 2664, 1980), 120.05),
        Mode((2028, 1080), (0, 440, 4056, 2160), 50.03, 12),
        Mode((2028, 1520), (0, 0, 4056, 3040), 40.01, 12),
        Mode((4056, 3040), (0, 0, 4056, 3040), 10.00, 12),
    ),
    "imx296": (Mode((1456, 1088), (0, 0, 1456, 1088), 60.38),),
}
HDR = (Mode((2304, 1296), (0, 0, 4608, 2592), 30.0),)  # of imx708 while its own HDR is on
FULL = {
    model: max((mode.size for mode in modes), key=lambda size: size[0] * size[1])
    for model, modes in MODES.items()
}


def nearest(modes: tuple[Mode, ...], size: tuple[int, int], bits: int) -> Mode:
    """Return the mode that libcamera, and picamera2 after it, choose for a raw stream of this size."""

    def score(mode: Mode) -> float:
        shape, wanted = mode.size[0] / mode.size[1], size[0] / size[1]
        total = sum(_apart(want, have) for want, have in zip(size, mode.size, strict=True))
        return total + 1500 * _apart(wanted, shape) + 500 * abs(bits - mode.bits)

    return min(modes, key=score)


def _apart(want: float, have: float) -> float:
    return (have - want) / 4 if have > want else (want - have) * 2
