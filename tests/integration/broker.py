"""A real mosquitto on a free loopback port: with TLS or passwords, stopped and started on one port."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
HOST = "127.0.0.1"
SHIPPED = Path(__file__).resolve().parents[2] / "config" / "mosquitto"


def free_port() -> int:
    """A port that nobody takes while the broker is away.

    Not one of those that the kernel gives to clients: with the broker gone, a client that connects to its
    port may be given that very port, and the broker cannot have it back.
    """
    for port in random.sample(range(10_000, 30_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise RuntimeError("no free port")


class Broker:
    """``with Broker(tmp_path) as broker: … broker.port``; stop, start, freeze and thaw it as wanted.

    Args:
        folder: for its configuration and log.
        users: name → password; given, nobody else gets in.
        tls: folder of :func:`certificates`.
        require_certificate: clients need one of that CA.
        acl: lines of an ACL file.
        keeps: it writes down what it acknowledged, as config/mosquitto/edged.conf has it.
        lazy: it writes it down every 30 minutes, as mosquitto does by default.
        port: left out, a free one.
        extra: more lines of its configuration.
    """

    def __init__(
        self,
        folder: Path,
        *,
        users: dict[str, str] | None = None,
        tls: Path | None = None,
        require_certificate: bool = False,
        acl: Sequence[str] = (),
        keeps: bool = False,
        lazy: bool = False,
        port: int | None = None,
        extra: Sequence[str] = (),
    ) -> None:
        if MOSQUITTO is None:
            pytest.skip("mosquitto is not installed: apt install mosquitto")
        self.port = port or free_port()
        self._acl = folder / "acl"
        self._config = folder / "mosquitto.conf"
        self.log_path = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None
        lines = [f"listener {self.port} {HOST}", f"allow_anonymous {'false' if users else 'true'}"]
        if users:
            lines.append(f"password_file {self._passwords(folder, users)}")
        if tls is not None:
            lines += [f"cafile {tls}/ca.pem", f"certfile {tls}/server.pem", f"keyfile {tls}/server.key"]
            lines += [f"require_certificate {'true' if require_certificate else 'false'}"]
        if acl:
            self._acl.write_text("\n".join([*acl, ""]))
            lines.append(f"acl_file {self._acl}")
        lines.append(f"persistence {'true' if keeps or lazy else 'false'}")
        if keeps or lazy:
            lines.append(f"persistence_location {folder}/")
        if keeps:
            lines += ["autosave_on_changes true", "autosave_interval 1"]
        self._config.write_text("\n".join([*lines, "user root", *extra, ""]))

    @classmethod
    def shipped(cls, folder: Path, pem: Path) -> Self:
        """The one that config/mosquitto describes, put where its comments say, below Debian's own file."""
        broker = cls(folder)
        text = (SHIPPED / "edged.conf").read_text()
        (folder / "db").mkdir()
        (folder / "conf.d").mkdir()
        for theirs, ours in {
            "listener 8883\n": f"listener {broker.port} {HOST}\n",
            "/etc/mosquitto/certs/": f"{pem}/",
            "/etc/mosquitto/edged.acl\n": f"{SHIPPED / 'edged.acl'}\n",
        }.items():
            assert theirs in text
            text = text.replace(theirs, ours)
        (folder / "conf.d" / "edged.conf").write_text(text)
        debian = ["persistence true", f"persistence_location {folder}/db/", f"include_dir {folder}/conf.d"]
        broker._config.write_text("\n".join([*debian, "user root", ""]))
        return broker

    @staticmethod
    def _passwords(folder: Path, users: dict[str, str]) -> Path:
        path = folder / "passwords"
        path.write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
        subprocess.run(["mosquitto_passwd", "-U", str(path)], check=True, capture_output=True)
        return path

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self) -> None:
        assert MOSQUITTO is not None
        with self.log_path.open("ab") as out:
            self._process = subprocess.Popen(
                [MOSQUITTO, "-v", "-c", str(self._config)], stdout=out, stderr=out
            )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex((HOST, self.port)) == 0:
                    return
            time.sleep(0.01)
        raise RuntimeError(f"mosquitto did not start: {self.log[-2000:]}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(how)
            self._process.wait(10)
            self._process = None

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def reload(self, *, acl: Sequence[str]) -> None:
        """Give it another ACL file while it runs; it must have been started with one."""
        assert self._process is not None
        self._acl.write_text("\n".join([*acl, ""]))
        self._process.send_signal(signal.SIGHUP)

    def freeze(self) -> None:
        """It keeps its connections and its port, and says nothing more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def certificates(folder: Path, *more: str) -> Path:
    """Make ca.pem, {server,client}.{pem,key} signed by it for localhost, and other.{pem,key}, a stranger.

    Args:
        folder: for the files.
        more: names of others that the CA knows.
    """
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")

    def openssl(*args: str) -> None:
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for name in ("ca", "other"):
        openssl(
            "req",
            "-x509",
            *curve,
            "-days",
            "2",
            "-subj",
            f"/CN={name}",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.pem",
        )
    (folder / "san.cnf").write_text("subjectAltName=DNS:localhost\n")
    for name in ("server", "client", *more):
        openssl(
            "req", "-new", *curve, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr"
        )
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "san.cnf", "-out", f"{name}.pem",
        )  # fmt: skip
    return folder
