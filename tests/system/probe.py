"""Tries what must work inside the units of edged on a board, and what must not, and prints what did, as JSON.

It runs in the place of main or of the fork server: ``probe.py WHO BROKER PORT OTHER SECRET PID``.
WHO is main, workers or network; OTHER another host whose port 22 is open; SECRET a file that only root may
read; PID the real main.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import signal
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


def reaches(path: str) -> bool:
    """Whether a local socket of another service can be connected to or written to."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, kind) as local:
            local.connect(path)
            return True
    return False


def writes(path: str) -> bool:
    try:
        Path(path).write_text("x")
    except OSError:
        return False
    Path(path).unlink()
    return True


def runs(path: str) -> bool:
    """Whether a program that was written there can be run."""
    program = Path(path)
    try:
        program.write_text("#!/bin/sh\nexit 0\n")
        program.chmod(0o755)
        subprocess.run([path], check=True)
    except OSError:
        return False
    finally:
        program.unlink(missing_ok=True)
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


def privileges(secret: str) -> dict[str, bool]:
    """What neither of the two may do."""
    return {
        "write /etc": writes("/etc/probe"),
        "write /opt/edged": writes("/opt/edged/probe"),
        "write /usr": writes("/usr/probe"),
        "see /home or /root": lists("/home") or lists("/root"),
        "read a secret of root": reads(secret) or reads("/etc/shadow"),
        "read another process's environment": reads("/proc/1/environ"),
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
        "use D-Bus": reaches("/run/dbus/system_bus_socket"),
        "write to the journal": reaches("/run/systemd/journal/socket"),
    }


def of_main(broker: str, port: int, other: str, secret: str) -> tuple[dict[str, bool], dict[str, bool]]:
    """What main must be able to do, and what it must not."""
    good = {
        "reach the broker": connects(broker, port),
        "write its state": writes("/var/lib/edged/probe"),
        "write its run directory": writes(os.environ["RUNTIME_DIRECTORY"] + "/probe"),
        "read its credential": any(Path(os.environ.get("CREDENTIALS_DIRECTORY", "/")).glob("node.key")),
        "reach its workers": reaches(os.environ["EDGED_WORKERS"]),
    }
    bad = {
        **privileges(secret),
        "reach another host": connects(other, 22),
        "exchange the folder of models": succeeds(
            lambda: Path("/var/lib/edged/models").rename("/var/lib/edged/m")
        ),
        "write a model": writes("/var/lib/edged/models/probe"),
        "run a program from its state": runs("/var/lib/edged/probe"),
        "see a camera or a sensor": any(Path("/dev").glob("video*")) or any(Path("/dev").glob("i2c*")),
    }
    return good, bad


def of_workers(
    broker: str, port: int, other: str, secret: str, main: int
) -> tuple[dict[str, bool], dict[str, bool]]:
    """What the fork server, and so each worker before its own filter, must be able to do, and what not."""
    good = {
        "read a photograph": reads("/srv/photos/01-cat.jpg"),
        "read the state of devices": lists("/sys/class"),
        "make a pipe": succeeds(lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)),
        "hold memory that others may map": succeeds(lambda: os.memfd_create("probe")),
    }
    places = ["/", "/tmp", "/var/tmp", "/dev/shm", "/dev", "/run", "/var", "/var/lib/edged", "/srv"]  # noqa: S108 - what it may not write
    bad = {
        **privileges(secret),
        "make an internet socket": makes_socket(socket.AF_INET, socket.SOCK_STREAM),
        "reach the broker": connects(broker, port),
        "reach another host": connects(other, 22),
        "see a network": any(name != "lo" for _index, name in socket.if_nameindex()),
        **{f"write to {place}": writes(f"{place}/probe") for place in places},
        "read the configuration": reads("/etc/edged/edged.yaml") or lists("/etc/edged"),
        "see the queue": lists("/var/lib/edged"),
        "see credentials": lists("/run/credentials"),
        "speak to main's socket": reaches("/run/edged-workers/control.sock"),
        "see main": Path(f"/proc/{main}").exists(),
        "send main a signal": succeeds(lambda: os.kill(main, signal.SIGCONT)),
        "open main's memory": reads(f"/proc/{main}/mem") or reads(f"/proc/{main}/environ"),
    }
    return good, bad


def of_network_workers(
    broker: str, port: int, camera: str, secret: str, main: int
) -> tuple[dict[str, bool], dict[str, bool]]:
    """The same where the network is kept for one camera."""
    good, bad = of_workers(broker, port, camera, secret, main)
    for name in ("make an internet socket", "reach another host", "see a network"):
        del bad[name]
    good["reach the camera, by its name"] = connects("camera.test", 8000)
    bad["ask a name server"] = succeeds(lambda: socket.getaddrinfo("elsewhere.test", 80))
    return good, bad


def run() -> None:
    """Try all of it."""
    who, broker, port, other, secret, main = sys.argv[1:7]
    if who == "main":
        good, bad = of_main(broker, int(port), other, secret)
    elif who == "workers":
        good, bad = of_workers(broker, int(port), other, secret, int(main))
    else:
        good, bad = of_network_workers(broker, int(port), other, secret, int(main))
    print(json.dumps({"good": good, "bad": bad}))


run()
