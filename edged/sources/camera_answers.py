"""Finds out why a network camera gives no video: FFmpeg only prints it, and OpenCV drops it.

So after FFmpeg has failed, edged makes a request of its own, of a few lines.
"""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import ssl
from typing import TYPE_CHECKING

from edged.errors import Reason, Unavailable
from edged.system.addresses import PORTS

if TYPE_CHECKING:
    from edged.system.addresses import Address

_ANSWER = re.compile(rb"^[A-Z]+/\d\.\d (\d{3})")
_PARAMETER = re.compile(r'(\w+)="?([^",]*)"?')
_MOST_BYTES = 65536
_WITHOUT_CONNECTION = frozenset({"udp", "rtp", "srt"})


def any_certificate() -> ssl.SSLContext:
    """Return a context for cameras, which sign their certificates themselves: nothing is checked."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def of_status(address: Address, status: int) -> Unavailable:
    """Return what an answer of HTTP or RTSP other than success means."""
    shown = address.shown
    if status == 401 and address.password is None:
        what = f"{shown} wants a user and a password (401): write USER@ before the host, and password_file"
        return Unavailable(Reason.LOGIN, what)
    if status in (401, 403):
        return Unavailable(Reason.LOGIN, f"{shown} refuses this user and password ({status})")
    if status in (404, 454):
        what = f"{shown} has no stream at this path ({status}): correct the path in `url`"
        return Unavailable(Reason.NOT_FOUND, what)
    return Unavailable(Reason.NETWORK, f"{shown} answers with an error ({status})")


def of_connection(address: Address, error: OSError, timeout_s: float) -> Unavailable:
    """Return what an error of the network means."""
    shown = address.shown
    if isinstance(error, socket.gaierror):
        what = f"{shown}: no host of this name is known; correct it, or write its IP address"
        return Unavailable(Reason.HOST, what)
    if isinstance(error, ConnectionRefusedError):
        what = f"{shown} refuses the connection: correct the port, or switch the stream on in the camera"
        return Unavailable(Reason.REFUSED, what)
    if isinstance(error, TimeoutError):
        return Unavailable(Reason.NETWORK, f"{shown} does not answer within {timeout_s:g} s")
    if isinstance(error, ssl.SSLError):
        what = f"{shown} does not speak TLS there: try {address.scheme.removesuffix('s')}://"
        return Unavailable(Reason.NETWORK, what)
    return Unavailable(Reason.NETWORK, f"{shown}: {(error.strerror or str(error)).lower()}")


def no_protocol(address: Address, name: str) -> Unavailable:
    """Return that something else listens there."""
    return Unavailable(Reason.NO_VIDEO, f"{address.shown} does not speak {name}: correct scheme and port")


def no_video(address: Address, what: str = "no video that FFmpeg can decode") -> Unavailable:
    """Return that the camera answers, but not with a video."""
    return Unavailable(Reason.NO_VIDEO, f"{address.shown} answers, but gives {what}")


def find(address: Address, timeout_s: float) -> Unavailable:
    """Ask the camera, and return why it gives no video.

    Args:
        address: of the camera.
        timeout_s: for the connection, and for each answer.
    """
    if address.scheme in _WITHOUT_CONNECTION:
        return Unavailable(Reason.NO_VIDEO, f"{address.shown} gives no video within {timeout_s:g} s")
    try:
        with _connected(address, timeout_s) as connection:
            if not address.scheme.startswith("rtsp"):
                return no_video(address)
            status = _describe(connection, address)
    except OSError as error:
        return of_connection(address, error, timeout_s)
    if status == 0:
        return no_protocol(address, "RTSP")
    return no_video(address) if 200 <= status < 300 else of_status(address, status)


def _connected(address: Address, timeout_s: float) -> socket.socket:
    port = address.port or PORTS.get(address.scheme, 554)
    connection = socket.create_connection((address.host.strip("[]"), port), timeout_s)
    if address.scheme in ("rtsps", "rtmps"):
        return any_certificate().wrap_socket(connection, server_hostname=address.host)
    return connection


def _describe(connection: socket.socket, address: Address) -> int:
    """Return the status of the answer to DESCRIBE, with a login where one is wanted; 0: it is not RTSP."""
    status, headers = _ask(connection, address, 1, "")
    if status == 401 and address.user is not None:
        login = _login(headers, address)
        if login:
            status, _ = _ask(connection, address, 2, f"Authorization: {login}\r\n")
    return status


def _ask(connection: socket.socket, address: Address, number: int, more: str) -> tuple[int, str]:
    request = (
        f"DESCRIBE {address.bare_url} RTSP/1.0\r\nCSeq: {number}\r\nAccept: application/sdp\r\n{more}\r\n"
    )
    connection.sendall(request.encode())
    answer = b""
    while b"\r\n\r\n" not in answer and len(answer) < _MOST_BYTES:
        data = connection.recv(4096)
        if not data:
            break
        answer += data
    found = _ANSWER.match(answer)
    return int(found[1]) if found else 0, answer.decode("latin-1")


def _login(headers: str, address: Address) -> str:
    """Return the header that logs in as the camera wants it: Digest before Basic (RFC 2617)."""
    user, password = address.user or "", address.password or ""
    wanted = [line.partition(":")[2].strip() for line in headers.splitlines() if _is_challenge(line)]
    digest = next((line for line in wanted if line.lower().startswith("digest")), None)
    if digest is None:
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode() if wanted else ""
    given = dict(_PARAMETER.findall(digest))
    realm, nonce = given.get("realm", ""), given.get("nonce", "")
    secret = _md5(f"{user}:{realm}:{password}")
    response = _md5(f"{secret}:{nonce}:{_md5(f'DESCRIBE:{address.bare_url}')}")
    return (
        f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{address.bare_url}", '
        f'response="{response}"'
    )


def _is_challenge(line: str) -> bool:
    return line.lower().startswith("www-authenticate:")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
