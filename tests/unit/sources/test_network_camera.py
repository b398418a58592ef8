"""Network cameras as they are: refusals, streams of every make, still pictures."""

from __future__ import annotations

import http.server
import re
import socketserver
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import cv2
import numpy as np
import pytest

from edged.errors import Reason, Unavailable
from edged.sources import Hint
from edged.sources.camera_answers import find
from edged.sources.drivers.video import Config, create
from edged.system.addresses import parse
from edged.testing.pictures import drain

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = cv2.imencode(".jpg", np.full((480, 640, 3), 90, np.uint8))[1].tobytes()


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[int]:
    with server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


class Rtsp(socketserver.StreamRequestHandler):
    """Answers DESCRIBE as the path says: /401, /404, /digest, /200 …; and to /text in no protocol."""

    def handle(self) -> None:
        while line := self.rfile.readline().decode():
            headers = []
            while (header := self.rfile.readline().decode().strip()) != "":
                headers.append(header)
            number = next(h for h in headers if h.startswith("CSeq"))
            self._answer(line, number, [h for h in headers if h.startswith("Authorization")])

    def _answer(self, line: str, number: str, login: list[str]) -> None:
        status, more = "200 OK", ""
        for path, said in (("/401", "401 Unauthorized"), ("/404", "404 Not Found"), ("/503", "503 Busy")):
            if path in line:
                status = said
        if "/digest" in line and not (login and 'response="' in login[0] and "secret" not in login[0]):
            status, more = "401 Unauthorized", 'WWW-Authenticate: Digest realm="cam", nonce="7"\r\n'
        if "/text" in line:
            self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        else:
            self.wfile.write(f"RTSP/1.0 {status}\r\n{number}\r\n{more}\r\n".encode())


@pytest.mark.parametrize(
    ("url", "reason", "what"),
    [
        ("rtsp://127.0.0.1:PORT/401", Reason.LOGIN, "wants a user and a password"),
        ("rtsp://me:secret@127.0.0.1:PORT/401", Reason.LOGIN, "refuses this user and password"),
        ("rtsp://me:secret@127.0.0.1:PORT/404", Reason.NOT_FOUND, "has no stream at this path"),
        ("rtsp://127.0.0.1:PORT/503", Reason.NETWORK, r"an error \(503\)"),
        ("rtsp://127.0.0.1:PORT/200", Reason.NO_VIDEO, "gives no video that FFmpeg can decode"),
        ("rtsp://me:secret@127.0.0.1:PORT/digest", Reason.NO_VIDEO, "gives no video that FFmpeg can decode"),
        ("rtsp://127.0.0.1:PORT/text", Reason.NO_VIDEO, "does not speak RTSP"),
        ("rtsp://nosuch.invalid/secret", Reason.HOST, "no host of this name is known"),
        ("rtsp://127.0.0.1:9/secret", Reason.REFUSED, "refuses the connection"),
        ("rtmp://127.0.0.1:9/secret", Reason.REFUSED, "refuses the connection"),
        ("udp://239.0.0.1:1234?secret", Reason.NO_VIDEO, "gives no video within"),
    ],
)
def test_why_a_camera_gives_no_video_is_told_apart(url: str, reason: Reason, what: str) -> None:
    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Rtsp)) as port:
        found = find(parse(url.replace("PORT", str(port))), 2)
    assert found.reason is reason
    assert re.search(what, str(found))
    assert str(found).startswith(url.partition("://")[0] + "://")
    assert "secret" not in str(found)


def test_ffmpegs_failure_is_explained_and_its_own_words_are_not_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Rtsp)) as port:
        source = create(Config(url=f"rtsp://me:secret@127.0.0.1:{port}/404", timeout_s=2), Hint())
        with pytest.raises(Unavailable, match=r"^rtsp://127\.0\.0\.1:\d+ has no stream at this path"):
            source.open()
    assert "secret" not in "".join(capfd.readouterr())


