"""The contract of a source, held over every driver in ``edged/sources/drivers``."""

from __future__ import annotations

import inspect
import itertools
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edged import sources
from edged.errors import Reason, Unavailable
from edged.ipc import readings_page
from edged.sources import Hint, InputConfig, SourceConfig
from edged.system.needs import Needs
from edged.testing.pictures import drain
from edged.worker import masking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KINDS = sources.kinds()
PICTURES = [kind for kind in KINDS if sources.load(kind).Config.gives == "picture"]
FEEDS = [kind for kind in KINDS if kind not in PICTURES]
NEEDS: dict[str, dict[str, Any]] = {
    "folder": {"path": "/nowhere/photographs"},
    "video": {"url": "/nowhere/video.mp4"},
    "sensors": {"channels": ["v/x", "v/y"], "step_s": 0.01, "window": 10},
    "lines": {"path": "/nowhere/door.log"},
    "sound": {"path": "/nowhere/sounds"},
}
FIXTURES = {
    "folder": "photographs",
    "video": "video",
    "v4l2": "device",
    "picamera2": "board",
    "synthetic": None,
}


def configuration(kind: str, request: pytest.FixtureRequest, tmp_path: Path, **more: Any) -> SourceConfig:
    """The configuration of a driver's source over something that works here."""
    assert kind in FIXTURES, f"say in FIXTURES how a source of kind '{kind}' can run here"
    given = request.getfixturevalue(FIXTURES[kind]) if FIXTURES[kind] else None
    keys = {
        "folder": {"path": given},
        "video": {"url": str(given), "loop": True},
        "v4l2": {"device": str(tmp_path / "video0")},
    }.get(kind, {})
    config: SourceConfig = sources.load(kind).Config(kind=kind, interval_s=0, **keys, **more)
    return config


