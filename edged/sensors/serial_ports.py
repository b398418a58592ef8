"""Serial ports that sensors share, whatever their drivers: one descriptor, one thread, many listeners.

::

    port ─▶ reading thread ─▶ listener (lines)   listener (frames)   …
      ▲ exchange(): a request and its answer; one at a time

Silence is not a reason to close a port: an Arduino starts anew whenever its port is opened. So that opening
it again does not reset it, DTR stays as it is when the port is closed (HUPCL is off).
"""

from __future__ import annotations

import contextlib
import errno
import os
import termios
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edged import drivers
from edged.errors import DeviceBusy, DriverError, Reason, Unavailable
from edged.sensors import turns
from edged.system import clock, permission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_POLL_S = 0.25  # the longest time of one read
_CLOSE_S = 1.0  # to wait for the reading thread
_OPEN_S = 2.0  # to wait while another sensor opens the port
LATE_S = 0.5  # to wait for an answer that did not come in time, before the next request
_QUIET_S = 0.1  # silence that ends such an answer
_CFLAG = 2  # of termios.tcgetattr()
_PORTS: dict[str, Port] = {}  # by resolved path; changed while the turn of that path is held


class Listener(Protocol):
    """Takes the data of a port."""

    def feed(self, data: bytes, now: float, ts: float) -> None:
        """Take the next bytes; called on the port's thread, one call at a time, with ``news`` held.

        Args:
            data: one byte or more.
            now: monotonic time in s.
            ts: wall time in s.
        """


@dataclass(frozen=True, slots=True)
class Settings:
    """The way in which a port is opened.

    Attributes:
        device: the port's path.
        baud: bits per second.
        framing: bits, parity and stop bits: 8n1.
        dtr, rts: whether the line is asserted; None: as the kernel opens it.
    """

    device: str
    baud: int
    framing: str = "8n1"
    dtr: bool | None = None
    rts: bool | None = None


def library() -> Any:
    """Return pyserial. Raises ``DriverError`` where it is missing."""
    try:
        import serial
    except ImportError as error:
        raise DriverError(f"pyserial is missing: {drivers.install_command('serial')}") from error
    return serial


@contextlib.contextmanager
def _opening(path: str) -> Iterator[None]:
    """Hold the turn to open or close a port, by its resolved path."""
    try:
        with turns.take(f"the opening of {path}", _OPEN_S):
            yield
    except turns.Waited as waited:
        raise DeviceBusy(str(waited)) from waited


def attach(settings: Settings, listener: Listener) -> Port:
    """Listen to a port; open it where no other sensor has it open.

    Raises:
        DriverError: pyserial is missing.
        Unavailable: the port is absent, denied, or open with other settings (``DeviceBusy``).
    """
    serial = library()
    path = os.path.realpath(settings.device)
    with _opening(path):
        port = _PORTS.get(path)
        if port is None or port.error is not None:
            port = _PORTS[path] = Port(settings, path, _opened(serial, settings))
        elif (port.settings.baud, port.settings.framing) != (settings.baud, settings.framing):
            raise DeviceBusy(f"{settings.device} is open with other settings for another sensor")
        port.add(listener)
        return port


def detach(port: Port, listener: Listener) -> None:
    """Stop listening; close the port after its last listener. May be called twice."""
    # Not by the path that its name leads to now: it may have been plugged in elsewhere.
    with _opening(port.path):
        if port.remove(listener) and _PORTS.get(port.path) is port:
            del _PORTS[port.path]


