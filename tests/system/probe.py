"""Runs inside the sandbox of edged.service on a board and tries what must not work; prints what did, as JSON.

Arguments: the broker's address and port, another host's address with an open port 22, and the path of a file
that only root may read.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWUSER = 0x10000000
_PTRACE_ATTACH = 16


def connects(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), 2):
        return True
    return False


def writes(path: str) -> bool:
    try:
        Path(path).write_text("x")
    except OSError:
        return False
    Path(path).unlink()
    return True


def lists(path: str) -> bool:
    """Whether something can be seen in a folder."""
    try:
        return bool(os.listdir(path))  # noqa: PTH208 - only whether there is anything
    except OSError:
        return False


def reads(path: str) -> bool:
    try:
        Path(path).read_bytes()
    except OSError:
        return False
    return True


def makes_socket(family: int, kind: int, protocol: int = 0) -> bool:
    try:
        socket.socket(family, kind, protocol).close()
    except OSError:
        return False
    return True


def traces() -> bool:
    """Whether another process can be taken over: a child of this one, which is the easiest."""
    child = subprocess.Popen(["sleep", "5"])
    try:
        return LIBC.ptrace(_PTRACE_ATTACH, child.pid, None, None) == 0
    finally:
        child.kill()
        child.wait()


def runs_written_memory() -> bool:
    try:
        mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
    except OSError:
        return False
    return True


def makes_device() -> bool:
    try:
        os.mknod("/var/lib/edged/null", 0o20600, os.makedev(1, 3))
    except OSError:
        return False
    return True


def succeeds(what: Callable[[], object]) -> bool:
    try:
        what()
    except OSError:
        return False
    return True


def main() -> None:
    broker, port, other, secret = sys.argv[1:5]
    good = {
        "reach the broker": connects(broker, int(port)),
        "write its state": writes("/var/lib/edged/probe"),
        "write its run directory": writes(os.environ["RUNTIME_DIRECTORY"] + "/probe"),
        "read its credential": any(Path(os.environ.get("CREDENTIALS_DIRECTORY", "/")).glob("node.key")),
    }
    bad = {
        "reach another host": connects(other, 22),
        "write /etc": writes("/etc/probe"),
        "write /opt/edged": writes("/opt/edged/probe"),
        "write /usr": writes("/usr/probe"),
        "see /home or /root": lists("/home") or lists("/root"),
        "read a secret of root": reads(secret) or reads("/etc/shadow"),
        "see processes of others": Path("/proc/1/cmdline").exists() and reads("/proc/1/environ"),
        "trace a process": traces(),
        "become root": succeeds(lambda: os.setuid(0)),
        "make a user namespace": LIBC.unshare(_CLONE_NEWUSER) == 0,
        "mount": LIBC.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0,
        "run memory that it wrote": runs_written_memory(),
        "make a raw socket": makes_socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        "make a packet socket": makes_socket(socket.AF_PACKET, socket.SOCK_RAW),
        "make a device": makes_device(),
        "open a device that is not its own": succeeds(lambda: os.open("/dev/net/tun", os.O_RDWR)),
        "set the clock": LIBC.stime(ctypes.byref(ctypes.c_long(0))) == 0 if hasattr(LIBC, "stime") else False,
        "write a kernel setting": writes("/proc/sys/kernel/hostname"),
    }
    # As a worker does before it opens a camera.
    from edged.worker import sandbox

    held = sandbox.close_network()
    bad["make an internet socket in a worker"] = makes_socket(socket.AF_INET, socket.SOCK_STREAM)
    bad["make an IPv6 socket in a worker"] = makes_socket(socket.AF_INET6, socket.SOCK_DGRAM)
    print(json.dumps({"good": good, "bad": bad, "worker": held}))


main()
