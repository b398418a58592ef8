"""The namespaces that workers live in where edged runs by hand: what they see, and bubblewrap's command line.

::

    main ──▶ bwrap ──▶ fork server ──▶ workers
                 user, mount, PID, IPC, UTS and network namespaces; no capability; an empty environment
                 /usr and edged's own Python, read-only; /sys; a /proc and a /dev of their own
                 the devices and files that the configuration names, and nothing else

Under systemd the units do the same with another user (``systemd/edged-workers.service``), and bubblewrap is
not used. It needs no privilege beyond user namespaces, which Debian's and Raspberry Pi OS's kernels have.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import edged
from edged.system.needs import DEVICE_NAMES, ETC, ETC_NETWORK, PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edged.system.needs import Needs

# One thread for linear algebra, which edged hardly does, and one heap: more of either wastes memory. OpenCV
# decodes no picture that is larger than edged's own bound (edged.sources.picture_header), and neither it nor
# FFmpeg logs anything: edged has sentences of its own, with the pipeline's name and without an address.
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(1 << 26),
    "OPENCV_LOG_LEVEL": "SILENT",
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
}
_HOME = "/nonexistent"
_SPACES = ("user", "pid", "ipc", "uts")
_KEPT_VARIABLES = ("LANG", "LC_ALL", "TZ", "LIBCAMERA_LOG_LEVELS")
_DEVELOPMENT = ("PYTHONPATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "QEMU_CPU")
_ALL_DEVICES = "/dev"
_TERMINALS = "/dev/pts"  # where a virtual serial port is, such as one of socat
_TRIED_S = 10.0

_Identity = tuple[int, int, int, bool]  # device, inode, the node's own device, whether it is a regular file
Signature = dict[str, _Identity | None]


@cache
def bubblewrap() -> str | None:
    """Return the path of bubblewrap; None where it is not installed, or may make no namespaces here."""
    found = shutil.which("bwrap")
    if found is None:
        return None
    spaces = [f"--unshare-{name}" for name in (*_SPACES, "net")]
    attempt = [found, *spaces, "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "/bin/true"]
    try:
        done = subprocess.run(attempt, capture_output=True, check=False, timeout=_TRIED_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found if done.returncode == 0 else None


def command(
    program: Sequence[str], needs: Needs, *, bwrap: str, folder: str = "/", first: bool = False
) -> list[str]:
    """Return the command that runs a program in namespaces of its own.

    Args:
        program: the command; a Python of ``edged.system.child.interpreter``.
        needs: what it may reach.
        bwrap: bubblewrap.
        folder: the current folder there, from which relative paths are looked for.
        first: the program is the first process there, and no process of bubblewrap's, which has no filter, is
            beside it. Such a program collects orphans, and signals that it sends to itself do not end it.
    """
    spaces = _SPACES if needs.network else (*_SPACES, "net")
    line = [bwrap, *(f"--unshare-{name}" for name in spaces), "--unshare-cgroup-try"]
    line += ["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "edged"]
    line += ["--as-pid-1"] if first else []
    line += [*_readable(needs), "--proc", "/proc", *_devices(needs), *_current(folder), "--clearenv"]
    for name, value in environment().items():
        line += ["--setenv", name, value]
    return [*line, "--", *program]


def _current(folder: str) -> tuple[str, ...]:
    return ("--chdir", "/") if folder == "/" else ("--dir", folder, "--chdir", folder)


def environment() -> dict[str, str]:
    """Return the environment of the fork server and of every worker: what they need, and no secret."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    if not sys.flags.isolated:  # a person or a test that runs another checkout
        kept |= {name: value for name, value in os.environ.items() if name in _DEVELOPMENT}
    return {**kept, **ENVIRONMENT, "HOME": _HOME, "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}


def nodes(needs: Needs) -> list[str]:
    """Return the device nodes, and folders of them, that are there now."""
    found: set[str] = set()
    for pattern in needs.devices:
        found |= {str(path) for path in Path("/").glob(pattern.lstrip("/"))}
    return sorted(found | {os.path.realpath(path) for path in found})


def signature(needs: Needs) -> Signature:
    """Return what changes when a device or a file comes, goes, or is another one."""
    return {path: _identity(path) for path in (*nodes(needs), *needs.files)}


def is_stale(before: Signature, now: Signature) -> bool:
    """Return whether a single file that workers see was replaced: they still see the old one."""
    return any(before.get(path) not in (None, found) for path, found in now.items() if found and found[-1])


def _readable(needs: Needs) -> Iterator[str]:
    if "/" in needs.files:
        yield from ("--ro-bind", "/", "/", "--tmpfs", "/run")  # where the sockets of other services are
        return
    for path in PROGRAMS:
        if os.path.islink(path):  # noqa: PTH114 - a link of a merged /usr
            yield from ("--symlink", os.readlink(path), path)  # noqa: PTH115 - its text, not its target
        elif os.path.isdir(path):  # noqa: PTH112 - beside the one above
            yield from ("--ro-bind", path, path)
    yield from ("--tmpfs", "/tmp")  # noqa: S108 - of its own, and empty
    named = (*needs.files, *needs.programs, *map(os.path.realpath, needs.programs))
    for path in (
        *ETC,
        *(ETC_NETWORK if needs.network else ()),
        *DEVICE_NAMES,
        *python_folders(),
        *sorted(set(named)),
    ):
        if not path.startswith(("/usr/", "/sys/")):
            yield from ("--ro-bind-try", path, path)


def _devices(needs: Needs) -> Iterator[str]:
    if _ALL_DEVICES in needs.devices:
        yield from ("--dev-bind", _ALL_DEVICES, _ALL_DEVICES)
    else:
        yield from ("--dev", _ALL_DEVICES)
        if any(path.startswith(f"{_TERMINALS}/") for path in nodes(needs)):
            yield from ("--tmpfs", _TERMINALS)  # no node can be put into the file system of terminals
    for path in nodes(needs):
        if path != _ALL_DEVICES:
            yield from ("--dev-bind-try", path, path)


def python_folders() -> list[str]:
    """Return the folders of this Python, of its packages, and of edged itself, outermost first."""
    wanted = {sys.prefix, sys.base_prefix, sys.exec_prefix, str(Path(edged.__file__).parent)}
    wanted |= {path for path in sys.path if path and os.path.isabs(path)}  # noqa: PTH117 - text
    for name in ("PYTHONPATH", "LD_LIBRARY_PATH"):
        wanted |= {path for path in environment().get(name, "").split(os.pathsep) if os.path.isabs(path)}  # noqa: PTH117 - text
    wanted |= {os.path.realpath(path) for path in wanted}
    found = sorted(path for path in wanted if os.path.exists(path))  # noqa: PTH110 - text
    inside = ("/usr/", *(f"{path}/" for path in found))
    return [path for path in found if path != "/usr" and not f"{path}/".startswith(_others(path, inside))]


def _others(path: str, folders: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(folder for folder in folders if folder != f"{path}/")


def _identity(path: str) -> _Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - text
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_rdev, stat.S_ISREG(found.st_mode)