class Port:
    """An open port. Made by :func:`attach`.

    Attributes:
        settings: how it was opened.
        path: where its name led to at that time.
        news: notified when data came, or when the port failed; holds the listeners' state.
        error: why it failed; None while it works.
        listeners: those who take its data.
    """

    def __init__(self, settings: Settings, path: str, serial: Any) -> None:
        self.settings = settings
        self.path = path
        self.news = threading.Condition()
        self.error: Exception | None = None
        self.listeners: list[Listener] = []
        self._serial = serial
        self._heard_at = time.monotonic()
        self._given_up_at = 0.0  # when an answer had not come in time; it may still come. 0: all came
        self._over = False
        self._thread = threading.Thread(target=self._run, name=f"port {settings.device}", daemon=True)
        self._thread.start()

    def add(self, listener: Listener) -> None:
        """Add a listener."""
        with self.news:
            self.listeners.append(listener)

    def remove(self, listener: Listener) -> bool:
        """Remove a listener; close the port after the last one, and return whether it is closed."""
        with self.news:
            if listener in self.listeners:
                self.listeners.remove(listener)
            if self.listeners:
                return False
            self._over = True
        with contextlib.suppress(Exception):
            self._serial.cancel_read()
        self._thread.join(_CLOSE_S)
        return True

    def wait(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Wait until a listener is ready; ``news`` is held. Raises ``Unavailable`` where the port failed."""
        self.news.wait_for(lambda: ready() or self.error is not None, timeout_s)
        if self.error is not None and not ready():
            raise Unavailable(Reason.LOST, f"{self.settings.device}: {self.error}") from self.error

    def exchange(
        self,
        request: bytes,
        begin: Callable[[], None],
        ready: Callable[[], bool],
        timeout_s: float,
        turn_s: float,
    ) -> bool:
        """Send a request and wait for its answer, while no other sensor does so; return whether it came.

        Args:
            request: the bytes to send.
            begin: makes the listener forget what came before.
            ready: returns whether the answer is there.
            timeout_s: how long to wait for it.
            turn_s: how long to wait for other sensors' exchanges.

        Raises:
            turns.Waited: the others did not end in time.
            Unavailable: the port failed.
        """
        with turns.take(self.settings.device, turn_s):
            self._let_pass()
            with self.news:
                begin()
            try:
                self._serial.write(request)
            except (OSError, termios.error) as error:
                raise Unavailable(Reason.LOST, f"{self.settings.device}: {error}") from error
            with self.news:
                self.wait(ready, timeout_s)
                self._given_up_at = 0.0 if ready() else time.monotonic()
                return ready()

    def _let_pass(self) -> None:
        """Wait until a late answer has passed, which would be taken for the next one."""
        until = self._given_up_at + LATE_S
        with self.news:
            while self._given_up_at and (now := time.monotonic()) < until:
                came = self._heard_at > self._given_up_at
                if came and now >= self._heard_at + _QUIET_S:
                    break
                self.news.wait(min(until, self._heard_at + _QUIET_S if came else until) - now)

    def _run(self) -> None:
        try:
            while not self._over:
                data = self._serial.read(self._serial.in_waiting or 1)
                if data:
                    self._heard(data)
        except (OSError, TypeError, termios.error) as error:  # TypeError: pyserial's, on a port that vanished
            with self.news:
                self.error = error
                self.news.notify_all()
        finally:
            with contextlib.suppress(OSError, termios.error):
                self._serial.close()

    def _heard(self, data: bytes) -> None:
        with self.news:
            self._heard_at, ts = time.monotonic(), clock.wall()
            for listener in self.listeners:
                listener.feed(data, self._heard_at, ts)
            self.news.notify_all()


def _opened(serial: Any, settings: Settings) -> Any:
    """Open a port for this process alone; leave its control lines as they are when it is closed."""
    port = serial.Serial(
        baudrate=settings.baud,
        bytesize=int(settings.framing[0]),
        parity=settings.framing[1].upper(),
        stopbits=int(settings.framing[2]),
        timeout=_POLL_S,
        write_timeout=1,
        exclusive=True,
    )
    for name in ("dtr", "rts"):
        if (asserted := getattr(settings, name)) is not None:
            setattr(port, name, asserted)  # before it is opened, so that the other state lasts microseconds
    port.port = settings.device
    try:
        port.open()
        attributes = termios.tcgetattr(port.fileno())
        attributes[_CFLAG] &= ~termios.HUPCL
        termios.tcsetattr(port.fileno(), termios.TCSANOW, attributes)
    except (OSError, ValueError, termios.error) as error:
        port.close()
        raise explained(settings.device, error) from error
    return port


def explained(device: str, error: Exception) -> Unavailable:
    """Return the meaning of an error on opening a port."""
    text = str(error)
    code = getattr(error, "errno", None)
    if permission.is_denied(error):
        return permission.denied(code, device, "dialout")
    if code == errno.EAGAIN or "lock" in text:
        return DeviceBusy(f"{device} is in use by another program")
    if code == errno.ENOENT or "No such file" in text:
        name = os.path.basename(device)  # noqa: PTH119 - text
        meant = f"; did you mean /dev/{name}?" if name.startswith("tty") and f"/dev/{name}" != device else ""
        message = f"there is no {device}{meant or '; `ls /dev/serial/by-id` lists the ports'}"
        return Unavailable(Reason.ABSENT, message)
    return Unavailable(Reason.LOST, f"{device}: {text}")
