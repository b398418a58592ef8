"""Pictures of a camera over HTTP: a stream of JPEG pictures (MJPEG), or one still picture, fetched anew.

FFmpeg reads both, but decodes every picture in its full size, reads a still picture once and reports the end
of a video, and keeps an answer such as 401 to itself. A video of another kind is left to it.
"""

from __future__ import annotations

import errno
import http.client
import re
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from edged.errors import Reason, Unavailable
from edged.sources import camera_answers, jpeg, photographs, picture_header
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.sources.photographs import Photograph
    from edged.system.addresses import Address

    Shrink = Callable[[int, int], int]

_CHUNK = 65536
_MOST_HEADER = 65536  # bytes
_MOST_PICTURE = 32_000_000
_MOST_BROKEN, _BROKEN_S = 30, 3.0  # pictures, or seconds, in a row: more than a hiccup
_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_JPEG = b"\xff\xd8\xff"


class Client:
    """Fetches what a camera has at its address.

    Args:
        address: of the camera; with user and password, where it wants them.
        timeout_s: for the connection, and for each answer.
    """

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        url = address.bare_url
        logins = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        if address.user is not None:
            logins.add_password(None, url, address.user, address.password or "")
        # Neither a proxy nor another scheme: a camera must not send edged to a file.
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(context=camera_answers.any_certificate()),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPRedirectHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDigestAuthHandler(logins),
            urllib.request.HTTPBasicAuthHandler(logins),
        ):
            self._opener.add_handler(handler)
        self._request = urllib.request.Request(url, headers={"User-Agent": "edged", "Accept": "*/*"})  # noqa: S310 - http(s) alone has a handler

    def get(self, timeout_s: float | None = None) -> http.client.HTTPResponse:
        """Return the camera's answer, whose content is not read yet.

        Args:
            timeout_s: at most this instead, for the connection and for each piece of the answer.

        Raises:
            Unavailable: the camera cannot be reached, or refuses; the sentence tells which.
        """
        limit_s = min(self._timeout_s, timeout_s or self._timeout_s)
        try:
            answer = self._opener.open(self._request, timeout=limit_s)
        except urllib.error.HTTPError as error:
            error.close()
            raise camera_answers.of_status(self._address, error.code) from None
        except urllib.error.URLError as error:
            cause = error.reason if isinstance(error.reason, OSError) else OSError(str(error.reason))
            raise camera_answers.of_connection(self._address, cause, limit_s) from None
        except (http.client.HTTPException, ValueError):
            raise camera_answers.no_protocol(self._address, "HTTP") from None
        except OSError as error:
            raise camera_answers.of_connection(self._address, error, limit_s) from None
        if not isinstance(answer, http.client.HTTPResponse):
            raise camera_answers.no_video(self._address)
        return answer


def content_type(answer: http.client.HTTPResponse) -> str:
    """Return the type of an answer, such as ``image/jpeg``."""
    return answer.headers.get_content_type() if answer.headers.get("Content-Type") else ""


class Still:
    """A still picture, fetched anew for each read.

    Args:
        address: of the camera.
        client: fetches it.
        shrink: how much smaller a picture may be decoded.
        first: the answer to the first request.
    """

    def __init__(
        self, address: Address, client: Client, shrink: Shrink, first: http.client.HTTPResponse
    ) -> None:
        self._address = address
        self._client = client
        self._shrink = shrink
        self._first: http.client.HTTPResponse | None = first

    def read(self, timeout_s: float) -> Photograph:
        """Return the picture as it is now.

        Args:
            timeout_s: for all of it; a camera that hangs gets half of that for each step.

        Raises:
            Unavailable: the camera is away, or sent something else.
        """
        limit_s = timeout_s / 2
        answer, self._first = self._first or self._client.get(limit_s), None
        try:
            with answer:
                data = answer.read(_MOST_PICTURE + 1)
        except (OSError, http.client.HTTPException) as error:
            cause = error if isinstance(error, OSError) else OSError(errno.EPIPE, "it sent half a picture")
            raise camera_answers.of_connection(self._address, cause, limit_s) from None
        if len(data) > _MOST_PICTURE:
            raise camera_answers.no_video(self._address, f"more than {_MOST_PICTURE // 1_000_000} MB at once")
        try:
            return photographs.decode(data, self._shrink)
        except photographs.Incomplete as error:
            raise Unavailable(Reason.LOST, f"{self._address.shown}: {error.strerror}") from None
        except OSError as error:
            raise Unavailable(Reason.NO_VIDEO, f"{self._address.shown}: {error.strerror}") from None

    def close(self) -> None:
        """Close what is open."""
        if self._first is not None:
            self._first.close()
        self._first = None


