"""A real HTTP server on this machine that cuts, stalls, redirects and corrupts on demand."""

from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

ETAG = '"v1"'


class Server:
    """Serves one file in ways that are taken from a list, one a request; after the last one, whole.

    Ways: ``whole``; ``cut N``: close after N bytes; ``stall N``: silence after N bytes; ``status N``;
    ``to URL``: redirect; ``no-ranges``: ignore what part is asked for; ``other-part``: send another one;
    ``endless``: more than any limit.
    """

    def __init__(self, content: bytes, ways: Iterable[str] = ()) -> None:
        self.content = content
        self.others: dict[str, bytes] = {}  # other files, by path, always served whole
        self.ways = list(ways)
        self.asked: list[str | None] = []  # the Range of each request
        self._over = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/m.tflite"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def _answer(self, to: http.server.BaseHTTPRequestHandler) -> None:
        if (other := self.others.get(to.path)) is not None:
            to.send_response(200)
            to.send_header("Content-Length", str(len(other)))
            to.end_headers()
            to.wfile.write(other)
            return
        way, _, more = (self.ways.pop(0) if self.ways else "whole").partition(" ")
        asked = to.headers["Range"]
        self.asked.append(asked)
        if way == "status":
            to.send_error(int(more))
            return
        if way == "to":
            to.send_response(302)
            to.send_header("Location", more or self.url)
            to.end_headers()
            return
        begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked and way != "no-ranges" else 0
        if begin >= len(self.content):
            to.send_error(416)
            return
        body = self.content[begin:]
        to.send_response(206 if begin else 200)
        if begin:
            first = begin - 1 if way == "other-part" else begin
            to.send_header("Content-Range", f"bytes {first}-{len(self.content) - 1}/{len(self.content)}")
        to.send_header("ETag", ETAG)
        if way != "endless":
            to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        to.wfile.write(body[: int(more)] if way in {"cut", "stall"} else body)
        to.wfile.flush()
        if way == "stall":
            self._over.wait(10)
        while way == "endless":
            try:
                to.wfile.write(body)
            except OSError:
                break
