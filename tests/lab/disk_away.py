#!/usr/bin/env python3
"""Takes the disk away under a spool that is in use, and gives it back.

    tests/lab/disk_away.py [full readonly-start readonly shutdown]

In a mount namespace of its own (root): a tmpfs that is full; one that is read-only at the start; an ext4
that turns read-only by an error of its own; an ext4 that answers every write and flush with EIO. Events
must be told and handed out all the while, ``state`` must say why they are in memory, and when the disk is
back (the last two are mounted anew) everything that waits must be on it, accounted for.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab_events import event
from verdict import verdict

from edged.spool.disk import DiskSpool
from edged.tools.audit import audit

if TYPE_CHECKING:
    from collections.abc import Callable

EVENTS = 50
HEAL_S = 60.0
SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN
MARK = "EDGED_LAB_MOUNTS"
ISOLATED = ("unshare", "--mount", "--propagation", "private")


def sh(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


class Tmpfs:
    """A disk in memory."""

    def __init__(self, folder: Path) -> None:
        self.at = folder / "disk"
        self.at.mkdir()
        sh("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(self.at))

    def fill(self) -> None:
        with (self.at / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return

    def free(self) -> None:
        (self.at / "filler").unlink()

    def readonly(self) -> None:
        sh("mount", "-o", "remount,ro", str(self.at))

    def writable(self) -> None:
        sh("mount", "-o", "remount,rw", str(self.at))

    def end(self) -> None:
        sh("umount", "-l", str(self.at))


class Ext4:
    """A disk in a file."""

    def __init__(self, folder: Path) -> None:
        self.at = folder / "disk"
        self.at.mkdir()
        self.image = folder / "image"
        with self.image.open("wb") as file:
            file.truncate(32_000_000)
        sh("mkfs.ext4", "-q", str(self.image))
        self.mount()

    def mount(self) -> None:
        sh("mount", "-o", "loop,errors=remount-ro", str(self.image), str(self.at))

    def error(self) -> None:
        device = Path(os.path.realpath(f"/sys/dev/block/{self._device()}")).name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("the laboratory\n", "ascii")

    def shutdown(self) -> None:
        fd = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, (2).to_bytes(4, "little"))  # without flushing the log
        finally:
            os.close(fd)

    def mend(self) -> None:
        """Mount a copy, checked: the one that failed is in use while somebody has a file open there."""
        sh("umount", "-l", str(self.at))
        self.image = shutil.copyfile(self.image, self.image.with_name("mended"))
        subprocess.run(["e2fsck", "-fy", str(self.image)], check=False, capture_output=True)
        self.mount()

    def end(self) -> None:
        sh("umount", "-l", str(self.at))

    def _device(self) -> str:
        number = self.at.stat().st_dev
        return f"{os.major(number)}:{os.minor(number)}"


class Case:
    """One spool, before, while and after."""

    def __init__(self, folder: Path, *, readable: bool = True) -> None:
        self.folder = folder
        self.told: list[bytes] = []
        self.spool = DiskSpool(
            folder, "lab", min_free_mb=0, call_soon=lambda fetch: fetch(), on_committed=self.told.extend
        )
        self.sent = 0
        self.problem = ""
        self.why = ""
        if readable:
            self.send()
            self.expect(self.spool.state == "disk", f"state is {self.spool.state}")

    def expect(self, held: bool, what: str) -> None:
        if not held and not self.problem:
            self.problem = what

    def send(self) -> None:
        """Accept events and wait until all of them are told."""
        for _ in range(EVENTS):
            self.sent += 1
            self.spool.accept(event(f"label {self.sent}"))
        deadline = time.monotonic() + 10
        while len(self.told) < self.sent and time.monotonic() < deadline:
            time.sleep(0.01)
        self.expect(len(self.told) == self.sent, f"{len(self.told)} of {self.sent} were told")

    def away(self) -> None:
        """The disk is away: events come and go."""
        self.send()
        self.why = self.spool.state
        self.expect(self.why.startswith("memory: "), f"state is {self.why}")
        rows = self.spool.pending(20)
        self.expect(len(rows) == 20, f"{len(rows)} of 20 rows were handed out")
        for row in rows[:10]:
            self.spool.acknowledged(row.sequence)
        self.spool.released(row.sequence for row in rows[10:])

    def healed(self) -> float:
        """The disk is back: returns how long it took to notice."""
        started = time.monotonic()
        while self.spool.state != "disk" and time.monotonic() - started < HEAL_S:
            time.sleep(0.05)
        took = time.monotonic() - started
        self.expect(self.spool.state == "disk", f"state is {self.spool.state}")
        self.send()
        self.expect(self.spool.flush(10), "it is not flushed")
        rows = []
        while more := self.spool.pending(500):
            rows += [json.loads(row.payload) for row in more if row.pipeline]
            self.spool.flush(10)
        self.spool.close()
        found = audit(self.folder)
        ids = {data["id"] for data in rows}
        missing = [p for p in self.told if json.loads(p)["id"] not in ids]
        self.expect(len(missing) == 10, f"{len(missing)} are gone, and 10 were acknowledged")
        self.expect(found["balanced"], f"audit: {found}")
        self.expect(not found["dropped"], f"dropped: {found['dropped']}")
        return took


def full(folder: Path) -> tuple[Case, float]:
    disk = Tmpfs(folder)
    case = Case(disk.at)
    disk.fill()
    case.spool.flush(1)
    for _ in range(20):  # the file has some room of its own
        if case.spool.state != "disk":
            break
        case.send()
    case.away()
    disk.free()
    return case, case.healed()


def readonly_start(folder: Path) -> tuple[Case, float]:
    disk = Tmpfs(folder)
    disk.readonly()
    case = Case(disk.at, readable=False)
    case.away()
    disk.writable()
    return case, case.healed()


def readonly(folder: Path) -> tuple[Case, float]:
    disk = Ext4(folder)
    case = Case(disk.at)
    disk.error()
    case.away()
    disk.mend()
    return case, case.healed()


def shutdown(folder: Path) -> tuple[Case, float]:
    disk = Ext4(folder)
    case = Case(disk.at)
    disk.shutdown()
    case.away()
    disk.mend()
    return case, case.healed()


CASES: dict[str, Callable[[Path], tuple[Case, float]]] = {
    "full": full,
    "readonly-start": readonly_start,
    "readonly": readonly,
    "shutdown": shutdown,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of: {list(CASES)}")
    options = parser.parse_args()
    if MARK not in os.environ:
        probe = subprocess.run(
            [*ISOLATED, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True
        )
        if probe.returncode != 0:
            return verdict(
                "disk-away", True, skipped=f"nothing can be mounted: {probe.stderr.decode().strip()}"
            )
        command = [*ISOLATED, sys.executable, *sys.argv]
        return subprocess.run(command, env=os.environ | {MARK: "1"}, check=False).returncode
    status = 0
    for name in options.cases or CASES:
        with tempfile.TemporaryDirectory(prefix="edged-away-", ignore_cleanup_errors=True) as folder:
            try:
                case, took = CASES[name](Path(folder))
                problem, why = case.problem, case.why
            finally:
                subprocess.run(["umount", "-l", f"{folder}/disk"], check=False, capture_output=True)
        status |= verdict(
            f"disk-away {name}", not problem, state=why, healed_s=round(took, 1), problem=problem
        )
    return status


if __name__ == "__main__":
    sys.exit(main())
