from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edged.errors import DeviceBusy, Reason, Unavailable
from edged.sources import Hint
from edged.sources.drivers.v4l2 import Camera, Config, create
from edged.sources.pixel_formats import KNOWN
from edged.testing.pictures import drain

if TYPE_CHECKING:
    from pathlib import Path

    from edged.testing.v4l2 import Device


def camera(tmp_path: Path, **keys: Any) -> Camera:
    source = create(Config(device=str(tmp_path / "video0"), **keys), Hint())
    assert isinstance(source, Camera)
    return source


def test_a_small_picture_comes_uncompressed_and_a_large_one_as_mjpg(device: Device, tmp_path: Path) -> None:
    for size, first in (((640, 480), "YUYV"), ((1280, 720), "MJPG")):
        device.asked.clear()
        source = camera(tmp_path, size=size)
        source.open()
        assert source.read(2).pixels.shape == (size[1], size[0], 3)
        assert device.asked == [first]
        source.close()


@pytest.mark.parametrize("only", KNOWN)
def test_the_colours_are_right_whatever_the_camera_gives(only: str, device: Device, tmp_path: Path) -> None:
    device.formats = ("RG10", only)  # its default is one that edged does not take
    source = camera(tmp_path)
    source.open()
    frame = source.read(2)
    source.close()
    assert device.asked == [only]
    assert frame.order == "bgr"
    assert frame.pixels.shape == (480, 640, 3)
    expected = [82, 82, 82] if only == "GREY" else [40, 30, 200]
    np.testing.assert_allclose(frame.pixels[100, 100].astype(int), expected, atol=8)


