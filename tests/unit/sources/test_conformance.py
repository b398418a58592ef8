"""The contract of a source, held over every driver in ``edged/sources/drivers``."""

from __future__ import annotations

import inspect
import itertools
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from edged import sources
from edged.errors import Reason, Unavailable
from edged.sources import Hint, SourceConfig
from edged.testing.pictures import drain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KINDS = sources.kinds()
NEEDS = {"folder": {"path": "/nowhere/photographs"}, "video": {"url": "/nowhere/video.mp4"}}
FIXTURES = {
    "folder": "photographs",
    "video": "video",
    "v4l2": "device",
    "picamera2": "board",
    "synthetic": None,
}


@pytest.fixture(params=KINDS)
def working(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Each driver's source, over something that works here."""
    kind: str = request.param
    assert kind in FIXTURES, f"say in FIXTURES how a source of kind '{kind}' can run here"
    given = request.getfixturevalue(FIXTURES[kind]) if FIXTURES[kind] else None
    keys = {
        "folder": {"path": given},
        "video": {"url": str(given), "loop": True},
        "v4l2": {"device": str(tmp_path / "video0")},
    }.get(kind, {})
    module = sources.load(kind)
    source = module.create(module.Config(kind=kind, interval_s=0, **keys), Hint(224, 224))
    yield source
    source.close()


@pytest.mark.parametrize("kind", KINDS)
def test_has_a_help_line_and_described_keys(kind: str) -> None:
    module = sources.load(kind)
    assert module.__doc__, "the first docstring line is the help line"
    assert len(module.__doc__.splitlines()[0]) > 20
    assert issubclass(module.Config, SourceConfig)
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


@pytest.mark.parametrize("kind", KINDS)
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
    assert isinstance(source.live, bool)


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
    needs = getattr(module, "needs_network", lambda _: False)
    assert needs(module.Config(**NEEDS.get(kind, {}))) is False
