"""Pictures on connections that others accepted, from a process that can make none."""

from __future__ import annotations

import errno
import os
import socket
import threading
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from edged.sources import Frame
from edged.system import sandbox
from edged.system.needs import Needs
from edged.worker import picture_streams
from edged.worker.picture_streams import HEAD, PictureStreams, encoded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

TAKEN = 1.7e9
FASTOPEN = 0x20000000  # MSG_FASTOPEN: connects while it sends


def frame(width: int = 64, height: int = 48, level: int = 0, **about: object) -> Frame:
    pixels = np.full((height, width, 3), level, np.uint8)
    pixels[: height // 2, : width // 2] = (250, 20, 20)  # the top left is blue
    return Frame(pixels, TAKEN, **about)  # type: ignore[arg-type] - as each test wants it


def opened(data: bytes) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    width, height, _number, captured_at = HEAD.unpack(data[: HEAD.size])
    assert captured_at == TAKEN
    picture = cv2.imdecode(np.frombuffer(data, np.uint8, offset=HEAD.size), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture, np.uint8), (width, height)


def read(connection: socket.socket) -> bytes:
    with connection:
        data = b""
        while part := connection.recv(1 << 16):
            data += part
    return data


def number(data: bytes) -> int:
    found = HEAD.unpack(data[: HEAD.size])[2]
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize(("rotate", "corner"), [(0, (0, 0)), (90, (0, -1)), (180, (-1, -1)), (270, (-1, 0))])
def test_a_picture_is_upright_and_has_its_own_colours(rotate: int, corner: tuple[int, int]) -> None:
    picture, whole = opened(encoded(frame(), 1, rotate))
    assert whole == ((64, 48) if rotate % 180 == 0 else (48, 64))
    assert picture.shape[1::-1] == whole
    blue, _green, red = picture[corner]
    assert blue > 200
    assert red < 60


def test_order_and_grey_and_shrink() -> None:
    picture, _ = opened(encoded(frame(order="rgb")))
    assert picture[0, 0, 2] > 200
    grey, whole = opened(encoded(Frame(np.full((30, 40), 90, np.uint8), TAKEN, order="grey", shrink=4)))
    assert (grey.shape[:2], whole) == ((30, 40), (160, 120))


def test_a_large_picture_is_made_smaller_and_tells_its_own_size() -> None:
    picture, whole = opened(encoded(frame(1920, 1080)))
    assert (max(picture.shape), whole) == (picture_streams.WIDEST, (1920, 1080))


@pytest.fixture
def arrivals() -> Iterator[tuple[PictureStreams, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    streams = PictureStreams(theirs.detach())
    streams.start()
    yield streams, ours
    ours.close()


def hand_over(ours: socket.socket, seen: int = 0) -> socket.socket:
    near, far = socket.socketpair()
    near.settimeout(10)
    with far:
        socket.send_fds(ours, [b"%d" % seen], [far.fileno()])
    return near


def test_a_connection_gets_the_newest_picture_and_then_a_newer_one(
    arrivals: tuple[PictureStreams, socket.socket],
) -> None:
    streams, ours = arrivals
    for level in (10, 90):
        streams.show(frame(level=level))
    first = read(hand_over(ours))
    assert opened(first)[0][-1, -1, 0] == pytest.approx(90, abs=4)
    waiting = hand_over(ours, number(first))
    streams.show(frame(level=180))
    second = read(waiting)
    assert opened(second)[0][-1, -1, 0] == pytest.approx(180, abs=4)
    assert number(second) > number(first)


def test_without_a_newer_picture_a_connection_is_closed(
    arrivals: tuple[PictureStreams, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_streams, "WAIT_S", 0.01)
    streams, ours = arrivals
    assert read(hand_over(ours)) == b""
    streams.show(frame())
    assert read(hand_over(ours, number(read(hand_over(ours))))) == b""


def test_too_many_connections_are_closed_and_places_become_free(
    arrivals: tuple[PictureStreams, socket.socket],
) -> None:
    streams, ours = arrivals
    waiting = [hand_over(ours) for _ in range(picture_streams.MOST_VIEWERS)]
    assert read(hand_over(ours)) == b""
    streams.show(frame())
    assert all(read(connection) for connection in waiting)
    for _ in range(100):
        if read(hand_over(ours)):
            break
        threading.Event().wait(0.02)
    else:
        pytest.fail("nobody was let in again")


def test_a_frame_is_shown_before_it_is_prepared(arrivals: tuple[PictureStreams, socket.socket]) -> None:
    streams, ours = arrivals
    given = frame()
    prepare = streams.shown_before(lambda seen: seen.pixels, 90)
    assert prepare(given) is given.pixels
    assert opened(read(hand_over(ours)))[1] == (48, 64)


def test_a_worker_can_answer_a_connection_and_make_none() -> None:
    """With a connection of TCP from another network namespace, as main hands them over."""
    pytest.importorskip("pyseccomp", reason="pyseccomp is not installed", exc_type=RuntimeError)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_server(("127.0.0.1", 0)) as elsewhere,
        socket.create_connection(listener.getsockname()) as browser,
    ):
        accepted, _ = listener.accept()
        process = os.fork()
        if process == 0:
            os._exit(_misuse(accepted, elsewhere.getsockname()))
        accepted.close()
        browser.settimeout(10)
        assert browser.recv(16) == b"picture"
        _, ended = os.waitpid(process, 0)
        assert os.waitstatus_to_exitcode(ended) == 0
        elsewhere.settimeout(0.1)
        with pytest.raises(TimeoutError):
            elsewhere.accept()


def _misuse(accepted: socket.socket, there: tuple[str, int]) -> int:
    """Confine this process as a worker is, answer, and try to reach elsewhere; return what was possible."""
    if "seccomp" not in sandbox.confine(Needs()).holds:
        return 99
    accepted.sendall(b"picture")
    tries = (
        lambda: accepted.connect(there),
        lambda: accepted.sendto(b"x", FASTOPEN, there),
        lambda: accepted.sendmsg([b"x"], [], FASTOPEN, there),
        accepted.listen,
        lambda: accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    )
    for number, attempt in enumerate(tries):
        try:
            attempt()
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EISCONN):
                return 10 + number
        else:
            return 20 + number
    accepted.shutdown(socket.SHUT_RDWR)  # closed on both sides it is still no new one
    try:
        accepted.sendmsg([b"x"], [], FASTOPEN, there)
    except OSError:
        return 0
    return 30
