from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from edged.supervisor import model_cache
from edged.supervisor.model_cache import ModelCache

if TYPE_CHECKING:
    from pathlib import Path


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough


def read_all(paths: list[Path], shelf: ModelCache) -> dict[str, bytes]:
    found = asyncio.run(shelf.fetch_all(paths))
    try:
        return {path.name: os.pread(fd, 1 << 20, 0) for path, fd in found.items()}
    finally:
        for fd in found.values():
            os.close(fd)


def test_a_model_is_what_the_disk_has_now(tmp_path: Path) -> None:
    shelf, file = ModelCache(), tmp_path / "m.tflite"
    file.write_bytes(b"one")
    assert read_all([file], shelf) == {"m.tflite": b"one"}
    file.write_bytes(b"another")
    assert read_all([file], shelf) == {"m.tflite": b"another"}
    file.unlink()
    assert read_all([file], shelf) == {}
    shelf.close()


def test_workers_that_start_at_once_share_one_copy(tmp_path: Path) -> None:
    shelf, file = ModelCache(), tmp_path / "m.tflite"
    file.write_bytes(b"one")

    async def fetch() -> list[dict[Path, int]]:
        return await asyncio.gather(*(shelf.fetch_all([file]) for _ in range(4)))

    found = [descriptor for each in asyncio.run(fetch()) for descriptor in each.values()]
    assert len(found) == 4
    assert len({os.fstat(descriptor).st_ino for descriptor in found}) == 1
    for descriptor in found:
        os.close(descriptor)
    shelf.close()


def test_nobody_can_change_it(tmp_path: Path) -> None:
    shelf, file = ModelCache(), tmp_path / "m.tflite"
    file.write_bytes(b"one")
    (fd,) = asyncio.run(shelf.fetch_all([file])).values()
    with pytest.raises(PermissionError):
        os.pwrite(fd, b"two", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 1)
    os.close(fd)
    shelf.close()


def test_what_can_be_no_model_is_left_out(tmp_path: Path) -> None:
    shelf = ModelCache()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "good").write_bytes(b"good")
    paths = [tmp_path / name for name in ("fifo", "folder", "empty", "absent", "good")]
    assert read_all(paths, shelf) == {"good": b"good"}
    shelf.close()


def test_a_disk_that_hangs_costs_seconds_and_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf, file = ModelCache(), tmp_path / "m.tflite"
    file.write_bytes(b"one")
    before = descriptors()

    async def scenario() -> None:
        goes_on, copied = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        copy = model_cache._copy

        def hang(path: Path, kept: tuple[int, int, int, int] | None) -> object:
            asyncio.run_coroutine_threadsafe(goes_on.wait(), loop).result()
            found = copy(path, kept)
            loop.call_soon_threadsafe(copied.set)
            return found

        monkeypatch.setattr(model_cache, "_copy", hang)
        monkeypatch.setattr(model_cache, "PATIENCE_S", 0.05)
        assert await shelf.fetch_all([file]) == {}
        goes_on.set()
        await asyncio.wait_for(copied.wait(), 20)
        await asyncio.sleep(0.05)  # for the thread to hand its copy over

    asyncio.run(scenario())
    shelf.close()
    assert descriptors() == before


def test_what_nobody_uses_is_given_back(tmp_path: Path) -> None:
    before = descriptors()
    shelf = ModelCache()
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode())
        read_all([tmp_path / name], shelf)
    assert descriptors() == before + 3
    shelf.keep({tmp_path / "b"})
    assert descriptors() == before + 1
    shelf.close()
    shelf.close()
    assert descriptors() == before
