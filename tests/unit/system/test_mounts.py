from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from edged.system.mounts import in_memory

if TYPE_CHECKING:
    from pathlib import Path

DISK = "22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/root rw"
CARD = "30 22 0:30 / /boot rw - vfat /dev/mmcblk0p1 rw"
# raspi-config's overlay: its upper layer is a tmpfs that nothing shows any more.
RASPI = (
    "22 1 0:20 / / rw,noatime - overlay overlay rw,lowerdir=/lower,upperdir=/upper/upper,workdir=/upper/work"
)
OVERLAYROOT = (
    "22 1 0:20 / / rw - overlay overlayroot rw,lowerdir=/ro,upperdir=/media/root-rw/overlay,workdir=/x",
    "23 22 0:21 / /media/root-rw rw - tmpfs tmpfs-root rw",
)
CONTAINER = "22 1 0:20 / / rw - overlay overlay rw,upperdir=/var/lib/docker/overlay2/0c/diff,workdir=/w"


@pytest.mark.parametrize(
    ("mounts", "kind"),
    [
        ((DISK, CARD), ""),
        ((DISK, "31 22 0:31 / /var rw - tmpfs tmpfs rw"), "tmpfs"),
        ((DISK, "31 22 0:31 / /var/lib/ed\\040ged rw - tmpfs tmpfs rw"), ""),
        (("21 1 0:9 / / rw - tmpfs t rw", DISK), ""),
        ((RASPI,), "overlay in memory"),
        (OVERLAYROOT, "overlay in memory"),
        ((CONTAINER,), ""),
        ((), ""),
    ],
)
def test_a_folder_that_a_reboot_empties(tmp_path: Path, mounts: tuple[str, ...], kind: str) -> None:
    (tmp_path / "mountinfo").write_text("\n".join(mounts) + "\n")
    folder = type(tmp_path)("/var/lib/edged-not-there")
    assert in_memory(folder, tmp_path / "mountinfo") == kind
    assert in_memory(folder, tmp_path / "none") == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_real_overlay_on_a_tmpfs(tmp_path: Path) -> None:
    script = f"""
        mount -t tmpfs t {tmp_path} && cd {tmp_path} && mkdir up work low all &&
        mount -t overlay overlay -o lowerdir=low,upperdir={tmp_path}/up,workdir={tmp_path}/work all || exit 9
        for folder in up all; do
            python -c "import sys, pathlib; from edged.system.mounts import in_memory
print(in_memory(pathlib.Path(sys.argv[1])))" {tmp_path}/$folder
        done
    """
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", script], capture_output=True, text=True, check=False
    )
    if done.returncode == 9:
        pytest.skip("mounts are not possible here")
    assert done.stdout.splitlines() == ["tmpfs", "overlay in memory"], done.stderr