@pytest.mark.parametrize(
    ("size", "model", "shrink"), [((1280, 720), 224, 2), ((1280, 720), 96, 4), ((640, 480), 320, 1)]
)
def test_jpeg_buffers_are_decoded_as_small_as_the_model_allows(
    device: Device, tmp_path: Path, size: tuple[int, int], model: int, shrink: int
) -> None:
    """Real JPEG data without tables, as webcams send them; only the device is a double."""
    device.no_tables = True
    source = create(
        Config(device=str(tmp_path / "video0"), size=size, format="mjpg", interval_s=0), Hint(model, model)
    )
    source.open()
    frames = [source.read(2) for _ in range(5)]
    source.close()
    for frame in frames:
        assert frame.shrink == shrink
        assert frame.pixels.shape == (size[1] // shrink, size[0] // shrink, 3)
        np.testing.assert_allclose(frame.pixels[50, 50].astype(int), [40, 30, 200], atol=8)


@pytest.mark.usefixtures("device")
def test_uncompressed_pictures_keep_their_size(tmp_path: Path) -> None:
    source = create(Config(device=str(tmp_path / "video0"), format="yuyv"), Hint(96, 96))
    source.open()
    frame = source.read(2)
    source.close()
    assert (frame.shrink, frame.pixels.shape) == (1, (480, 640, 3))


@pytest.mark.parametrize("only", ["YUYV", "NV12", "RGB3"])
def test_what_pads_the_rows_is_no_part_of_the_picture(only: str, device: Device, tmp_path: Path) -> None:
    device.formats, device.padding = (only,), 32
    source = camera(tmp_path)
    source.open()
    pixels = source.read(2).pixels
    source.close()
    below = pixels[200:].reshape(-1, 3)
    assert (below.max(axis=0) - below.min(axis=0)).tolist() == [0, 0, 0], "one colour, up to the edges"


@pytest.mark.parametrize(("only", "padding", "short"), [("YU12", 32, 0), ("YUYV", 0, 1), ("MJPG", 0, 10**9)])
def test_bytes_that_are_no_such_picture_are_refused(
    only: str, padding: int, short: int, device: Device, tmp_path: Path
) -> None:
    device.formats, device.padding, device.short = (only,), padding, short
    with pytest.raises(
        Unavailable, match=f"bytes that are not a 640x480 picture in pixel format '{only}'"
    ) as caught:
        camera(tmp_path).open()
    assert caught.value.reason is Reason.LOST
    assert device.released == device.opened == 1


@pytest.mark.parametrize("size", [(640, 480), (1280, 720)])  # YUYV, MJPG
@pytest.mark.parametrize("interval_s", [0, 1])
def test_a_broken_frame_is_skipped_and_counted(
    size: tuple[int, int], interval_s: int, device: Device, tmp_path: Path
) -> None:
    device.broken_every, device.broken_first = 2, 5
    source = camera(tmp_path, size=size, interval_s=interval_s)
    source.open()
    frames = [source.read(2) for _ in range(10)]
    source.close()
    assert device.opened == 1
    assert frames[-1].number == sum(frame.skipped + 1 for frame in frames) - 1
    assert sum(frame.skipped for frame in frames) >= 5


def test_a_camera_that_sends_nothing_but_broken_frames_is_lost(device: Device, tmp_path: Path) -> None:
    source = camera(tmp_path)
    source.open()
    source.read(2)
    device.broken_every = 1
    before = device.decoded
    with pytest.raises(Unavailable, match="bytes that are not a 640x480 picture") as caught:
        drain(source, 3, 2)
    assert caught.value.reason is Reason.LOST
    assert 30 <= device.decoded - before <= 32
    source.close()


@pytest.mark.parametrize("only", ["RG10", "Y16 ", "H264", "VYUY"])
def test_a_format_that_would_come_out_wrong_is_refused_with_a_sentence(
    only: str, device: Device, tmp_path: Path
) -> None:
    device.formats = (only,)
    with pytest.raises(
        Unavailable,
        match=f"gives only the pixel format {only.strip()}, which edged does not decode; it takes YUYV",
    ) as caught:
        camera(tmp_path).open()
    assert caught.value.reason is Reason.ABSENT
    assert device.opened == 0, "it is not even opened"


def test_a_long_list_of_formats_is_not_repeated_whole(device: Device, tmp_path: Path) -> None:
    device.formats = ("RG10", "BG10", "GB10", "BA10", "Y12 ", "Y16\xa0")
    with pytest.raises(Unavailable, match="only the pixel format RG10, BG10, GB10, BA10 and 2 others, which"):
        camera(tmp_path).open()


def test_a_camera_that_only_says_yes_is_found_out(device: Device, tmp_path: Path) -> None:
    device.formats, device.fixed = ("RG10", "YUYV"), True
    with pytest.raises(Unavailable, match="gives only the pixel format RG10"):
        camera(tmp_path).open()
    assert device.released == device.opened == 1, "a refused camera is given back"


def test_a_camera_that_has_no_list_is_asked_for_each(device: Device, tmp_path: Path) -> None:
    device.formats, device.listed = ("RG10", "BGR3"), False
    source = camera(tmp_path)
    source.open()
    assert source.read(2).pixels[100, 100].tolist() == [40, 30, 200]
    source.close()
    assert device.asked[-1] == "BGR3"


def test_a_format_that_the_camera_lacks_is_not_asked_for(device: Device, tmp_path: Path) -> None:
    device.formats = ("NV12", "MJPG")
    source = camera(tmp_path, format="yuyv")
    source.open()
    source.close()
    assert device.asked == ["NV12"]


def test_the_format_can_be_chosen(device: Device, tmp_path: Path) -> None:
    source = camera(tmp_path, format="mjpg")
    source.open()
    source.close()
    assert device.asked == ["MJPG"]


def test_busy_says_so_and_is_not_waited_for(device: Device, tmp_path: Path) -> None:
    device.busy = True
    with pytest.raises(DeviceBusy, match="video0 is in use") as caught:
        camera(tmp_path).open()
    assert caught.value.reason is Reason.BUSY
    assert device.opened == 0


def test_a_node_that_captures_nothing_is_no_camera(device: Device, tmp_path: Path) -> None:
    device.capabilities = 0x04A00000  # metadata: every UVC camera has such a second node
    with pytest.raises(Unavailable, match="is not a camera") as caught:
        camera(tmp_path).open()
    assert caught.value.reason is Reason.ABSENT


def test_a_camera_without_pictures_is_refused_when_it_is_opened(device: Device, tmp_path: Path) -> None:
    device.silent = True
    with pytest.raises(Unavailable, match="opens but gives no picture") as caught:
        camera(tmp_path).open()
    assert caught.value.reason is Reason.TIMEOUT
    assert device.released == device.opened


def test_pulled_out_is_lost_and_found_again(device: Device, tmp_path: Path) -> None:
    source = camera(tmp_path)
    source.open()
    source.read(2)
    device.unplugged = True
    (tmp_path / "video0").unlink()
    with pytest.raises(Unavailable, match="unplugged") as caught:
        drain(source, 3, 2)
    assert caught.value.reason is Reason.LOST
    source.close()
    with pytest.raises(Unavailable) as absent:
        source.open()
    assert absent.value.reason is Reason.ABSENT
    device.unplugged = False
    (tmp_path / "video0").touch()
    source.open()
    assert isinstance(source.read(2).pixels, np.ndarray)
    source.close()


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_camera_whose_node_outlives_it_is_gone_all_the_same(
    after: int, device: Device, tmp_path: Path
) -> None:
    """A mount keeps the node, as in a worker's namespace; the kernel answers ENODEV."""
    device.unplugged, device.unplug_after = not after, after
    source = camera(tmp_path)

    def use() -> None:
        source.open()
        drain(source, 10, 2)

    with pytest.raises(Unavailable, match="is gone; it may have been unplugged") as caught:
        use()
    assert caught.value.reason is Reason.LOST
    source.close()
    assert device.released == device.opened


def test_frames_without_huffman_tables_are_pictures(device: Device, tmp_path: Path) -> None:
    device.formats, device.no_tables = ("MJPG",), True
    source = camera(tmp_path)
    source.open()
    np.testing.assert_allclose(source.read(2).pixels[100, 100].astype(int), [40, 30, 200], atol=8)
    source.close()


def test_a_slow_reader_does_not_pay_for_frames_it_never_sees(device: Device, tmp_path: Path) -> None:
    source = camera(tmp_path, interval_s=1)
    source.open()
    source.read(2)
    seen = device.frames + 10
    while device.frames < seen:
        threading.Event().wait(device.period_s)
    assert source.read(2).skipped >= 8
    source.close()
    assert device.decoded <= 4, "one to look at it, two reads, and one that was under way"


def test_auto_takes_the_first_camera_or_says_there_is_none(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = create(Config(), Hint())
    monkeypatch.setattr("edged.sources.video_devices.find", list)
    with pytest.raises(Unavailable, match="no camera found") as caught:
        source.open()
    assert caught.value.reason is Reason.ABSENT
    from edged.sources.video_devices import Camera as Found

    there = Found(str(tmp_path / "video0"), str(tmp_path / "video0"), "Double")
    monkeypatch.setattr("edged.sources.video_devices.find", lambda: [there])
    source.open()
    source.read(2)
    source.close()
    assert device.released == 1
