from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.sources.pixel_formats import KNOWN, Format, candidates, decode

_UNCOMPRESSED = [name for name in KNOWN if name not in ("MJPG", "JPEG")]


@given(
    st.sampled_from(KNOWN),
    st.integers(1, 24).map(lambda n: n * 2),
    st.integers(1, 24).map(lambda n: n * 2),
    st.integers(0, 200),
    st.binary(max_size=9000),
)
def test_any_bytes_are_a_whole_picture_or_none(
    fourcc: str, width: int, height: int, stride: int, data: bytes
) -> None:
    picture = decode(np.frombuffer(data, np.uint8), Format(fourcc, width, height, stride))
    assert picture is None or (picture.shape == (height, width, 3) and picture.dtype == np.uint8)


@pytest.mark.parametrize("fourcc", _UNCOMPRESSED)
def test_the_shape_in_which_opencv_hands_the_bytes_on_does_not_matter(fourcc: str) -> None:
    flat = np.random.default_rng(1).integers(0, 256, 16 * 8 * 4, np.uint8)
    form = Format(fourcc, 16, 8)
    first = decode(flat, form)
    assert first is not None
    for other in (flat.reshape(1, -1), flat.reshape(8, 16, 4), flat.view(np.uint16).reshape(8, 32)):
        np.testing.assert_array_equal(decode(other, form), first)


def test_what_fills_the_usb_gives_way_to_what_does_not() -> None:
    offered = ["GREY", "MJPG", "YUYV", "RG10"]
    assert candidates(offered, "", (640, 480)) == ["YUYV", "MJPG", "GREY"]
    assert candidates(offered, "", (1280, 720)) == ["MJPG", "YUYV", "GREY"]
    assert candidates(offered, "YUYV", (1280, 720)) == ["YUYV", "MJPG", "GREY"]
    assert candidates(["RG10"], "YUYV", (640, 480)) == []
    assert candidates([], "", (640, 480)) == list(KNOWN), "it does not say: try all"