@pytest.fixture(params=PICTURES)
def working(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Each driver's source, over something that works here."""
    config = configuration(request.param, request, tmp_path)
    source = sources.load(request.param).create(config, Hint(224, 224))
    yield source
    source.close()


@pytest.mark.parametrize("rotate", ["0", "90", "180", "270"])
@pytest.mark.parametrize("kind", PICTURES)
def test_gives_no_picture_without_its_mask(
    kind: str, rotate: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Upright, the left half is black and the right half is not, whatever is decoded how."""
    left = [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]
    config = configuration(kind, request, tmp_path, rotate=rotate, mask=left)
    for hint in (Hint(), Hint(16, 12), Hint(224, 224)):
        source = masking.create(config, hint)
        source.open()
        try:
            for _ in range(4):
                frame = source.read(2.0)
                upright = np.rot90(frame.pixels, -int(rotate) // 90)
                middle = upright.shape[1] // 2
                assert not upright[:, : middle + 1].any()
                assert upright[:, middle + 4 :].max() >= 20
        finally:
            source.close()


@pytest.mark.parametrize("kind", KINDS)
def test_has_a_help_line_and_described_keys(kind: str) -> None:
    module = sources.load(kind)
    assert module.__doc__, "the first docstring line is the help line"
    assert len(module.__doc__.splitlines()[0]) > 20
    assert issubclass(module.Config, SourceConfig if kind in PICTURES else InputConfig)
    for name, field in module.Config.model_fields.items():
        assert field.description, f"{kind}.{name} has no description: it is the reference page"
    json.dumps(module.Config.model_json_schema())


@pytest.mark.parametrize("kind", KINDS)
def test_knows_its_own_kind_only(kind: str) -> None:
    module = sources.load(kind)
    assert module.Config(**NEEDS.get(kind, {})).kind == kind
    with pytest.raises(ValueError, match="kind"):
        module.Config(kind="other", **NEEDS.get(kind, {}))
    with pytest.raises(ValueError, match="nonsense"):
        module.Config(nonsense=1, **NEEDS.get(kind, {}))


@pytest.mark.parametrize("kind", PICTURES)
def test_reads_its_keys_from_text(kind: str) -> None:
    """The configuration hands over what stands in the file; the types declared here read it."""
    config = sources.load(kind).Config(
        interval_s="0.5", rotate="90", crop=["1", "2", "30", "40"], **NEEDS.get(kind, {})
    )
    assert config.interval_s == 0.5
    assert config.crop == (1, 2, 30, 40)


@pytest.mark.parametrize("kind", KINDS)
def test_create_and_close_touch_nothing(kind: str) -> None:
    module = sources.load(kind)
    source = module.create(module.Config(**NEEDS.get(kind, {})), Hint(224, 224))
    source.close()
    source.close()
    assert isinstance(source.live, bool) if kind in PICTURES else source.begun is False


def test_no_driver_loads_anything_heavy_or_opens_anything_before_open() -> None:
    code = f"""
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
from edged import sources
made = []
for kind in sources.kinds():
    module = sources.load(kind)
    config = module.Config(**{NEEDS!r}.get(kind, {{}}))
    before = len(opened)
    source = module.create(config, sources.Hint(224, 224))
    source.close()
    assert len(opened) == before, (kind, opened[before:])
heavy = {{"numpy", "cv2", "picamera2", "libcamera", "tflite_runtime", "ai_edge_litert", "yaml", "paho"}}
found = heavy & {{name.partition(".")[0] for name in sys.modules}}
assert not found, found
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_read_before_open_is_refused(working: Any) -> None:
    with pytest.raises(Unavailable) as caught:
        working.read(0.05)
    assert caught.value.reason is Reason.LOST


def test_gives_pictures_in_order(working: Any) -> None:
    working.open()
    frames = [working.read(2.0) for _ in range(3)]
    for frame in frames:
        assert frame.pixels.dtype == "uint8"
        assert frame.pixels.ndim == 3
        assert frame.pixels.shape[2] == 3
        assert min(frame.pixels.shape[:2]) >= 16
        assert frame.order in {"bgr", "rgb"}
        assert abs(frame.captured_at - time.time()) < 60
    for before, after in itertools.pairwise(frames):
        assert after.captured_at >= before.captured_at
        assert after.number == before.number + after.skipped + 1, "a frame is neither lost nor counted twice"
        assert after.pixels is not before.pixels


def test_what_was_read_stays_as_it_was(working: Any) -> None:
    working.open()
    first = working.read(2.0)
    copy = first.pixels.copy()
    drain(working, 4, 2.0)
    assert (first.pixels == copy).all(), "a frame belongs to its reader"


def test_can_be_opened_again(working: Any) -> None:
    working.open()
    working.read(2.0)
    working.close()
    working.close()
    working.open()
    assert working.read(2.0).number >= 0


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("folder", {"path": "/nowhere/photographs"}),
        ("video", {"url": "/nowhere/video.mp4"}),
        ("v4l2", {"device": "/dev/video-nowhere"}),
    ],
)
def test_says_what_is_absent_and_names_it(kind: str, keys: dict[str, str]) -> None:
    module = sources.load(kind)
    source = module.create(module.Config(**keys), Hint())
    with pytest.raises(Unavailable, match="nowhere") as caught:
        source.open()
    assert caught.value.reason is Reason.ABSENT
    source.close()


def test_read_gives_up_in_time(working: Any, request: pytest.FixtureRequest) -> None:
    kind = type(working).__module__.rpartition(".")[2]
    if kind == "v4l2":
        working.open()
        request.getfixturevalue("device").silent = True
    elif kind == "picamera2":
        working.open()
        request.getfixturevalue("board").hangs = True
    elif kind == "folder":
        folder = request.getfixturevalue("photographs")
        for photograph in folder.iterdir():
            photograph.unlink()
        working.open()
    else:
        pytest.skip(f"a source of kind {kind} always has a next frame")
    began = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        drain(working, 3, 0.1)  # what was there already may still come
    assert time.monotonic() - began < 1.0
    assert caught.value.reason in {Reason.TIMEOUT, Reason.LOST}


@pytest.mark.parametrize(
    ("kind", "fixture", "key"), [("folder", "photographs", "path"), ("video", "video", "url")]
)
def test_a_finite_source_ends(kind: str, fixture: str, key: str, request: pytest.FixtureRequest) -> None:
    module = sources.load(kind)
    source = module.create(module.Config(**{key: str(request.getfixturevalue(fixture))}, loop=False), Hint())
    source.open()
    with pytest.raises(Unavailable) as caught:
        drain(source, 50, 0.1)
    assert caught.value.reason is Reason.ENDED
    source.close()


