"""Downloads a file: goes on where it was cut off, and refuses what is too long or leads elsewhere."""

from __future__ import annotations

import http.client
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Protocol

import edged
from edged.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ATTEMPTS = 5  # in a row that bring nothing new
MOST_ATTEMPTS = 100
STALL_S = 20.0  # without a byte
_CHUNK = 1 << 16
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # statuses that may pass
_NOT_SATISFIABLE = 416


class Watcher(Protocol):
    """Hears how it goes."""

    def received(self, done: int, total: int | None) -> None:
        """Take how many bytes are there, and how many there will be, if that is known."""

    def note(self, sentence: str) -> None:
        """Take a note for the user."""


@dataclass(frozen=True)
class Download:
    """A file to download.

    Attributes:
        url: its address, http or https.
        part: the file for what has arrived; a longer one than was asked for is never written.
        most: the largest size that is accepted, in bytes.
        size: its size; 0: not known.
        stall_s: the longest silence of the server.
        sleep: waits for some seconds.
    """

    url: str
    part: Path
    most: int
    size: int = 0
    stall_s: float = STALL_S
    sleep: Callable[[float], None] = time.sleep

    def run(self, watcher: Watcher) -> None:
        """Download it, in several attempts if need be, until ``part`` is whole.

        Raises:
            Refused: the server does not have it, offers something else, or fails again and again.
        """
        failures, etag = 0, ""
        for _ in range(MOST_ATTEMPTS):
            have, problem = _size(self.part), ""
            try:
                etag = self._attempt(have, etag, watcher)
            except urllib.error.HTTPError as error:
                problem = f"the server answers {error.code} {error.reason}"
                error.close()
                if error.code == _NOT_SATISFIABLE:
                    self.part.unlink(missing_ok=True)  # it is longer than the file
                elif error.code not in _PASSING:
                    raise Refused(f"{self.url}: {problem}") from None
            except (OSError, http.client.HTTPException) as error:
                problem = _words(error)
            if not problem:
                return
            failures = 1 if _size(self.part) > have else failures + 1
            if failures >= ATTEMPTS:
                break
            watcher.note(f"{problem}; trying again")
            self.sleep(min(16, 2.0 ** (failures - 1)))
        kept = "; what has arrived is kept, and the same command goes on with it" if _size(self.part) else ""
        raise Refused(f"{self.url}: {problem}{kept}", os.EX_TEMPFAIL)

    def _attempt(self, have: int, etag: str, watcher: Watcher) -> str:
        """Take what one connection brings.

        Returns:
            The server's tag of the file.

        Raises:
            Refused: it is not the file that was expected.
            OSError, HTTPException: the connection failed.
        """
        headers = {"User-Agent": f"edged/{edged.__version__}", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if etag:
                headers["If-Range"] = etag
        request = urllib.request.Request(self.url, headers=headers)  # noqa: S310 - http and https alone
        with _opener().open(request, timeout=self.stall_s) as response:
            if response.status == http.client.PARTIAL_CONTENT:
                if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                    self.part.unlink(missing_ok=True)
                    raise OSError("the server sends another part than was asked for")
            else:
                have = 0
            length = response.headers.get("Content-Length", "")
            total = have + int(length) if length.isascii() and length.isdecimal() else None
            self._refuse(total)
            with self.part.open("ab" if have else "wb") as file:
                done = self._copy(response, file, have, total, watcher)
            tag = response.headers.get("ETag", "")
        if done < (total or self.size):
            raise OSError("the server closed the connection before the end")
        return "" if tag.startswith("W/") else tag

    def _copy(self, response: Any, file: IO[bytes], done: int, total: int | None, watcher: Watcher) -> int:
        while data := response.read1(_CHUNK):
            done += len(data)
            self._refuse(done, final=False)
            file.write(data)
            watcher.received(done, total or self.size or None)
        return done

    def _refuse(self, size: int | None, *, final: bool = True) -> None:
        """Refuse a file that is longer than it may be, or of another size than it should be."""
        if size is None:
            return
        if self.size and (size > self.size or (final and size != self.size)):
            raise Refused(f"{self.url}: it should have {self.size} bytes, and the server offers {size}")
        if size > self.most:
            raise Refused(f"{self.url}: it is longer than {self.most} bytes")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, and never from an encrypted address to another kind."""

    max_redirections = 5

    def redirect_request(  # noqa: PLR0917 - the signature is urllib's
        self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str
    ) -> Any:
        """Return the next request. Raises ``Refused`` where it would not be encrypted any more."""
        scheme = urllib.parse.urlsplit(newurl).scheme
        if scheme != "https" and not (scheme == "http" and req.type == "http"):
            raise Refused(f"{req.full_url}: the server leads to {newurl}, which is not encrypted")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener for http and https alone: no files, no FTP."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def _words(error: Exception) -> str:
    """Return what failed, in words."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return "the server is silent"
    return (getattr(reason, "strerror", None) or str(reason) or type(reason).__name__).lower()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
