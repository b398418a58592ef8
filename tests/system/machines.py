"""Debian machines with a real systemd: containers on a network of their own, made and thrown away by a test.

::

    this machine ── bridge ─┬─ veth ── namespace "…-porch"  ── systemd-nspawn: systemd, ssh, edged
     10.213.77.1            └─ veth ── namespace "…-broker" ── systemd-nspawn: systemd, ssh, mosquitto

A machine's network lives in a namespace that is made here, so it outlives a reboot, and nothing on it leads
outside. The root file system is a cached one with a layer of its own over it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NETWORK = "10.213.77"
BRIDGE = "edgedsys0"
CGROUPS = Path("/sys/fs/cgroup")
_REBOOT = 133  # systemd-nspawn: the container wants to be started again
# BPF is what IPAddressDeny= and DevicePolicy= are made of; a container has it not by default.
_NSPAWN = (
    *(
        "systemd-nspawn",
        "--quiet",
        "--register=no",
        "--keep-unit",
        "--link-journal=no",
        "--console=read-only",
    ),
    *("--capability=CAP_BPF,CAP_NET_ADMIN", "--system-call-filter=bpf", "--boot"),
)


def run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command of this machine and keep what it says."""
    return subprocess.run(command, capture_output=True, text=True, check=check)


def until(what: str, good: Callable[[], bool], timeout_s: float, pause_s: float = 0.1) -> float:
    """Wait until something is so; return how long it took, in s.

    Raises:
        AssertionError: it did not come to be.
    """
    since = time.monotonic()
    while not good():
        if time.monotonic() - since > timeout_s:
            raise AssertionError(f"not within {timeout_s:g} s: {what}")
        time.sleep(pause_s)
    return time.monotonic() - since


class Machine:
    """One of them. It is on while the context lasts."""

    def __init__(self, name: str, number: int, root: Path, work: Path) -> None:
        self.name = name
        self.address = f"{NETWORK}.{number}"
        self.key = work / "key"
        self._root = root
        self._work = work / name
        self._namespace = f"edgedsys-{name}"
        self._pid = 0

    def start(self) -> None:
        """Lay the layer, the network and the control group, and boot."""
        for folder in ("upper", "work", "root"):
            (self._work / folder).mkdir(parents=True)
        layers = f"lowerdir={self._root},upperdir={self._work}/upper,workdir={self._work}/work"
        run("mount", "-t", "overlay", "overlay", "-o", layers, str(self.path))
        (self.path / "etc/hostname").write_text(f"{self.name}\n")
        (self.path / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
        shutil.copy(self.key.with_suffix(".pub"), self.path / "root/.ssh/authorized_keys")
        self._wire()
        self.power_on()

    @property
    def path(self) -> Path:
        """Its root file system, as seen from here."""
        return self._work / "root"

    def _wire(self) -> None:
        space, outside = self._namespace, f"es-{self.name}"[:15]
        self._unwire()
        run("ip", "netns", "add", space)
        run("ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", space)
        run("ip", "link", "set", outside, "master", BRIDGE, "up")
        run("ip", "-n", space, "address", "add", f"{self.address}/24", "dev", "eth0")
        for link in ("eth0", "lo"):
            run("ip", "-n", space, "link", "set", link, "up")

    def _unwire(self) -> None:
        run("ip", "netns", "delete", self._namespace, check=False)
        run("ip", "link", "delete", f"es-{self.name}"[:15], check=False)

    def power_on(self) -> None:
        """Boot it, in a process of its own that boots it again when it wants to be."""
        self._pid = os.fork()
        if self._pid == 0:
            os._exit(self._supervise())
        self.wait()

    def _supervise(self) -> int:
        os.setsid()
        for hierarchy in CGROUPS.iterdir():
            with contextlib.suppress(OSError):
                (hierarchy / self._namespace).mkdir(exist_ok=True)
                (hierarchy / self._namespace / "cgroup.procs").write_text(str(os.getpid()))
        if (CGROUPS / "cgroup.controllers").exists():
            (CGROUPS / self._namespace).mkdir(exist_ok=True)
            (CGROUPS / self._namespace / "cgroup.procs").write_text(str(os.getpid()))
        space = f"--network-namespace-path=/run/netns/{self._namespace}"
        command = [*_NSPAWN, f"--directory={self.path}", f"--machine={self._namespace}", space]
        environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        with (self._work / "console").open("ab") as console:
            while True:
                done = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=console,
                    env=environment,
                    check=False,
                )
                if done.returncode != _REBOOT:
                    return done.returncode

    def wait(self, timeout_s: float = 60) -> float:
        """Wait until its ssh answers; return how long that took, in s."""
        return until(f"{self.name} answers", lambda: self.ssh("true", check=False).returncode == 0, timeout_s)

    def ssh(self, script: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a line of shell on it, as root."""
        done = run(
            *(
                "ssh",
                "-i",
                str(self.key),
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
            ),
            *("-o", "LogLevel=ERROR", "-o", "ConnectTimeout=2", f"root@{self.address}", script),
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{self.name}: {script}: exit {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def says(self, script: str) -> str:
        """Return what a line of shell prints on it."""
        return self.ssh(script).stdout.strip()

    def reboot(self) -> float:
        """Restart the whole system; return the time until its ssh answers again, in s."""
        before = self.says("cat /proc/1/stat | cut -d' ' -f22")
        since = time.monotonic()
        self.ssh("systemctl reboot", check=False)

        def again() -> bool:
            done = self.ssh("cat /proc/1/stat | cut -d' ' -f22", check=False)
            return done.returncode == 0 and done.stdout.strip() != before

        until(f"{self.name} is back", again, 60)
        return time.monotonic() - since

    def stop(self) -> None:
        """Switch it off and take everything away that was made for it."""
        if self._pid:
            self.ssh("systemctl poweroff", check=False)
            deadline = time.monotonic() + 10
            while os.waitpid(self._pid, os.WNOHANG)[0] == 0:
                if time.monotonic() > deadline:
                    os.killpg(self._pid, signal.SIGKILL)
                time.sleep(0.1)
            self._pid = 0
        run("umount", str(self.path), check=False)
        self._unwire()
        for group in sorted(CGROUPS.glob(f"**/{self._namespace}/**/"), reverse=True):
            with contextlib.suppress(OSError):
                group.rmdir()


@contextlib.contextmanager
def network() -> Iterator[None]:
    """A bridge that only these machines are on. What a run that was killed left of it is taken away first."""
    run("ip", "link", "delete", BRIDGE, check=False)
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    try:
        run("ip", "address", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")
        yield
    finally:
        run("ip", "link", "delete", BRIDGE, check=False)


@contextlib.contextmanager
def machine(name: str, number: int, root: Path, work: Path) -> Iterator[Machine]:
    """A machine that is on; ``number`` is the last of its address."""
    made = Machine(name, number, root, work)
    try:
        made.start()
        yield made
    finally:
        made.stop()
