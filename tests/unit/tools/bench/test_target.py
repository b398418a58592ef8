from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from edged.errors import Refused
from edged.tools.bench.target import Target

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")
    target = Target(path)
    assert path.read_text() == "old"
    target.write(b"new")
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["out.json"]  # noqa: PTH208 - only names


def test_trying_a_target_makes_no_file(tmp_path: Path) -> None:
    Target(tmp_path / "out.json")
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real/file")
    Target(tmp_path / "out").write(b"new")
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "real/file").read_bytes() == b"new"


def test_a_device_is_written_to(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    Target(fifo).write(b"new")
    assert os.read(reader, 10) == b"new"
    os.close(reader)
    assert fifo.is_fifo()


def test_what_cannot_be_written_is_refused_beforehand(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, why in (
        (tmp_path, "it is a folder"),
        (tmp_path / "none" / "out.json", "no such file or directory"),
        (tmp_path / "file" / "out.json", "not a directory"),
    ):
        with pytest.raises(Refused, match=f"{path} cannot be written: {why}") as refused:
            Target(path)
        assert refused.value.status == os.EX_CANTCREAT


def test_a_folder_that_goes_meanwhile_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target = Target(tmp_path / "folder" / "out.json")
    (tmp_path / "folder").rmdir()
    with pytest.raises(Refused, match="cannot be written: no such file"):
        target.write(b"new")