class Http(http.server.BaseHTTPRequestHandler):
    """A camera with a still picture, streams of several makes, and refusals."""

    pictures: ClassVar[list[str]] = []
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        kind, _, variant = self.path.lstrip("/").partition("?")[0].partition("-")
        getattr(self, f"_{kind}")(variant)

    def _still(self, variant: str) -> None:
        self.pictures.append(self.path)
        if variant == "hang" and len(self.pictures) > 1:
            threading.Event().wait(1)
        data = cv2.imencode(".jpg", np.full((48, 64, 3), 10 * len(self.pictures), np.uint8))[1].tobytes()
        if variant == "cut":
            data = data[: len(data) // 2]
        if variant == "text":
            data = b"camera is busy"
        self._head(200, {"Content-Type": "image/jpeg", "Content-Length": str(len(data))})
        self.wfile.write(data)

    def _stream(self, variant: str) -> None:
        boundary = "--frame" if variant == "dashes" else "frame"
        quoted = f'"{boundary}"' if variant == "quoted" else boundary
        self._head(200, {"Content-Type": f"multipart/x-mixed-replace; boundary={quoted}"})
        end = b"\n" if variant == "newlines" else b"\r\n"
        length = b"" if variant == "nolength" else b"Content-Length: %d" % len(LARGE) + end
        first = b"junk" + end + end if variant == "preamble" else b""
        for n in range(200):
            data = b"broken" if variant == "broken" or (variant == "some" and n % 3) else LARGE
            told = len(data) - 99 if variant == "wrong" else len(data)
            length = b"Content-Length: %d" % told + end if length else b""
            before = b"" if variant == "late" and n == 0 else b"--frame" + end
            part = before + b"Content-Type: image/jpeg" + end + length + end + data + end
            try:
                self.wfile.write(first + part)
            except OSError:
                return
            first = b""
            threading.Event().wait(0.005)

    def _page(self, _variant: str) -> None:
        self._head(200, {"Content-Type": "text/html"})

    def _status(self, variant: str) -> None:
        self._head(int(variant), {"WWW-Authenticate": 'Basic realm="camera"'} if variant == "401" else {})

    def _elsewhere(self, variant: str) -> None:
        self._head(302, {"Location": "file:///etc/passwd" if variant == "file" else "/still"})

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        del format, args


@pytest.fixture
def camera() -> Iterator[str]:
    Http.pictures.clear()
    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Http)) as port:
        yield f"http://127.0.0.1:{port}"


def opened(url: str, hint: Hint = Hint(), **keys: Any) -> Any:  # noqa: B008 - it is frozen
    source = create(Config(url=url, timeout_s=2, **keys), hint)
    source.open()
    return source


def test_a_still_picture_is_fetched_anew_for_each_read(camera: str) -> None:
    source = opened(f"{camera}/still?key=secret")
    frames = [source.read(2) for _ in range(3)]
    assert [round(f.pixels.mean()) for f in frames] == [10, 20, 30]
    assert [f.number for f in frames] == [0, 1, 2]
    assert Http.pictures == ["/still?key=secret"] * 3
    assert not source.live, "a still picture may stay as it is"
    source.close()
    source.close()


def test_a_camera_that_hangs_is_given_up_in_time(camera: str) -> None:
    source = opened(f"{camera}/still-hang")
    source.read(2)
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"does not answer within 0\.2 s"):
        source.read(0.4)
    assert time.monotonic() - began < 0.9
    source.close()


def test_a_redirection_is_followed_to_a_camera_and_not_to_a_file(camera: str) -> None:
    source = opened(f"{camera}/elsewhere")
    assert source.read(2).pixels.shape == (48, 64, 3)
    source.close()
    with pytest.raises(Unavailable):
        opened(f"{camera}/elsewhere-file")


@pytest.mark.parametrize(
    "variant", ["plain", "dashes", "quoted", "nolength", "newlines", "preamble", "some", "wrong", "late"]
)
def test_streams_of_every_make_are_read_and_decoded_small(camera: str, variant: str) -> None:
    source = opened(f"{camera}/stream-{variant}", Hint(96, 96), interval_s=0)
    for _ in range(5):
        frame = source.read(2)
        assert frame.pixels.shape == (120, 160, 3)
        assert frame.shrink == 4
        assert abs(float(frame.pixels.mean()) - 90) < 2
    source.close()


def test_what_nobody_needs_is_not_decoded(camera: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    imdecode = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda *args: decoded.append(1) or imdecode(*args))
    source = opened(f"{camera}/stream", interval_s=1)
    frames = [source.read(2)]
    threading.Event().wait(0.3)
    frames += [source.read(2), source.read(2)]
    assert frames[-1].number > 5
    assert frames[-1].number > len(decoded) + 3
    source.close()


def open_and_drain(source: Any) -> None:
    source.open()
    drain(source, 100, 2)


@pytest.mark.parametrize(
    ("path", "reason", "what"),
    [
        ("status-401", Reason.LOGIN, "wants a user and a password"),
        ("status-403", Reason.LOGIN, "refuses this user and password"),
        ("status-404", Reason.NOT_FOUND, "has no stream at this path"),
        ("status-500", Reason.NETWORK, "answers with an error"),
        ("page", Reason.NO_VIDEO, "a web page"),
        ("still-text", Reason.NO_VIDEO, "it is not a JPEG"),
        ("still-cut", Reason.LOST, "the file ends before the picture does"),
        ("stream-broken", Reason.LOST, "30 broken pictures in a row"),
    ],
)
def test_what_is_wrong_is_told_apart(camera: str, path: str, reason: Reason, what: str) -> None:
    source = create(Config(url=f"{camera}/{path}?key=secret", timeout_s=2, interval_s=0), Hint())
    with pytest.raises(Unavailable, match=what) as caught:
        open_and_drain(source)
    assert caught.value.reason is reason
    assert str(caught.value).startswith(camera)
    assert "secret" not in str(caught.value)
    source.close()
