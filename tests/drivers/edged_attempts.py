"""Everything that an attacker who runs code in a worker could try, so that a test sees what becomes of it.

Each attempt is harmless where it succeeds: it sends one word to a listener of the test, opens a file without
changing it, or sends signal 0. Its name begins with the finding of the threat review that it repeats.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Attempt = Callable[[], object]
WORD = b"row 7 of the porch"
_NUMBERS = {
    "x86_64": {
        "ioctl": 16,
        "ptrace": 101,
        "mount": 165,
        "init_module": 175,
        "add_key": 248,
        "keyctl": 250,
        "unshare": 272,
        "perf_event_open": 298,
        "open_by_handle_at": 304,
        "setns": 308,
        "process_vm_readv": 310,
        "seccomp": 317,
        "bpf": 321,
        "userfaultfd": 323,
    },
    "aarch64": {
        "ioctl": 29,
        "ptrace": 117,
        "mount": 40,
        "init_module": 105,
        "add_key": 217,
        "keyctl": 219,
        "unshare": 97,
        "perf_event_open": 241,
        "open_by_handle_at": 265,
        "setns": 268,
        "process_vm_readv": 270,
        "seccomp": 277,
        "bpf": 280,
        "userfaultfd": 282,
    },
}[os.uname().machine]
_PTRACE_SEIZE, _CLONE_NEWUSER = 0x4206, 0x10000000
_IO_URING_SETUP, _FSOPEN, _CLONE3, _PIDFD_GETFD = 425, 430, 435, 438  # the same everywhere
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _TIOCSTI, _UEVENTS = 1, 4, 0x5412, 15
_READ_WRITE = 3  # of mprotect(2)
_HARMLESS = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"}
_REFUSED = {errno.EPERM, errno.EACCES, errno.ENOSYS}


def results(targets: dict[str, Any]) -> dict[str, str]:
    """Try everything.

    Args:
        targets: the test's own folders, listeners and processes, by what they are.

    Returns:
        ``done``, or the name of the error, by the attempt's name.
    """
    return {name: _outcome(attempt) for name, attempt in _attempts(targets)}


def _outcome(attempt: Attempt) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return "done"


def _attempts(targets: dict[str, Any]) -> Iterator[tuple[str, Attempt]]:
    yield from _files(targets)
    yield from _processes(targets)
    yield from _sockets(targets)
    yield from _kernel(targets)
    yield from _own(targets)


def _files(targets: dict[str, Any]) -> Iterator[tuple[str, Attempt]]:
    home, state, secrets = (Path(targets[name]) for name in ("home", "state", "secrets"))
    yield "C1 plant code in the home", lambda: _create(home / "evil.pth")
    yield "C1 plant code beside what runs", lambda: _create(state / "evil.py")
    yield "H1 change the spool", lambda: _open(state / "spool.db", os.O_WRONLY)
    yield "H1 exchange the spool", lambda: os.rename(state / "spool.db", state / "spool.old")  # noqa: PTH104 - text
    yield "H1 remove the spool", (state / "spool.old").unlink
    yield "H4 read the broker's password", lambda: _open(secrets / "password", os.O_RDONLY)
    yield "H4 read the configuration", lambda: _open(secrets / "edged.yaml", os.O_RDONLY)
    yield "M7 exchange the folder of models", lambda: (state / "models").symlink_to("/root")
    yield "L7 leave a file in shared memory", lambda: _create(Path(f"/dev/shm/edged-{os.getpid()}"))  # noqa: S108 - the attempt
    yield "L11 open a device of others", lambda: _open(Path(targets["device"]), os.O_RDWR)
    yield "L11 open another device in sight", _any_device


def _create(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
    path.unlink()


def _open(path: Path, flags: int) -> None:
    os.close(os.open(path, flags | os.O_NONBLOCK))


def _any_device() -> None:
    last = OSError(errno.ENOENT, "none in sight")
    for path in sorted(Path("/dev").rglob("*")):
        if (
            path.name in _HARMLESS
            or path.is_symlink()
            or not (path.is_char_device() or path.is_block_device())
        ):
            continue
        try:
            _open(path, os.O_RDWR)
        except OSError as error:
            last = error
        else:
            return
    raise last


def _processes(targets: dict[str, Any]) -> Iterator[tuple[str, Attempt]]:
    in_sight = {"parent": os.getppid(), "first": 1, **targets["processes"]}
    for name, pid in in_sight.items():
        yield f"C2 memory of {name}", lambda pid=pid: _open(Path(f"/proc/{pid}/mem"), os.O_RDWR)
        yield f"H4 environment of {name}", lambda pid=pid: Path(f"/proc/{pid}/environ").read_bytes()
        yield f"M2 signal to {name}", lambda pid=pid: os.kill(pid, 0)
        yield f"M2 handle of {name}", lambda pid=pid: os.close(os.pidfd_open(pid))
    yield "M2 signal to all", lambda: os.kill(-1, 0)
    pid = targets["processes"]["sibling"]
    yield "C2 trace a sibling", lambda: _call(_NUMBERS["ptrace"], _PTRACE_SEIZE, pid, 0, 0)
    yield "C2 read of a sibling", lambda: _call(_NUMBERS["process_vm_readv"], pid, 0, 0, 0, 0, 0)
    yield "M2 signal by the kernel", lambda: fcntl.fcntl(2, fcntl.F_SETOWN, os.getppid())


def _sockets(targets: dict[str, Any]) -> Iterator[tuple[str, Attempt]]:
    path, abstract = targets["unix"], "\0" + targets["abstract"]
    for kind, address in (("path", path), ("abstract", abstract)):
        yield f"H2 send to a host service ({kind})", lambda address=address: _send(socket.AF_UNIX, address)
        yield f"H2 send by a socket pair ({kind})", lambda address=address: _send_by_pair(address)
    yield "H2 network configuration (netlink)", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    yield "H2 device events (netlink)", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _UEVENTS)
    yield "C2 send by UDP", lambda: _send(socket.AF_INET, ("127.0.0.1", targets["udp"]))
    yield "C2 connect by TCP", lambda: _connect(targets["tcp"])
    yield "C2 raw packets", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)


def _send(family: int, address: Any) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.sendto(WORD, address)


def _send_by_pair(address: str) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.sendto(WORD, address)


def _connect(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 2) as connection:
        connection.send(WORD)


def _kernel(_targets: dict[str, Any]) -> Iterator[tuple[str, Attempt]]:
    calls = {
        "userfaultfd": (_NUMBERS["userfaultfd"], 1),
        "keyring": (_NUMBERS["keyctl"], 0, -3, 0),
        "add_key": (_NUMBERS["add_key"], 0, 0, 0, 0, 0),
        "perf_event_open": (_NUMBERS["perf_event_open"], 0, 0, -1, -1, 0),
        "bpf": (_NUMBERS["bpf"], 0, 0, 0),
        "io_uring": (_IO_URING_SETUP, 1, 0),
        "mount": (_NUMBERS["mount"], 0, 0, 0, 0, 0),
        "a file system": (_FSOPEN, 0, 0),
        "a kernel module": (_NUMBERS["init_module"], 0, 0, 0),
        "a file by its number": (_NUMBERS["open_by_handle_at"], -1, 0, 0),
        "another's namespace": (_NUMBERS["setns"], -1, 0),
        "another's descriptor": (_PIDFD_GETFD, -1, 0, 0),
        "clone3": (_CLONE3, 0, 0),
        "another filter": (_NUMBERS["seccomp"], 99, 0, 0),
        "typing on a terminal": (_NUMBERS["ioctl"], 0, _TIOCSTI, 0),
    }
    for name, numbers in calls.items():
        yield f"M9 {name}", lambda numbers=numbers: _reach(*numbers)


def _call(number: int, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(*(ctypes.c_long(each) for each in (number, *arguments))) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _reach(number: int, *arguments: int) -> None:
    """Make a call whose arguments make no sense: the kernel looked at them, or did not let it come so far."""
    try:
        _call(number, *arguments)
    except OSError as error:
        if error.errno in _REFUSED:
            raise


def _own(_targets: dict[str, Any]) -> Iterator[tuple[str, Attempt]]:
    """Give attempts on what the worker holds; the last one changes the process that makes it."""
    yield "M1 shrink what it shares with main", _shrink
    yield "M1 write what sensors read", _forge
    yield "C1 start a program", lambda: subprocess.run(["/bin/true"], check=True)
    yield "C2 open itself to others", lambda: _own_option(_PR_SET_DUMPABLE, 1)
    yield "M2 outlive main", lambda: _own_option(_PR_SET_PDEATHSIG, 0)
    yield "H4 main's environment", _inherited
    yield "M9 a user namespace", lambda: _call(_NUMBERS["unshare"], _CLONE_NEWUSER)


def _shrink() -> None:
    last = OSError(errno.ENOENT, "nothing is shared")
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are enough
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith("/memfd:edged-"):  # noqa: PTH115 - not a path
                os.ftruncate(int(name), 0)
                return
        except OSError as error:
            last = error
    raise last


def _forge() -> None:
    """Make the readings page writable: its mapping, or what is left of its descriptor."""
    last = OSError(errno.ENOENT, "no readings in sight")
    libc = ctypes.CDLL(None, use_errno=True)
    for line in Path("/proc/self/maps").read_text().splitlines():
        if "/memfd:edged-readings" in line:
            start, end = (int(each, 16) for each in line.split()[0].split("-"))
            if libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _READ_WRITE) == 0:
                return
            last = OSError(ctypes.get_errno(), "mprotect")
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are enough
        path = Path(f"/proc/self/fd/{name}")
        if path.exists() and str(path.readlink()).startswith("/memfd:edged-readings"):
            _open(path, os.O_RDWR)
            return
    raise last


def _own_option(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _inherited() -> None:
    if not any("EDGED_TEST_SECRET" in name for name in os.environ):
        raise OSError(errno.ENOENT, "not inherited")
