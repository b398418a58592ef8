"""The kernel's virtual camera, and edged's v4l2 source on it in every pixel format."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from report import Skipped
from system import run, text, wait, write

from edged.errors import DeviceBusy, Reason, Unavailable
from edged.sources import Hint, pixel_formats, video_devices
from edged.sources.drivers import v4l2

if TYPE_CHECKING:
    from collections.abc import Iterator

DEVICE = "/dev/v4l/by-path/platform-vivid.0-video-index0"
DRIVER = "/sys/bus/platform/drivers/vivid"
# White, yellow, cyan, green, magenta, red, blue, black, as BGR.
BARS = [[255 * (n in bar) for n in "bgr"] for bar in ("bgr", "gr", "bg", "g", "br", "r", "b", "")]
LUMA = (0.0722, 0.7152, 0.2126)  # of BGR, by Rec. 709, which vivid's sRGB takes for grey
CLOSE = 8  # of 255: what limited-range YCbCr costs, and the 5 bits of RGBP


def load() -> str:
    run("modprobe", "vivid")
    wait("the virtual camera", lambda: Path(DEVICE).exists(), 90)
    return text(Path("/sys/module/vivid/initstate"))


def plain_bars() -> None:
    """Pure colours, no text on them, and no automatic that changes them."""
    for control in ("test_pattern=1", "osd_text_mode=2"):
        run("v4l2-ctl", "-d", DEVICE, "-c", control)


def usual() -> None:
    """As after plugging in: the text shows a clock, so no two pictures are the same."""
    for control in ("test_pattern=0", "osd_text_mode=0"):
        run("v4l2-ctl", "-d", DEVICE, "-c", control)


def pull_out() -> None:
    write(f"{DRIVER}/unbind", "vivid.0")


def plug_in() -> None:
    write(f"{DRIVER}/bind", "vivid.0")


def listed() -> str:
    """The formats that edged reads are those that v4l2-ctl prints, in the same order."""
    ours = video_devices.formats(DEVICE)
    theirs = re.findall(r"\[\d+\]: '(.{4}(?:-BE)?)'", run("v4l2-ctl", "-d", DEVICE, "--list-formats"))
    assert ours == theirs, f"edged reads {ours}, v4l2-ctl {theirs}"
    found = video_devices.find()
    assert [camera.device for camera in found] == [DEVICE], found
    return (
        f"{len(ours)} formats, as v4l2-ctl lists them; `edged init` finds {found[0].name} and no other node"
    )


def colours() -> str:
    """Each format that edged decodes shows the bars in their colours."""
    offered = [name for name in video_devices.formats(DEVICE) if name in pixel_formats.KNOWN]
    worst = {}
    for name in offered:
        frame, given = _one(name)
        assert given.fourcc == name, f"asked for {name}, the camera is set to {given.fourcc}"
        assert frame.pixels.shape == (480, 640, 3), f"{name}: {frame.pixels.shape}"
        worst[name] = max(_distances(frame.pixels, grey=name == "GREY"))
    wrong = {name: distance for name, distance in worst.items() if distance > CLOSE}
    assert not wrong, f"off by more than {CLOSE} of 255: {wrong}"
    assert len(worst) >= 12, f"too few to be called every format: {sorted(worst)}"
    named = ", ".join(f"{name} {distance}" for name, distance in worst.items())
    return f"{len(worst)} formats show 8 colour bars at 24 places; farthest off, of 255: {named}"


def refused() -> str:
    """Each other format is refused with a sentence."""
    others = [name for name in video_devices.formats(DEVICE) if name not in pixel_formats.KNOWN]
    refusals = [_refusal(name) for name in others]
    assert refusals, "the camera offers none that is to be refused"
    for name, error in zip(others, refusals, strict=True):
        assert error is not None, f"{name} gave a picture"
        assert error.reason is Reason.ABSENT
        assert f"only the pixel format {name.strip()}, which edged does not decode" in str(error)
    return f"{len(others)} formats, each with a sentence: {str(refusals[-1])[:110]}…"


def _refusal(only: str) -> Unavailable | None:
    try:
        _one(only)
    except Unavailable as error:
        return error
    return None


def compressed() -> str:
    offered = video_devices.formats(DEVICE)
    assert not {"MJPG", "JPEG"} & set(offered), "there is one: it belongs into the list of colours"
    raise Skipped("MJPG and JPEG: the kernel's virtual camera has no compressed format")


def by_itself() -> str:
    """Nothing narrowed: what it agrees on, at which size, how fast and how fresh."""
    told = []
    for size in ((640, 480), (1280, 720)):
        source = v4l2.create(v4l2.Config(device=DEVICE, size=size, interval_s=0), Hint())
        source.open()
        try:
            given = video_devices.current(DEVICE)
            first = source.read(10)
            age_s = time.time() - first.captured_at
            since, last = time.monotonic(), first
            while time.monotonic() - since < 3:
                last = source.read(10)
            rate = (last.number - first.number) / (time.monotonic() - since)
        finally:
            source.close()
        assert max(_distances(last.pixels)) <= CLOSE
        assert (last.pixels.shape[1], last.pixels.shape[0]) == size
        assert 0 <= age_s < 3, f"captured {age_s:.2f} s ago"
        told.append(
            f"{given.fourcc} {size[0]}x{size[1]}, {rate:.0f} frames/s, first {age_s * 1000:.0f} ms old"
        )
    return "; ".join(told)


def busy() -> str:
    """Somebody else streams: it says who."""
    other = subprocess.Popen(
        ["v4l2-ctl", "-d", DEVICE, "--stream-mmap", "--stream-count=0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        sentence = wait("the camera is in use", _held, 15)
        assert f"v4l2-ctl (pid {other.pid})" in sentence, sentence
        return sentence
    finally:
        other.kill()
        other.wait()


def _held() -> str:
    try:
        video_devices.probe(DEVICE)
    except DeviceBusy as error:
        return str(error)
    return ""


def _one(only: str) -> tuple[Any, pixel_formats.Format]:
    """Return a frame and the format, from the camera as if it had no other format."""
    formats = video_devices.formats
    video_devices.formats = lambda device: [only] if device == DEVICE else formats(device)
    source = v4l2.create(v4l2.Config(device=DEVICE), Hint())
    try:
        source.open()
        return source.read(10), video_devices.current(DEVICE)
    finally:
        source.close()
        video_devices.formats = formats


def _distances(pixels: Any, *, grey: bool = False) -> Iterator[int]:
    """Yield how far each bar is from its colour, in the worst channel, at three heights."""
    height, width = pixels.shape[:2]
    for n, colour in enumerate(BARS):
        expected = [float(np.dot(colour, LUMA))] * 3 if grey else colour
        for y in (height // 8, height // 2, height * 7 // 8):
            there = pixels[y, (2 * n + 1) * width // 16].astype(float)
            yield round(float(np.abs(there - expected).max()))
