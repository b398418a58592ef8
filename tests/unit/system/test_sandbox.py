"""A worker's own walls, tried from inside a process that is confined as workers are."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edged.system import landlock, sandbox, syscalls
from edged.system.needs import Needs

pytest.importorskip("pyseccomp", reason="pyseccomp is not installed", exc_type=RuntimeError)
Attempt = Callable[[], object]
MACHINE = os.uname().machine
NUMBERS = {  # of calls that Python does not offer
    "x86_64": {
        "add_key": 248,
        "keyctl": 250,
        "unshare": 272,
        "perf_event_open": 298,
        "bpf": 321,
        "mount": 165,
    },
    "aarch64": {
        "add_key": 217,
        "keyctl": 219,
        "unshare": 97,
        "perf_event_open": 241,
        "bpf": 280,
        "mount": 40,
    },
}.get(MACHINE, {})
NUMBERS |= {"io_uring_setup": 425, "open_by_handle_at": {"x86_64": 304}.get(MACHINE, 265), "pidfd_getfd": 438}
USERFAULTFD = {"x86_64": 323, "aarch64": 282}.get(MACHINE, -1)
CLONE_NEWUSER = 0x10000000
NOTHING = Needs()


def confined(
    attempts: dict[str, Attempt], needs: Needs = NOTHING, walls: Attempt | None = None
) -> dict[str, Any]:
    """Return what became of each attempt in a confined process: ``done``, or the name of its error."""
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            found: dict[str, Any] = {"holds": walls() if walls else sandbox.confine(needs).holds}
            for name, attempt in attempts.items():
                found[name] = outcome(attempt)
            os.write(write, json.dumps(found).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        text = answer.read()
    _, status = os.waitpid(process, 0)
    assert text, f"the process ended with {status}"
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def outcome(attempt: Attempt) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "?")
    return "done"


def call(number: int, *arguments: int) -> None:
    """Make a system call by its number."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(*(ctypes.c_long(each) for each in (number, *arguments))) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def only_the_filter(**kinds: bool) -> Attempt:
    def load() -> tuple[str, ...]:
        given = {"network": False, "programs": False, "hotplug": False} | kinds
        return ("seccomp",) if syscalls.worker_filter(**given).load() else ()

    return load


def test_what_a_worker_does_all_day_goes_on() -> None:
    def threads() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        thread = threading.Thread(target=lambda: theirs.send(b"beat"))
        thread.start()
        thread.join()
        assert ours.recv(16) == b"beat"

    def memory() -> None:
        descriptor = os.memfd_create("frames")
        os.ftruncate(descriptor, 1 << 16)
        mmap.mmap(descriptor, 1 << 16).close()
        fcntl.fcntl(descriptor, fcntl.F_GETFL)

    def abort() -> None:
        signal.signal(signal.SIGUSR1, lambda *_: None)
        os.kill(os.getpid(), signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR1)

    found = confined(
        {
            "threads": threads,
            "memory": memory,
            "abort": abort,
            "read": lambda: Path(os.__file__).read_bytes(),
            "list": lambda: os.listdir("/proc/self/fd"),  # noqa: PTH208 - names are enough
            "pair": socket.socketpair,
            "limits": lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
            "null": lambda: os.write(os.open(os.devnull, os.O_RDWR), b"nothing"),
        }
    )
    assert "seccomp" in found.pop("holds")
    assert set(found.values()) == {"done"}, found


def test_the_filter_alone_refuses_every_way_to_others() -> None:
    """As on a kernel without Landlock and for a user who may make no namespaces."""
    parent = os.getppid()

    def clone(flags: int) -> Attempt:
        return lambda: call({"x86_64": 56}.get(MACHINE, 220), flags | signal.SIGCHLD, 0, 0, 0, 0)

    def by_datagram() -> None:
        socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    def owner() -> None:
        read, _ = os.pipe()
        fcntl.fcntl(read, fcntl.F_SETOWN, parent)

    def type_on_a_terminal(request: int) -> Attempt:
        return lambda: call({"x86_64": 16}.get(MACHINE, 29), 0, request, 0)

    def to_an_address() -> None:
        ours, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.sendto(b"x", "/run/nobody")

    attempts: dict[str, Attempt] = {
        "unix": lambda: socket.socket(socket.AF_UNIX),
        "inet": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "inet6": lambda: socket.socket(socket.AF_INET6),
        "route": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0),
        "uevents": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15),
        "wide": lambda: call(
            {"x86_64": 41}.get(MACHINE, 198), (1 << 32) | socket.AF_INET, socket.SOCK_DGRAM, 0
        ),
        "datagrams": by_datagram,
        "an address": to_an_address,
        "kill": lambda: os.kill(parent, 0),
        "kill a group": lambda: os.kill(0, 0),
        "kill all": lambda: os.kill(-1, 0),
        "owner": owner,
        "limits of others": lambda: resource.prlimit(parent, resource.RLIMIT_CPU),
        "affinity of others": lambda: os.sched_setaffinity(parent, {0}),
        "pidfd": lambda: os.pidfd_open(parent),
        "create": lambda: Path("/tmp/edged-test-created").touch(),  # noqa: S108 - refused
        "truncate": lambda: os.open("/dev/null", os.O_WRONLY | os.O_TRUNC),
        "unnamed file": lambda: os.open("/tmp", os.O_TMPFILE | os.O_RDWR),  # noqa: S108 - refused
        "remove": lambda: Path("/tmp/edged-test-none").unlink(),  # noqa: S108 - refused
        "link": lambda: Path("/tmp/edged-test-link").symlink_to("/"),  # noqa: S108 - refused
        "run": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606 - refused
        "fork": os.fork,
        "user namespace": clone(CLONE_NEWUSER),
        "unshare": lambda: call(NUMBERS["unshare"], CLONE_NEWUSER),
        "dumpable": lambda: call({"x86_64": 157}.get(MACHINE, 167), 4, 1, 0, 0, 0),
        "outlive main": lambda: call({"x86_64": 157}.get(MACHINE, 167), 1, 0, 0, 0, 0),
        "terminal": type_on_a_terminal(0x5412),
        "terminal, wide": type_on_a_terminal((1 << 32) | 0x5412),
        **{name: lambda number=number: call(number, -1, -1, -1, -1) for name, number in NUMBERS.items()},
        "userfaultfd": lambda: call(USERFAULTFD, 1),
    }
    found = confined(attempts, walls=only_the_filter())
    assert found.pop("holds") == ["seccomp"]
    assert {name: what for name, what in found.items() if what != "EPERM"} == {}