class Stream:
    """A stream of JPEG pictures; ``grab`` and ``retrieve`` are those of a grabber.

    Args:
        answer: the camera's answer (``multipart/x-mixed-replace``).
        shrink: how much smaller a picture may be decoded.
    """

    def __init__(self, answer: http.client.HTTPResponse, shrink: Shrink) -> None:
        self._answer = answer
        self._shrink = shrink
        self._buffer = bytearray()
        boundary = str(answer.headers.get_param("boundary") or "").strip("-").encode("latin-1", "replace")
        self._boundary = re.compile(rb"\r?\n-+" + re.escape(boundary))
        self._part = b""
        self._lengths = True  # what headers tell is right
        self._broken = 0
        self._since = 0.0

    def grab(self) -> float:
        """Fetch the next picture undecoded; return the time.

        Raises:
            Unavailable: the camera is gone, or sends no pictures.
        """
        self._part = self._next()
        while not self._part.startswith(_JPEG):
            self._count_broken()
            self._part = self._next()
        return clock.wall()

    def retrieve(self) -> Photograph | None:
        """Decode the picture; None where it is broken.

        Raises:
            Unavailable: nothing but broken pictures came for too long.
        """
        size = picture_header.size(self._part)
        if size is not None and 0 < size.pixels <= picture_header.MAX_PIXELS and jpeg.has_end(self._part):
            shrink = self._shrink(*size)
            pixels = jpeg.decode(self._part, shrink)
            if pixels is not None:
                self._broken = 0
                return photographs.Photograph(pixels, shrink)
        self._lengths = False  # some cameras tell a wrong one; a boundary ends a picture, too
        self._count_broken()
        return None

    def close(self) -> None:
        """Disconnect."""
        self._answer.close()

    def _count_broken(self) -> None:
        now = time.monotonic()
        if not self._broken:
            self._since = now
        self._broken += 1
        if self._broken >= _MOST_BROKEN or now - self._since >= _BROKEN_S:
            raise Unavailable(Reason.LOST, f"the camera sent {self._broken} broken pictures in a row")

    def _next(self) -> bytes:
        """Return the content of the next part: as long as its header states, else up to the boundary."""
        header = self._until(_HEADER_END, _MOST_HEADER)
        length = _LENGTH.search(header) if self._lengths else None
        if length is None:
            return self._until(self._boundary, _MOST_PICTURE)
        size = int(length[1])
        if size > _MOST_PICTURE:
            raise Unavailable(Reason.LOST, f"the camera announced a picture of {size} bytes")
        while len(self._buffer) < size:
            self._fill()
        part = bytes(self._buffer[:size])
        del self._buffer[:size]
        return part

    def _until(self, end: re.Pattern[bytes], most: int) -> bytes:
        """Return the data up to a pattern, which is left out; blank lines before them are skipped."""
        searched = 0
        while True:
            found = end.search(self._buffer, searched)
            if found is not None and not self._buffer[: found.start()].strip():
                del self._buffer[: found.end()]  # the empty lines that end the part before
                searched = 0
                continue
            if found is not None:
                data = bytes(self._buffer[: found.start()])
                del self._buffer[: found.end()]
                return data
            if len(self._buffer) > most:
                raise Unavailable(Reason.LOST, "the camera sends no stream of JPEG pictures")
            searched = max(0, len(self._buffer) - 80)
            self._fill()

    def _fill(self) -> None:
        try:
            data = self._answer.read1(_CHUNK)
        except TimeoutError:
            raise Unavailable(Reason.NETWORK, "the camera sent nothing for too long") from None
        except (OSError, http.client.HTTPException, ValueError):
            data = b""
        if not data:
            raise Unavailable(Reason.NETWORK, "the camera disconnected")
        self._buffer += data
