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


def plug(root: Path, port: str = "2-1", number: int = 4, *, ready: bool = False) -> Path:
    """Plug a stick in; return its node."""
    folder, node = root / "sys/bus/usb/devices" / port, root / f"dev/bus/usb/002/{number:03}"
    for path in (folder, node.parent):
        path.mkdir(parents=True, exist_ok=True)
    vendor, product = ("18d1", "9302") if ready else ("1a6e", "089a")
    values = {"idVendor": vendor, "idProduct": product, "busnum": "2", "devnum": str(number)}
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
    assert asked == [{"device": "usb:0"}]


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


# Sticks by port and whether they have their firmware; what is asked for; what the library is asked for.
PORTS = [
    ({"2-1": True}, "usb", "usb:0"),
    ({"2-1": True}, ":0", "usb:0"),
    ({"2-1": True, "2-2": True}, "usb:0", "usb:1"),
    ({"2-1": True, "2-2": True}, "usb:1", "usb:0"),
    ({"2-1": True, "2-2": False}, "usb:0", "usb:1"),
    ({"2-1": False, "2-2": True}, "usb:0", "usb:0"),
    ({"2-1": False, "2-2": True}, "usb", "usb:0"),
    ({"2-1": False, "2-2": True}, "usb@2-2", "usb:1"),
    ({"2-2": True, "2-10": True}, "usb:1", "usb:1"),
    ({"2-1.4": True, "2-1.1": True, "1-2": False}, "usb:0", "usb:0"),
    ({"2-1.4": True, "2-1.1": True, "1-2": False}, "usb:2", "usb:1"),
]


@pytest.mark.parametrize(("sticks", "device", "told"), PORTS)
def test_numbers_are_those_of_ports_whatever_the_library_counts(
    tmp_path: Path, asked: list[dict[str, str]], sticks: dict[str, bool], device: str, told: str
) -> None:
    for number, (port, ready) in enumerate(sticks.items()):
        plug(tmp_path, port, number, ready=ready)
    edgetpu.open_delegate("auto", "lib.so", device, root=tmp_path)
    assert asked == [{"device": told}]


@pytest.mark.parametrize("device", ["usb:1", "usb@2-2", ":1"])
def test_a_stick_that_is_not_there_is_absent_although_another_one_is(
    tmp_path: Path, asked: list[dict[str, str]], device: str
) -> None:
    plug(tmp_path)
    with pytest.raises(Unavailable, match=r"there is one on port 2-1") as caught:
        edgetpu.open_delegate("auto", "lib.so", device, root=tmp_path)
    assert caught.value.reason is Reason.ABSENT
    assert asked == []


def test_without_sticks_the_library_is_asked_as_configured(
    tmp_path: Path, asked: list[dict[str, str]]
) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/apex_0").touch()
    for device in ("usb", "usb:1", ":0", "pci:0"):
        edgetpu.open_delegate("auto", "lib.so", device, root=tmp_path)
    plug(tmp_path)
    edgetpu.open_delegate("auto", "lib.so", ":1", root=tmp_path)  # counts the card, too
    assert [options["device"] for options in asked] == ["usb", "usb:1", ":0", "pci:0", ":1"]


def test_sticks_are_opened_one_after_the_other(
    tmp_path: Path, asked: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edgetpu, "TURN_S", 0.0)
    plug(tmp_path)
    bus = os.open(tmp_path / "dev/bus/usb", os.O_RDONLY)
    fcntl.flock(bus, fcntl.LOCK_EX)
    with pytest.raises(DeviceBusy, match="opening an Edge TPU for too long"):
        edgetpu.open_delegate("auto", "lib.so", "usb", root=tmp_path)
    os.close(bus)
    edgetpu.open_delegate("auto", "lib.so", "usb", root=tmp_path)
    assert len(asked) == 1


def test_one_that_hung_is_reset_once_before_it_is_opened(
    tmp_path: Path, asked: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    resets: list[int] = []

    def ioctl(_descriptor: int, request: int) -> int:
        assert asked == []
        resets.append(request)
        return 0

    monkeypatch.setattr(edgetpu.fcntl, "ioctl", ioctl)
    plug(tmp_path)
    for _ in range(2):  # two pipelines of one worker
        edgetpu.open_delegate("auto", "lib.so", "usb", reset=True, root=tmp_path)
    assert resets == [0x5514]  # USBDEVFS_RESET of linux/usbdevice_fs.h
    assert len(asked) == 2


def test_one_that_loses_its_firmware_by_a_reset_is_waited_for(
    tmp_path: Path, asked: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edgetpu, "UDEV_S", 5.0)
    plug(tmp_path, ready=True)
    port = tmp_path / "sys/bus/usb/devices/2-1"

    def ioctl(_descriptor: int, _request: int) -> int:
        for file in port.iterdir():
            file.unlink()
        return 0

    def sleep(_seconds: float) -> None:
        plug(tmp_path, number=9)

    monkeypatch.setattr(edgetpu.fcntl, "ioctl", ioctl)
    monkeypatch.setattr(edgetpu.time, "sleep", sleep)
    edgetpu.open_delegate("auto", "lib.so", "usb", reset=True, root=tmp_path)
    assert asked == [{"device": "usb:0"}]
    with (tmp_path / "dev/bus/usb/002/009").open("r+b") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_one_that_cannot_be_reset_is_opened_all_the_same(
    tmp_path: Path, asked: list[dict[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    plug(tmp_path)  # whose node is a file, which has no such request
    edgetpu.open_delegate("auto", "lib.so", "usb", reset=True, root=tmp_path)
    assert "port 2-1 cannot be reset" in caplog.text
    assert len(asked) == 1
