from __future__ import annotations

import getpass
import os
import pwd
from typing import TYPE_CHECKING

import pytest

from edged.config.outputs import SpoolSection
from edged.spool.disk import NAME
from edged.tools.doctor.checks import state_dir
from unit.tools.doctor.doubles import GOOD, subject

if TYPE_CHECKING:
    from pathlib import Path

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may be somebody else")
UNIT = {"LoadState": "loaded", "User": getpass.getuser()}


def text(folder: Path, spool: str = "") -> str:
    return f"state_dir: {folder}\n{spool}{GOOD}"


def test_without_a_configuration_it_is_skipped() -> None:
    assert state_dir.state_dir(subject()).status == "skipped"


def test_a_folder_that_can_be_written(tmp_path: Path) -> None:
    found = state_dir.state_dir(subject(text(tmp_path), unit=UNIT))
    assert found.status == "ok"
    assert "MB free; no event was queued yet" in found.detail


def test_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    found = state_dir.state_dir(subject(text(tmp_path / "a" / "b"), unit=None))
    assert found.status == "ok"
    found = state_dir.state_dir(subject(text(tmp_path / "a" / "b"), unit=UNIT))
    assert (found.status, "systemd creates it" in found.detail) == ("ok", True)


@AS_ROOT
def test_a_folder_of_somebody_else_names_the_command(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o005 == 0o005:
            break  # from here up others may pass already
        folder.chmod(0o755)
    found = state_dir.state_dir(subject(text(tmp_path), unit=UNIT | {"User": "nobody"}))
    assert found.status == "error"
    assert f"sudo chown nobody: {tmp_path}" in found.fix
    os.chown(tmp_path, pwd.getpwnam("nobody").pw_uid, -1)
    assert state_dir.can_write(tmp_path, "nobody")


def test_a_folder_that_cannot_be_made_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_dir, "can_write", lambda _folder, _user: False)
    found = state_dir.state_dir(subject(text(tmp_path / "state"), unit={"LoadState": "not-found"}))
    assert found.status == "error"
    assert "does not exist, and" in found.detail
    assert found.fix.endswith(f"-m 700 {tmp_path}/state")


@AS_ROOT
def test_who_is_not_root_may_not_be_able_to_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    assert state_dir.can_write(tmp_path, "nobody") is None
    found = state_dir.state_dir(subject(text(tmp_path), unit=UNIT | {"User": "nobody"}))
    assert (found.status, "as root" in found.fix) == ("skipped", True)
    os.chown(tmp_path, pwd.getpwnam("nobody").pw_uid, -1)
    assert state_dir.can_write(tmp_path, "nobody")


def test_of_a_user_that_this_machine_does_not_know_nothing_can_be_told(tmp_path: Path) -> None:
    assert state_dir.can_write(tmp_path, "no-such-user") is None


@pytest.mark.parametrize(
    ("section", "status"),
    [
        (SpoolSection(), "ok"),
        (SpoolSection(max_mb=1_000_000, min_free_mb=0), "warning"),
        (SpoolSection(min_free_mb=1_000_000), "error"),
    ],
)
def test_room(tmp_path: Path, section: SpoolSection, status: str) -> None:
    assert os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize < 1e12, "a disk of a TB"
    assert state_dir.room(tmp_path, tmp_path / NAME, section).status == status


def test_a_spool_that_cannot_be_read_as_one_is_an_error(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    found = state_dir.balance(tmp_path)
    assert found.status == "error"


def test_a_folder_in_memory_gets_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_dir.mounts, "in_memory", lambda _folder: "tmpfs")
    found = state_dir.state_dir(subject(text(tmp_path), unit=UNIT))
    assert found.status == "warning"
    assert f"{tmp_path} is in memory (tmpfs): a reboot" in found.detail
    assert "overlay" in found.fix
