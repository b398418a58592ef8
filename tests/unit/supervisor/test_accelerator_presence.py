from __future__ import annotations

from typing import TYPE_CHECKING

from edged.supervisor.accelerator_presence import Presence

if TYPE_CHECKING:
    from pathlib import Path


def plug(root: Path, port: str, vendor: str, product: str) -> None:
    folder = root / "sys/bus/usb/devices" / port
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "idVendor").write_text(f"{vendor}\n")
    (folder / "idProduct").write_text(f"{product}\n")


def unplug(root: Path, port: str) -> None:
    folder = root / "sys/bus/usb/devices" / port
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def test_a_machine_without_usb_has_none(tmp_path: Path) -> None:
    presence = Presence(tmp_path)
    assert presence.devices() == frozenset()
    assert not presence.appeared()


def test_an_edge_tpu_that_is_plugged_in_appears_once(tmp_path: Path) -> None:
    plug(tmp_path, "usb1", "1d6b", "0002")
    plug(tmp_path, "1-1", "046d", "0825")
    presence = Presence(tmp_path)
    plug(tmp_path, "2-1", "1a6e", "089a")
    assert presence.appeared()
    assert not presence.appeared()
    unplug(tmp_path, "2-1")
    assert not presence.appeared()
    plug(tmp_path, "2-1", "18d1", "9302")
    assert presence.appeared()


def test_one_that_got_its_firmware_did_not_appear(tmp_path: Path) -> None:
    plug(tmp_path, "2-1", "1a6e", "089a")
    presence = Presence(tmp_path)
    plug(tmp_path, "2-1", "18d1", "9302")
    assert not presence.appeared()


def test_an_interface_and_a_half_gone_device_are_none(tmp_path: Path) -> None:
    plug(tmp_path, "2-1:1.0", "1a6e", "089a")
    (tmp_path / "sys/bus/usb/devices/3-1").mkdir()
    assert Presence(tmp_path).devices() == frozenset()


def test_a_card_appears_too(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    presence = Presence(tmp_path)
    (tmp_path / "dev/apex_0").touch()
    assert presence.appeared()
    assert presence.devices() == {"apex_0"}
