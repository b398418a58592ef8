from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from edged.errors import Reason, Unavailable
from edged.ipc.heartbeat import MARKS
from edged.sources import Hint
from edged.sources.decoding import Decoding, mark_of
from edged.sources.drivers.folder import Config, Folder, create
from edged.sources.progress import Progress
from edged.testing.pictures import drain, paint, value_of

if TYPE_CHECKING:
    from pathlib import Path


def opened(path: Path, *, loop: bool = True) -> Folder:
    source = create(Config(path=path, loop=loop), Hint())
    assert isinstance(source, Folder)
    source.open()
    return source


def settle(path: Path) -> None:
    """Let a file look as if it was written a minute ago."""
    os.utime(path, (time.time() - 60, time.time() - 60))


def test_gives_photographs_by_name_and_begins_again(photographs: Path) -> None:
    source = opened(photographs)
    assert [value_of(source.read(0).pixels) for _ in range(5)] == [100, 50, 150, 100, 50]


def test_ends_after_the_last_one(photographs: Path) -> None:
    source = opened(photographs, loop=False)
    assert [value_of(source.read(0).pixels) for _ in range(3)] == [100, 50, 150]
    with pytest.raises(Unavailable, match="last of 3 photographs") as caught:
        source.read(0)
    assert caught.value.reason is Reason.ENDED


def test_takes_a_single_photograph(photographs: Path) -> None:
    source = opened(photographs / "b.jpg")
    assert [value_of(source.read(0).pixels) for _ in range(2)] == [50, 50]
    once = opened(photographs / "b.jpg", loop=False)
    once.read(0)
    with pytest.raises(Unavailable):
        once.read(0)


def test_takes_up_new_ones_and_forgets_removed_ones(photographs: Path) -> None:
    source = opened(photographs)
    source.read(0)  # a.png
    paint(photographs / "aa.jpg", 200)
    (photographs / "b.jpg").unlink()
    assert [value_of(source.read(0).pixels) for _ in range(3)] == [200, 150, 100]


def test_sees_that_a_photograph_was_replaced(photographs: Path) -> None:
    source = opened(photographs / "b.jpg")
    assert value_of(source.read(0).pixels) == 50
    paint(photographs / "b.jpg", 220, size=(80, 60))
    assert value_of(source.read(0).pixels) == 220


