"""Requests and answers of HTTP, as far as one page for one person needs them: one of each a connection.

Requests are not trusted: whoever can connect may have sent them, and so may any page that is open in the
browser. Everything is bounded, and what is not understood is refused.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

MAX_HEAD, MAX_BODY = 16_384, 65_536  # bytes
PATIENCE_S = 10.0  # for a whole request, and for an answer to be taken
_LINE = re.compile(rb"(GET|POST|[A-Z]{3,8}) (/[!-~]{0,1000}) HTTP/1\.[01]")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}):[ \t]*([\t -~]*?)[ \t]*")


class Unacceptable(Exception):  # noqa: N818 - what a request is
    """A request that is refused.

    Args:
        status: of the answer.
        why: a sentence for the person at the browser.
    """

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        method: GET or POST.
        path: without its query.
        query: what follows the question mark.
        fields: the head's fields, by their names in lower case.
        body: what was posted.
    """

    method: str
    path: str
    query: str
    fields: Mapping[str, str]
    body: bytes = b""

    def json(self) -> Mapping[str, Any]:
        """Return the body, an object of JSON. Raises ``Unacceptable``."""
        if self.fields.get("content-type") != "application/json":
            raise Unacceptable(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body must be application/json")
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Unacceptable(HTTPStatus.BAD_REQUEST, "the body must be an object of JSON")
        return found


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        body: what is sent; None: the head alone, as something else sends the rest.
        kind: its media type.
        status: of the answer.
        policy: the page's Content-Security-Policy; what is not a page may do nothing.
    """

    body: bytes | None
    kind: str = "application/json"
    status: HTTPStatus = HTTPStatus.OK
    policy: str = "default-src 'none'; sandbox"

    @property
    def head(self) -> bytes:
        """The head; it closes the connection after the body, so that no other answer can follow in it."""
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            f"Content-Type: {self.kind}",
            f"Content-Security-Policy: {self.policy}; frame-ancestors 'none'",
            "Cache-Control: no-store",
            "Connection: close",
            "Cross-Origin-Opener-Policy: same-origin",
            "Cross-Origin-Resource-Policy: same-origin",
            "Referrer-Policy: no-referrer",
            "X-Content-Type-Options: nosniff",
        ]
        if self.body is not None:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join((*lines, "", "")).encode()

    @property
    def sent(self) -> bytes:
        """The head and the body."""
        return self.head + (self.body or b"")


def of_json(data: object) -> Answer:
    """Return an answer with data."""
    return Answer(json.dumps(data, separators=(",", ":")).encode())


def refusal(error: Unacceptable) -> Answer:
    """Return the answer to a request that is refused."""
    return Answer(f"{error}\n".encode(), "text/plain; charset=utf-8", error.status)


async def read(connection: socket.socket) -> Request:
    """Read a request.

    Raises:
        Unacceptable: it is not one that is understood.
        OSError: the other side has closed the connection.
    """
    loop = asyncio.get_running_loop()
    data = b""
    while b"\r\n\r\n" not in data:
        if len(data) > MAX_HEAD:
            raise Unacceptable(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head is too long")
        data += await _more(loop, connection)
    head, _, body = data.partition(b"\r\n\r\n")
    request = parsed(head)
    length = request.fields.get("content-length", "0")
    if not length.isdecimal() or len(length) > len(str(MAX_BODY)) or int(length) > MAX_BODY:
        raise Unacceptable(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too long")
    while len(body) < int(length):
        body += await _more(loop, connection)
    return Request(request.method, request.path, request.query, request.fields, body[: int(length)])


async def _more(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> bytes:
    part = await loop.sock_recv(connection, MAX_HEAD)
    if not part:
        raise ConnectionResetError
    return part


def parsed(head: bytes) -> Request:
    """Return the request that a head describes, without its body. Raises ``Unacceptable``."""
    first, *lines = head.split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise Unacceptable(HTTPStatus.BAD_REQUEST, "this is not a request of HTTP")
    if line[1] not in (b"GET", b"POST"):
        raise Unacceptable(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and POST are understood")
    fields: dict[str, str] = {}
    for text in lines:
        field = _FIELD.fullmatch(text)
        name = field[1].decode().lower() if field is not None else ""
        if field is None or name in fields or name == "transfer-encoding":
            raise Unacceptable(HTTPStatus.BAD_REQUEST, "a field of the head is not understood")
        fields[name] = field[2].decode()
    path, _, query = line[2].decode().partition("?")
    return Request(line[1].decode(), path, query, fields)
