"""Where the page is served: a unix socket, or 127.0.0.1; never an address that others reach."""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import socket
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from edged.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "page.sock"
HOST = "127.0.0.1"
LAPTOP_PORT = 8080  # in the command that is printed
_WAITING = 16  # connections that are not accepted yet
_TOKEN_BYTES = 16


@dataclass(frozen=True)
class Address:
    """The place where this page listens, and the token that its address has.

    Attributes:
        listener: the listening socket; it does not block.
        path: the unix socket; None: a port of 127.0.0.1.
        token: whoever does not have it gets nothing but the empty page.
    """

    listener: socket.socket
    path: Path | None
    token: str = field(default_factory=lambda: secrets.token_urlsafe(_TOKEN_BYTES), repr=False)

    @classmethod
    def at_port(cls, port: int) -> Self:
        """Listen on a port of 127.0.0.1; 0: any. Raises ``Refused``."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            listener.close()
            raise Refused(f"port {port} of {HOST}: {(error.strerror or str(error)).lower()}") from None
        return cls(_listening(listener), None)

    @classmethod
    def at_socket(cls, path: Path) -> Self:
        """Listen on a unix socket, for its owner alone.

        Raises:
            Refused: the folder cannot be used, or another page is served there.
        """
        path = path.absolute()  # as ssh needs it
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            _make_room(path)
            before = os.umask(0o177)
            try:
                listener.bind(str(path))
            finally:
                os.umask(before)
            _give_to_caller(path)
        except OSError as error:
            listener.close()
            what = f"{path}: {(error.strerror or str(error)).lower()}"
            raise Refused(f"{what}; edged page --port {LAPTOP_PORT} needs no folder") from None
        except Refused:
            listener.close()
            raise
        return cls(_listening(listener), path)

    def close(self) -> None:
        """Stop listening, and remove the socket."""
        self.listener.close()
        if self.path is not None:
            with contextlib.suppress(OSError):
                self.path.unlink()

    def instructions(self) -> Iterator[tuple[str, str]]:
        """Give what to do, and the command or address for it."""
        if self.path is None:
            port = self.listener.getsockname()[1]
            yield "open on this machine", f"http://{HOST}:{port}/#{self.token}"
            return
        user = os.environ.get("SUDO_USER") or getpass.getuser()
        there = f"{user}@{socket.gethostname().split('.')[0]}"
        yield "type on your computer", f"ssh -N -L {LAPTOP_PORT}:{self.path} {there}"
        yield "and open there", f"http://localhost:{LAPTOP_PORT}/#{self.token}"
        yield "or for a browser on this machine, run it again with", f"--port {LAPTOP_PORT}"


def socket_path(run_dir: Path) -> Path:
    """Return the path of the socket: in the run directory, or where that belongs to others, the user's own.

    Args:
        run_dir: that of the configuration.
    """
    there = next(path for path in (run_dir, *run_dir.parents) if path.exists())
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    folder = run_dir if os.access(there, os.W_OK) or not own else Path(own) / "edged"
    return folder / NAME


def _listening(listener: socket.socket) -> socket.socket:
    listener.listen(_WAITING)
    listener.setblocking(False)
    return listener


def _make_room(path: Path) -> None:
    """Remove the socket of a page that was killed. Raises ``Refused`` where one is served there now."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise Refused(f"{path}: there is a file that is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise Refused(f"{path}: another edged page is served there")


def _give_to_caller(path: Path) -> None:
    """Give the socket to whoever typed sudo: sshd connects to it as that user."""
    user = os.environ.get("SUDO_UID", "")
    if os.geteuid() == 0 and user.isdecimal():
        os.chown(path, int(user), -1, follow_symlinks=False)