def test_an_unchanged_folder_is_decoded_once(photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = opened(photographs)
    for _ in range(3):
        source.read(0)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded again"))
    assert [value_of(source.read(0).pixels) for _ in range(3)] == [100, 50, 150]


def test_the_cache_is_bounded(tmp_path: Path) -> None:
    for n in range(4):
        paint(tmp_path / f"{n}.png", 10, size=(1600, 1200))  # 5.8 MB each when decoded
    source = opened(tmp_path)
    drain(source, 9, 0)
    assert source._cached_bytes <= 16 * 1024 * 1024
    assert len(source._cache) == 2


def test_waits_for_a_half_written_file(photographs: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = (photographs / "b.jpg").read_bytes()
    half = photographs / "bb.jpg"
    half.write_bytes(whole[: len(whole) * 3 // 4])
    source = opened(photographs)
    assert [value_of(source.read(0).pixels) for _ in range(3)] == [100, 50, 150]
    half.write_bytes(whole)
    assert [value_of(source.read(0).pixels) for _ in range(3)] == [100, 50, 50]
    assert not caplog.records


def test_in_order_and_once_the_half_written_one_is_waited_for(photographs: Path) -> None:
    whole = (photographs / "b.jpg").read_bytes()
    (photographs / "b.jpg").write_bytes(whole[:-20])
    source = Folder(
        Config(path=photographs, loop=False),
        sleep=lambda _: (photographs / "b.jpg").write_bytes(whole) and None,
    )
    source.open()
    assert [value_of(source.read(1).pixels) for _ in range(3)] == [100, 50, 150]


def test_leaves_out_what_is_no_picture_and_says_so_once(
    photographs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = photographs / "bad.jpg"
    bad.write_bytes((photographs / "b.jpg").read_bytes()[:200])
    settle(bad)
    (photographs / "notes.txt").write_text("not a photograph")
    (photographs / ".b.jpg").write_bytes(b"")
    source = opened(photographs)
    with caplog.at_level(logging.WARNING):
        values = [value_of(source.read(0).pixels) for _ in range(6)]
    assert values == [100, 50, 150] * 2
    assert [r.message for r in caplog.records] == [
        f"{bad} is left out: the file ends before the picture does"
    ]


def test_waits_for_the_first_photograph(tmp_path: Path) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        if now[0] > 0.5:
            paint(tmp_path / "late.png", 70)

    source = Folder(Config(path=tmp_path), monotonic=lambda: now[0], sleep=sleep)
    source.open()
    with pytest.raises(Unavailable, match="no photograph in") as caught:
        source.read(0.3)
    assert caught.value.reason is Reason.TIMEOUT
    assert value_of(source.read(1).pixels) == 70


def test_says_that_the_folder_went_away(photographs: Path) -> None:
    source = opened(photographs)
    source.read(0)
    photographs.rename(photographs.parent / "elsewhere")
    with pytest.raises(Unavailable) as caught:
        source.read(0)
    assert caught.value.reason is Reason.LOST


def test_turns_a_picture_as_its_exif_data_says(tmp_path: Path) -> None:
    upright = np.zeros((48, 64, 3), np.uint8)
    upright[:24] = 200
    ok, data = cv2.imencode(".jpg", upright)
    assert ok
    # orientation 6: turn by 90 degrees
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    body = data.tobytes()
    (tmp_path / "turned.jpg").write_bytes(
        body[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + body[2:]
    )
    pixels = opened(tmp_path).read(0).pixels
    assert pixels.shape == (64, 48, 3)
    assert pixels[:, 40].mean() > 150
    assert pixels[:, 8].mean() < 50


def test_reads_real_photographs(testdata: Path) -> None:
    source = opened(testdata / "images", loop=False)
    for path in sorted((testdata / "images").iterdir()):
        assert source.read(0).pixels.shape == cv2.imread(str(path)).shape
    with pytest.raises(Unavailable):
        source.read(0)


def test_a_read_of_a_small_folder_costs_little(photographs: Path) -> None:
    settle(photographs)
    source = opened(photographs)
    for _ in range(3):
        source.read(0)
    began = time.perf_counter()
    drain(source, 200, 0)
    assert (time.perf_counter() - began) / 200 < 0.001


def test_notes_what_it_decodes_and_nothing_in_between(photographs: Path) -> None:
    noted: list[int] = []
    source = Folder(Config(path=photographs), Hint(decoding=Decoding(noted.append)))
    source.open()
    drain(source, 3, 0)
    marks, ends = noted[::2], noted[1::2]
    assert len(set(marks)) == 3
    assert all(0 < mark < MARKS for mark in marks)
    assert ends == [0, 0, 0]


def test_leaves_out_what_ended_a_worker_until_it_is_replaced(photographs: Path) -> None:
    bad = photographs / "b.jpg"
    stat = bad.stat()
    said: list[str] = []
    mark = mark_of("b.jpg", stat.st_mtime_ns, stat.st_size)
    source = Folder(Config(path=photographs), Hint(decoding=Decoding(fatal=[mark], left_out=said.append)))
    source.open()
    assert [value_of(source.read(0).pixels) for _ in range(3)] == [100, 150, 100]
    assert said == [f"left out, since decoding it ended an earlier worker: {bad}"]
    paint(bad, 220, size=(80, 60))
    assert value_of(source.read(0).pixels) == 220


def test_one_photograph_that_ended_a_worker_is_left_out_too(photographs: Path) -> None:
    stat = (photographs / "b.jpg").stat()
    mark = mark_of("b.jpg", stat.st_mtime_ns, stat.st_size)
    source = Folder(Config(path=photographs / "b.jpg"), Hint(decoding=Decoding(fatal=[mark])))
    source.open()
    with pytest.raises(Unavailable):
        source.read(0)


@pytest.mark.parametrize("loop", [True, False])
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\0\0\0\x24ftypheic" + bytes(50), "HEIC: convert it to JPEG"),
        (b"\xff\xd8\xff\xe0 half of it", "the file ends before the picture does"),
        (b"", "the file is empty"),
    ],
)
def test_the_reason_is_told_at_once_where_there_is_no_other_photograph(
    tmp_path: Path, loop: bool, data: bytes, why: str
) -> None:
    path = tmp_path / "cat.jpg"
    path.write_bytes(data)
    settle(path)
    for what in (tmp_path, path):
        source = Folder(Config(path=what, loop=loop), sleep=lambda _: pytest.fail("waited"))
        source.open()
        with pytest.raises(Unavailable, match=why) as caught:
            source.read(5)
        assert "cat.jpg" in str(caught.value)
        assert caught.value.reason is Reason.ABSENT


@pytest.mark.parametrize(
    ("name", "why"),
    [("a.DNG", "it has 2 .dng files: convert them to JPEG"), ("a.mp4", "2 .mp4 files: use `kind: video`")],
)
def test_files_that_a_person_takes_for_photographs_are_named(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / name).touch()
    (tmp_path / f"b{name}").touch()
    with pytest.raises(Unavailable, match=why):
        opened(tmp_path, loop=False).read(0)


def test_sub_folders_are_taken_where_they_are_wanted_and_named_where_not(tmp_path: Path) -> None:
    for n, below in enumerate(("yard/2026-01-01", "yard/2026-01-02", "door", "@eaDir/yard", ".trash")):
        (tmp_path / below).mkdir(parents=True)
        paint(tmp_path / below / "a.png", 50 * (n + 1))
    (tmp_path / "round").symlink_to(tmp_path)
    with pytest.raises(
        Unavailable, match=r"sub-folders have some: set `recursive: true`, or name one: .*door"
    ):
        opened(tmp_path, loop=False).read(0)
    source = create(Config(path=tmp_path, recursive=True), Hint())
    source.open()
    assert [value_of(source.read(0).pixels) for _ in range(4)] == [150, 50, 100, 150]
    (tmp_path / "yard/2026-01-03").mkdir()
    paint(tmp_path / "yard/2026-01-03/a.png", 200)
    assert [value_of(source.read(0).pixels) for _ in range(4)] == [50, 100, 200, 150]


def test_a_large_photograph_is_decoded_small_for_a_small_model(tmp_path: Path) -> None:
    paint(tmp_path / "a.jpg", 100, size=(1920, 1080))
    for keys, hint, shape in (
        ({}, Hint(224, 224), (270, 480, 3)),
        ({}, Hint(96, 96), (135, 240, 3)),
        ({}, Hint(), (1080, 1920, 3)),
        ({"crop": (0, 0, 460, 460)}, Hint(224, 224), (540, 960, 3)),
        ({"crop": (800, 400, 224, 224)}, Hint(224, 224), (1080, 1920, 3)),
        ({"rotate": "90"}, Hint(100, 300), (270, 480, 3)),
    ):
        source = create(Config(path=tmp_path, **keys), hint)
        source.open()
        frame = source.read(0)
        assert frame.pixels.shape == shape
        assert frame.shrink == 1080 // shape[0]


def dropped(path: Path, progress: Progress | None = None) -> Folder:
    source = create(Config(path=path, watch=True), Hint(progress=progress or Progress()))
    assert isinstance(source, Folder)
    source.open()
    return source


def taken(source: Folder, progress: Progress | None = None) -> list[int]:
    """The values of what is new now; they count as judged."""
    found = []
    while (frame := source.read(0)) is not None:
        found.append(value_of(frame.pixels))
        assert frame.place is not None
        if progress is not None:
            progress.done(frame.place, frame.number + 1)
    return found


def test_a_drop_folder_gives_each_file_once_in_the_order_of_arrival(tmp_path: Path) -> None:
    source = dropped(tmp_path)
    assert taken(source) == []
    paint(tmp_path / "b.png", 50)
    assert taken(source) == [50]
    paint(tmp_path / "a.png", 100)
    assert taken(source) == [100]
    assert taken(source) == []
    os.utime(tmp_path / "a.png", (1e9, 1e9))  # a copy that kept its date is new, too
    paint(tmp_path / "old.png", 150)
    os.utime(tmp_path / "old.png", (1e9, 1e9))
    assert 150 in taken(source)
    (tmp_path / "b.png").unlink()
    assert taken(source) == []


def test_a_drop_folder_waits_for_a_file_that_is_being_written(tmp_path: Path) -> None:
    paint(tmp_path / "whole.jpg", 50)
    data = (tmp_path / "whole.jpg").read_bytes()
    source = dropped(tmp_path)
    assert taken(source) == [50]
    (tmp_path / "new.jpg").write_bytes(data[: len(data) // 2])
    assert taken(source) == []
    (tmp_path / "new.jpg").write_bytes(data)
    assert taken(source) == [50]


def test_a_file_that_is_replaced_is_new(tmp_path: Path) -> None:
    paint(tmp_path / "snapshot.png", 50)
    source = dropped(tmp_path)
    assert taken(source) == [50]
    paint(tmp_path / "snapshot.png", 100, size=(80, 60))
    assert [value for _ in range(3) for value in taken(source)] == [100]


def test_a_drop_folder_is_remembered_over_a_restart(tmp_path: Path) -> None:
    progress = Progress()
    for n in range(3):
        paint(tmp_path / f"{n}.png", 50 * (n + 1))
    assert taken(dropped(tmp_path), progress) == [50, 100, 150]
    paint(tmp_path / "0a.png", 200)
    again = dropped(tmp_path, Progress(progress.marks, progress.floor_s, progress.number))
    frame = again.read(0)
    assert frame is not None
    assert (value_of(frame.pixels), frame.number) == (200, 3)
    assert again.read(0) is None


def test_the_place_in_a_folder_is_kept_over_a_restart(photographs: Path) -> None:
    progress = Progress()
    source = create(Config(path=photographs), Hint(progress=progress))
    source.open()
    for _ in range(2):
        frame = source.read(0)
        progress.done(frame.place, frame.number + 1)
    again = create(Config(path=photographs), Hint(progress=progress))
    again.open()
    frame = again.read(0)
    assert (value_of(frame.pixels), frame.number) == (150, 2)


def test_a_jpeg_that_a_phone_calls_heic_is_read_and_heic_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paint(tmp_path / "a.jpg", 50).rename(tmp_path / "a.HEIC")
    (tmp_path / "b.heic").write_bytes(b"\0\0\0\x24ftypheic" + bytes(50))
    source = opened(tmp_path)
    assert [value_of(source.read(0).pixels) for _ in range(2)] == [50, 50]
    assert [r.message for r in caplog.records] == [
        f"{tmp_path}/b.heic is left out: it is HEIC: convert it to JPEG, or set the phone to JPEG"
    ]