@pytest.mark.parametrize("kind", KINDS)
def test_the_driver_is_one_class_with_the_contract(kind: str) -> None:
    module = sources.load(kind)
    source = module.create(module.Config(**NEEDS.get(kind, {})), Hint())
    assert list(inspect.signature(source.read).parameters) == ["timeout_s"]
    assert callable(source.open)
    assert callable(source.close)
    needs = getattr(module, "needs", lambda _: Needs())
    assert not needs(module.Config(**NEEDS.get(kind, {}))).network


@pytest.mark.parametrize("kind", KINDS)
def test_a_driver_says_what_the_rest_has_to_know(kind: str) -> None:
    config = sources.load(kind).Config(**NEEDS.get(kind, {}))
    sample = config.sample
    assert sample.gives == config.gives
    windows = sample.gives == "window"
    assert sample.rate_hz or (sample.steps > 0, sample.channels > 0) == (windows, windows)
    assert isinstance(config.measures, tuple)
    assert isinstance(config.numbered, bool)
    assert all(getattr(config, key) is not None for key in config.holds), "it names its keys"
    for followed in config.follows:
        place: Any = config.model_dump()
        for step in followed.steps:
            place = place[step]
        assert place == followed.channel, "the steps lead to its name"


OWN_TESTS = {"lines", "microphone", "sound"}  # of the same contract, as their data come in other ways


@pytest.fixture(params=[kind for kind in FEEDS if kind not in OWN_TESTS])
def feed(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each feed, over data that comes before each call."""
    assert request.param == "sensors", f"say here how a feed of kind '{request.param}' can run here"
    descriptor = readings_page.create()
    writer, now = readings_page.Writer(descriptor, [], ["v/x", "v/y"]), [100.0]
    module = sources.load("sensors")
    hint = Hint(patience_s=1.0, readings=readings_page.Reader(descriptor))
    config = module.Config(**NEEDS["sensors"])
    source = module.SensorWindows(config, hint, monotonic=lambda: now[0], sleep=lambda _s: None)

    def come(count: int, *, silent: bool = False) -> None:
        for _ in range(count):
            now[0] += 0.01
            for name in ("v/x",) if silent else ("v/x", "v/y"):
                writer.put(name, "", now[0], quality="good", ts=0.0, at=now[0], fresh_s=9.0)

    source.come = come
    yield source
    source.close()


def test_a_feed_that_is_not_open_is_refused(feed: Any) -> None:
    for call in (lambda: feed.read(0.0), lambda: feed.idle(1)):
        with pytest.raises(Unavailable) as caught:
            call()
        assert caught.value.reason is Reason.LOST


def test_a_feed_gives_its_samples_in_order_and_none_before_one_is_complete(feed: Any) -> None:
    feed.open()
    assert (feed.begun, feed.read(0.0)) == (False, None)
    feed.come(5)
    assert (feed.read(0.0), feed.begun) == (None, True)
    feed.come(15)
    first, second = feed.read(0.0), feed.read(0.0)
    steps, channels = NEEDS["sensors"]["window"], len(NEEDS["sensors"]["channels"])
    assert (first.values.shape, first.values.dtype) == ((steps, channels), "float32")
    assert (first.number, second.number) == (0, 1)
    assert second.captured_at >= first.captured_at
    assert (first.begins, second.begins) == (True, True), "they overlap"
    assert not feed.dropped


def test_a_feed_keeps_what_may_be_asked_for_while_it_is_idle(feed: Any) -> None:
    feed.open()
    for keep, left in ((0, 0), (1, 1), (None, 2)):
        feed.come(10)
        feed.idle(keep)
        for _ in range(left):
            assert feed.read(0.0) is not None
        assert feed.read(0.0) is None
    feed.come(400)
    feed.idle(None)
    assert feed.dropped["skipped"] > 0, "the model was too slow"


def test_a_feed_that_is_silent_says_so_until_it_is_not(feed: Any) -> None:
    feed.open()
    feed.come(20)
    for _ in range(2):
        feed.come(150, silent=True)
        with pytest.raises(Unavailable, match="v/y") as caught:
            feed.read(0.0)
        assert caught.value.reason is Reason.TIMEOUT
    feed.come(20)
    assert feed.read(0.0) is not None


def test_a_feed_can_be_opened_again(feed: Any) -> None:
    for _ in range(2):
        feed.open()
        feed.come(30)
        assert feed.read(0.0) is not None
        feed.close()
        feed.close()
