"""The things of this machine that a driver needs; a worker reaches nothing else."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True, slots=True)
class Needs:
    """The openings in the walls around a worker, besides its program, its models and its pipe.

    Attributes:
        files: files and folders that it reads, with everything below them.
        devices: device nodes that it opens, or patterns of their paths such as ``/dev/video*``.
        programs: the programs that it starts, by their paths; a worker that names none can start none.
        hotplug: it hears from the kernel which devices come and go, as libusb and libudev want to.
        network: it talks to other machines.
    """

    files: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    hotplug: bool = False
    network: bool = False

    def covers(self, other: Needs) -> bool:
        """Return whether everything of another one is in this one."""
        return (
            set(self.files) >= set(other.files)
            and set(self.devices) >= set(other.devices)
            and set(self.programs) >= set(other.programs)
            and self.hotplug >= other.hotplug
            and self.network >= other.network
        )

    def __or__(self, other: Needs) -> Needs:
        """Return what both need together."""
        return Needs(
            files=self.files + other.files,
            devices=self.devices + other.devices,
            programs=self.programs + other.programs,
            hotplug=self.hotplug or other.hotplug,
            network=self.network or other.network,
        )


def folders_of(files: Collection[str]) -> tuple[str, ...]:
    """Return the folders of files, and those that links to them lead to, sorted."""
    paths = {*files, *map(os.path.realpath, files)}
    return tuple(sorted({os.path.dirname(path) for path in paths}))  # noqa: PTH120 - text


# What every worker reads of the system, whichever wall it is that lets nothing else through.
# Programs and libraries; in a merged /usr the others are links into it.
PROGRAMS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# How the loader, numpy's BLAS (Debian's alternatives) and the clock find their things.
ETC = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime")
# Names and certificates of other machines, for those that talk to some.
ETC_NETWORK = (
    *("/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf"),
    *("/etc/services", "/etc/ssl"),
)
DEVICE_NAMES = ("/sys", "/run/udev")  # where libcamera and libusb look devices up

EVERYTHING = Needs(devices=("/dev",))
"""For a driver that does not declare what it needs, as those written for 0.1: every device node."""

EVERY_FILE = Needs(files=("/",))
"""For a check of files that only the configuration names: all of them, read-only, but no network."""