def test_libraries_are_told_that_new_calls_do_not_exist() -> None:
    clone3, openat2, mseal = 435, 437, 462
    found = confined(
        {str(number): lambda number=number: call(number, 0, 0, 0, 0) for number in (clone3, openat2, mseal)}
    )
    assert {found[str(number)] for number in (clone3, openat2, mseal)} == {"ENOSYS"}


@pytest.mark.skipif(MACHINE != "x86_64", reason="only x86-64 has a second set of system calls")
def test_the_calls_of_another_architecture_end_the_process() -> None:
    """``int 0x80`` asks for socketcall, which the filter cannot see through."""
    process = os.fork()
    if process == 0:
        code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        code.write(bytes.fromhex("b814000000 cd80 c3".replace(" ", "")))  # mov eax, getpid; int 0x80; ret
        sandbox.confine(Needs())
        ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
        os._exit(0)
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGSYS


def test_a_network_camera_gets_connections_and_nothing_else() -> None:
    found = confined(
        {
            "tcp": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
            "udp": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
            "raw": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW),
            "unix": lambda: socket.socket(socket.AF_UNIX),
            "packet": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
            "listen": lambda: socket.socket(socket.AF_INET).listen(),
            "names": lambda: socket.getaddrinfo("localhost", 554),
        },
        Needs(network=True),
    )
    del found["holds"]
    done = {name for name, what in found.items() if what == "done"}
    assert done == {"tcp", "udp", "names"}, found


def test_hotplug_opens_the_uevents_and_no_other_netlink() -> None:
    found = confined(
        {
            "uevents": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15).bind((0, 1)),
            "route": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0),
            "netfilter": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12),
        },
        Needs(hotplug=True),
    )
    assert (found["uevents"], found["route"], found["netfilter"]) == ("done", "EPERM", "EPERM")


def test_programs_run_where_they_are_named_and_have_no_network() -> None:
    code = "import socket; socket.socket(socket.AF_INET)"

    def run(*command: str) -> Attempt:
        return lambda: subprocess.run(command, check=True, capture_output=True, timeout=10)

    def refused() -> None:
        done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, timeout=20)
        assert b"PermissionError" in done.stderr

    found = confined(
        {"a shell": run("/bin/sh", "-c", "echo $$"), "a program": refused}, Needs(programs=("/bin/sh",))
    )
    assert (found["a shell"], found["a program"]) == ("done", "done")


needs_landlock = pytest.mark.skipif(landlock.version() == 0, reason="this kernel has no Landlock")


@needs_landlock
def test_landlock_leaves_the_files_that_a_worker_needs(tmp_path: Path) -> None:
    photographs, secrets = tmp_path / "photographs", tmp_path / "secrets"
    for folder in (photographs, secrets):
        folder.mkdir()
        (folder / "file").write_text("content")
    device = tmp_path / "device"
    device.touch()
    found = confined(
        {
            "photograph": (photographs / "file").read_text,
            "secret": (secrets / "file").read_text,
            "overwrite a photograph": lambda: os.open(photographs / "file", os.O_WRONLY),
            "device": lambda: os.open(device, os.O_RDWR),
            "names of devices": lambda: os.listdir("/dev"),  # noqa: PTH208 - names are enough
            "another device": lambda: os.open("/dev/tty", os.O_RDWR),
            "shared memory": lambda: os.listdir("/dev/shm") and None,  # noqa: PTH208, S108 - only listed
            "configuration": Path("/etc/passwd").read_text,
            "memory of others": lambda: os.open(f"/proc/{os.getppid()}/mem", os.O_RDONLY),
        },
        Needs(files=(str(photographs),), devices=(str(device),)),
    )
    assert "landlock" in found.pop("holds")
    done = {name for name, what in found.items() if what == "done"}
    assert done == {"photograph", "device", "names of devices", "shared memory"}, found
    assert {what for what in found.values() if what != "done"} <= {"EACCES", "ENXIO"}


@needs_landlock
def test_landlock_is_left_out_where_the_kernel_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    assert not landlock.restrict(read=("/",))


@needs_landlock
def test_a_device_that_was_plugged_in_again_needs_another_worker(tmp_path: Path) -> None:
    device = tmp_path / "video0"
    device.touch()
    walls = sandbox.Walls(("seccomp", "landlock"), (f"{tmp_path}/video*",))
    assert not walls.outdated()
    device.unlink()
    assert not walls.outdated()
    (tmp_path / "other").touch()
    device.touch()
    (tmp_path / "video1").touch()
    assert walls.outdated()
    assert not sandbox.Walls((), (f"{tmp_path}/video*",)).outdated()


def test_without_libseccomp_the_other_walls_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(**_kinds: bool) -> None:
        raise OSError("no libseccomp")

    monkeypatch.setattr(syscalls, "worker_filter", absent)
    found = confined({})
    assert "seccomp" not in found["holds"]
