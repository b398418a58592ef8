from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING

import pytest

from edged.errors import DeviceBusy, Reason, Unavailable
from edged.inference import edgetpu

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What the runtime was asked for; it opens whatever it is asked for."""
    found: list[dict[str, str]] = []

    def load(_runtime: str, _library: str, options: dict[str, str]) -> object:
        found.append(options)
        return object()

    monkeypatch.setattr(edgetpu.runtimes, "load_delegate", load)
    monkeypatch.setattr(edgetpu, "look_for", lambda _library: None)
    monkeypatch.setattr(edgetpu, "UDEV_S", 0.0)
    monkeypatch.setattr(edgetpu, "_locked", {})
    return found


def plug(root: Path, port: str = "2-1", number: int = 4) -> Path:
    """Plug a stick in; return its node."""
    folder, node = root / "sys/bus/usb/devices" / port, root / f"dev/bus/usb/002/{number:03}"
    for path in (folder, node.parent):
        path.mkdir(parents=True, exist_ok=True)
    values = {"idVendor": "1a6e", "idProduct": "089a", "busnum": "2", "devnum": str(number)}
    for name, value in values.items():
        (folder / name).write_text(f"{value}\n")
    node.touch()
    return node


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.EACCES, "group plugdev"), (errno.EPERM, "DeviceAllow=char-usb_device rw")]
)
def test_one_that_may_not_be_opened_is_denied_before_the_library_is_asked(
    tmp_path: Path, asked: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    node = plug(tmp_path)

    def refuse(path: Path, _flags: int) -> int:
        raise PermissionError(number, os.strerror(number), str(path))

    monkeypatch.setattr(edgetpu.os, "open", refuse)
    with pytest.raises(Unavailable, match=remedy) as caught:
        edgetpu.open_delegate("auto", "lib.so", "usb", root=tmp_path)
    assert caught.value.reason is Reason.DENIED
    assert str(node) in str(caught.value)
    assert asked == []


def test_one_that_another_process_holds_is_not_reset_under_it(
    tmp_path: Path, asked: list[dict[str, str]]
) -> None:
    with plug(tmp_path).open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DeviceBusy):
            edgetpu.open_delegate("auto", "lib.so", "usb", root=tmp_path)
    assert asked == []
    edgetpu.open_delegate("auto", "lib.so", "usb", root=tmp_path)
    assert asked == [{"device": "usb"}]


def test_it_is_locked_for_the_life_of_the_process_and_may_be_opened_twice_there(
    tmp_path: Path, asked: list[dict[str, str]]
) -> None:
    node = plug(tmp_path)
    for _ in range(2):
        edgetpu.open_delegate("auto", "lib.so", "usb", root=tmp_path)
    with node.open("r+b") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert len(asked) == 2


def test_the_node_that_it_has_with_its_firmware_is_locked_too(
    tmp_path: Path, asked: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = plug(tmp_path)
    new: list[Path] = []

    def load(_runtime: str, _library: str, options: dict[str, str]) -> object:
        asked.append(options)
        old.unlink()
        new.append(plug(tmp_path, number=5))
        return object()

    monkeypatch.setattr(edgetpu.runtimes, "load_delegate", load)
    edgetpu.open_delegate("auto", "lib.so", "usb", root=tmp_path)
    with new[0].open("r+b") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
