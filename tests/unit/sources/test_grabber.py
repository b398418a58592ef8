from __future__ import annotations

import threading

import pytest

from edged.errors import Reason, Unavailable
from edged.sources.grabber import Grabber

WAIT_S = 5.0


class Line:
    """A camera's wire: frames come when the test lets them."""

    def __init__(self) -> None:
        self.next = threading.Semaphore(0)
        self.seen = threading.Semaphore(0)  # frames that were dealt with
        self.count = 0
        self.decoded: list[int] = []
        self.released = 0
        self.fails: Exception | None = None

    def grab(self) -> float:
        if self.count:
            self.seen.release()
        assert self.next.acquire(timeout=WAIT_S)
        if self.fails is not None:
            raise self.fails
        self.count += 1
        return float(self.count)

    def retrieve(self) -> int:
        self.decoded.append(self.count)
        return self.count

    def release(self) -> None:
        self.released += 1

    def send(self, frames: int) -> None:
        """Let frames arrive, each one after the one before was dealt with."""
        for _ in range(frames):
            self.next.release()
            assert self.seen.acquire(timeout=WAIT_S)


def grabbing(line: Line, *, eager: bool = True) -> Grabber[int]:
    grabber = Grabber("test", line.grab, line.retrieve, line.release, eager=eager)
    grabber.start()
    return grabber


def stop(grabber: Grabber[int], line: Line) -> None:
    grabber._stopping.set()  # before the frame that lets the thread look at it
    line.next.release()
    assert grabber.stop(WAIT_S)
    assert line.released == 1


def test_gives_the_newest_and_counts_the_others() -> None:
    line = Line()
    grabber = grabbing(line)
    line.send(4)
    assert grabber.take(WAIT_S) == (4.0, 4, 3)
    line.send(1)
    assert grabber.take(WAIT_S) == (5.0, 5, 0)
    stop(grabber, line)


def test_decodes_only_what_is_wanted_for_a_slow_reader() -> None:
    line = Line()
    grabber = grabbing(line, eager=False)
    line.send(4)
    with pytest.raises(Unavailable) as caught:
        grabber.take(0)
    assert caught.value.reason is Reason.TIMEOUT
    line.send(3)  # the first of them is for the reader who gave up: he will come back
    assert line.decoded == [5]
    assert grabber.take(WAIT_S) == (5.0, 5, 6)
    stop(grabber, line)


def test_a_failure_reaches_the_reader_and_gives_the_device_back() -> None:
    line = Line()
    grabber = grabbing(line)
    line.send(1)
    line.fails = Unavailable(Reason.LOST, "unplugged")
    line.next.release()
    grabber._thread.join(WAIT_S)
    assert grabber.take(WAIT_S)[1] == 1, "the last good picture is still one"
    for _ in range(2):
        with pytest.raises(Unavailable, match="unplugged"):
            grabber.take(WAIT_S)
    assert line.released == 1
    assert grabber.stop()


def test_a_device_that_hangs_is_left_to_its_thread() -> None:
    line = Line()
    grabber = grabbing(line)
    assert grabber.stop(0.01) is False
    assert line.released == 0
    line.next.release()
    grabber._thread.join(WAIT_S)
    assert line.released == 1


def test_stop_before_start_gives_the_device_back() -> None:
    line = Line()
    assert Grabber("test", line.grab, line.retrieve, line.release).stop()
    assert line.released == 1
