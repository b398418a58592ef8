"""The scene before the camera double, in the memory layouts of libcamera's pixel formats."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BYTES = {"BGR888": 3, "RGB888": 3, "XBGR8888": 4, "XRGB8888": 4, "YUV420": 1}  # per pixel
_PADDING = 0xA5  # visible if it gets into a picture
_RED, _BLUE = (200, 30, 40), (30, 60, 210)  # red left, blue right


@dataclass(frozen=True)
class ColorSpace:
    """A substitute for libcamera.ColorSpace."""

    name: str

    @staticmethod
    def Sycc() -> ColorSpace:  # noqa: N802 - libcamera's name
        """Full range."""
        return ColorSpace("sYCC")

    @staticmethod
    def Smpte170m() -> ColorSpace:  # noqa: N802 - libcamera's name
        """Video range, BT.601."""
        return ColorSpace("SMPTE170M")


class AwbModeEnum(enum.IntEnum):
    """A substitute for libcamera.controls.AwbModeEnum."""

    Auto = 0
    Incandescent = 1
    Daylight = 5


def picture(stream: dict[str, Any], space: ColorSpace, frame: int) -> NDArray[np.uint8]:
    """Return the scene as one stream of the camera delivers it."""
    import numpy as np

    width, height = stream["size"]
    scene = np.empty((height, width, 3), np.uint8)
    scene[:, : width // 2], scene[:, width // 2 :] = _RED, _BLUE
    scene[: height // 8, : width // 8] = frame % 251  # different in each frame
    if stream["format"] == "YUV420":
        return _to_yuv(scene, stream["stride"], full_range=space.name == "sYCC")
    order = scene if stream["format"] in ("BGR888", "XBGR8888") else scene[:, :, ::-1]
    if BYTES[stream["format"]] == 4:
        order = np.dstack([order, np.full((height, width), 255, np.uint8)])
    return np.ascontiguousarray(order)


def _to_yuv(scene: NDArray[np.uint8], stride: int, *, full_range: bool) -> NDArray[np.uint8]:
    """Return Y, then U, then V, as libcamera stores them: rows of U and V have half the length."""
    import numpy as np

    height, width = scene.shape[:2]
    red, green, blue = (scene[:, :, n].astype(np.float32) for n in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    u, v = (blue - luma) * 0.564, (red - luma) * 0.713
    if not full_range:
        luma, u, v = luma * 219 / 255 + 16, u * 224 / 255, v * 224 / 255
    out = np.full(stride * height * 3 // 2, _PADDING, np.uint8)
    out[: stride * height].reshape(height, stride)[:, :width] = np.clip(luma.round(), 0, 255)
    planes = out[stride * height :].reshape(2, height // 2, stride // 2)
    for plane, chroma in zip(planes, (u, v), strict=True):
        plane[:, : width // 2] = np.clip((chroma[::2, ::2] + 128).round(), 0, 255)
    return out.reshape(height * 3 // 2, stride)
