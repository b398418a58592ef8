from __future__ import annotations

import base64
import http.server
import threading
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from edged.errors import Reason, Unavailable
from edged.sources import Hint
from edged.sources.drivers.video import Config, File, create, needs
from edged.sources.network_camera import NetworkCamera
from edged.system.addresses import shown
from edged.testing.pictures import drain

if TYPE_CHECKING:
    from collections.abc import Iterator


def level(pixels: np.ndarray) -> int:
    """Which of the ten frames it is."""
    return round((float(pixels.mean()) - 20) / 20)


def test_gives_every_frame_in_order_and_ends(video: Path) -> None:
    source = create(Config(url=str(video)), Hint())
    source.open()
    frames = [source.read(0) for _ in range(10)]
    assert [level(f.pixels) for f in frames] == list(range(10))
    assert [f.number for f in frames] == list(range(10))
    for _ in range(2):
        with pytest.raises(Unavailable, match="last of 10 frames") as caught:
            source.read(0)
        assert caught.value.reason is Reason.ENDED
    source.close()


def test_loops_and_goes_on_counting(video: Path) -> None:
    source = create(Config(url=f"file://{video}", loop=True), Hint())
    source.open()
    frames = [source.read(0) for _ in range(12)]
    assert [level(f.pixels) for f in frames[9:]] == [9, 0, 1]
    assert frames[-1].number == 11
    source.close()


def test_at_its_own_speed_it_skips_what_is_late(video: Path) -> None:
    now = [10.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    source = File(Config(url=str(video), realtime=True), monotonic=lambda: now[0], sleep=sleep)
    source.open()
    assert level(source.read(1).pixels) == 0
    source.read(1)
    assert now[0] == pytest.approx(10.05)
    now[0] += 0.17  # the model took three and a half frames
    frame = source.read(1)
    assert (level(frame.pixels), frame.skipped, frame.number) == (4, 2, 4)
    assert source.read(0.001) is None
    source.close()


def test_a_machine_that_cannot_keep_up_with_it_gets_a_frame_all_the_same(video: Path) -> None:
    now = [10.0]

    def slow() -> float:
        now[0] += 0.03  # two of these for each frame, which lasts 0.05 s
        return now[0]

    source = File(Config(url=str(video), realtime=True, loop=True), monotonic=slow)
    source.open()
    before = source.read(1.0)
    began = now[0]
    frame = source.read(1.0)
    assert frame.number > before.number
    assert now[0] - began < 1.5
    assert source.read(1.0).skipped < 25, "it goes on from there, and makes nothing up for"
    source.close()


def test_says_that_a_file_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("not a video")
    with pytest.raises(Unavailable, match=r"notes\.mp4 contains no video"):
        create(Config(url=str(tmp_path / "notes.mp4")), Hint()).open()


@pytest.mark.parametrize(
    ("url", "network", "printed"),
    [
        ("/srv/door.mp4", False, "/srv/door.mp4"),
        ("door@home.mp4", False, "door@home.mp4"),
        ("file:///srv/door.mp4", False, "file:///srv/door.mp4"),
        ("rtsp://admin:hunter2@10.0.0.7:554/h264", True, "rtsp://10.0.0.7:554"),
        ("rtsp://admin:hun#ter/2?@10.0.0.7/h264", True, "rtsp://10.0.0.7"),
        ("RTSP://admin:hunter2@cam/live?token=hunter2", True, "rtsp://cam"),
        ("http://cam/video?user=a&password=hunter2", True, "http://cam"),
        ("udp://239.0.0.1:1234", True, "udp://239.0.0.1:1234"),
    ],
)
def test_knows_what_needs_a_network_and_what_may_be_printed(url: str, network: bool, printed: str) -> None:
    config = Config(url=url)
    assert needs(config).network is network
    assert isinstance(create(config, Hint()), NetworkCamera if network else File)
    assert shown(url) == printed
    assert "hunter2" not in shown(url) + repr(config) + str(config)
    assert url not in repr(config)


def test_an_address_that_is_not_clear_is_refused_by_its_character() -> None:
    with pytest.raises(ValidationError, match="write / as %2F in the password") as caught:
        Config(url="rtsp://admin:12/34hunter@cam/1")
    assert "hunter" not in str(caught.value)


def test_a_camera_that_is_not_there_is_not_waited_for_and_its_password_not_shown(
    capfd: pytest.CaptureFixture[str],
) -> None:
    source = create(Config(url="rtsp://admin:hunter2@127.0.0.1:9/live", timeout_s=1), Hint())
    with pytest.raises(Unavailable, match=r"rtsp://127\.0\.0\.1:9 refuses the connection") as caught:
        source.open()
    source.close()
    assert caught.value.reason is Reason.REFUSED
    out, err = capfd.readouterr()
    assert "hunter2" not in out + err + str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://10.0.0.7/h264",
        "rtsp://admin:hunter2@10.0.0.7/h264",
        "rtsp://10.0.0.7/h264?to=a@b",
        "/srv/door.mp4",
    ],
)
def test_a_password_file_needs_a_user_without_a_password(url: str) -> None:
    with pytest.raises(ValidationError, match="write the user, without a password, into the address"):
        Config(url=url, password_file=Path("yard-password"))


class _Camera(http.server.BaseHTTPRequestHandler):
    """A network camera that sends MJPEG pictures, ever brighter, until it is told to hang up."""

    hang_up = threading.Event()
    logins: ClassVar[list[str]] = []
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        login = self.headers.get("Authorization")
        if login is None:  # FFmpeg sends the password when it is asked for
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
            return
        self.logins.append(login)
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        n = 0
        while not self.hang_up.wait(0.01):
            n = (n + 1) % 10
            data = cv2.imencode(".jpg", np.full((48, 64, 3), 20 * n + 20, np.uint8))[1].tobytes()
            part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data)
            try:
                self.wfile.write(part + data + b"\r\n")
            except OSError:
                return

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        del format, args


@pytest.fixture
def camera() -> Iterator[str]:
    _Camera.hang_up.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Camera) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://user:hunter2@127.0.0.1:{server.server_port}/stream.mjpg"
        _Camera.hang_up.set()
        server.shutdown()


@pytest.mark.parametrize("interval_s", [0, 1])
def test_a_network_camera_gives_its_newest_frame(camera: str, interval_s: float) -> None:
    source = create(Config(url=camera, interval_s=interval_s, timeout_s=5), Hint())
    source.open()
    frames = [source.read(5) for _ in range(3)]
    threading.Event().wait(0.2)  # the reader is busy; the camera goes on
    late = source.read(5)
    assert all(f.pixels.shape == (48, 64, 3) for f in frames)
    assert late.skipped >= 2
    assert late.number == frames[-1].number + late.skipped + 1
    _Camera.hang_up.set()
    with pytest.raises(Unavailable, match="disconnected") as caught:
        drain(source, 1000, 5)
    assert caught.value.reason is Reason.NETWORK
    assert "hunter2" not in str(caught.value)
    source.close()


def test_the_password_of_a_file_is_the_users_at_the_camera(camera: str) -> None:
    config = Config(url=camera.replace(":hunter2@", "@"), password_file=Path("yard"), timeout_s=5)
    assert "password" not in repr(Hint(secrets={"password_file": "p@ss:w/rd?"}))
    source = create(config, Hint(secrets={"password_file": "p@ss:w/rd?"}))
    source.open()
    source.read(5)
    source.close()
    assert base64.b64decode(_Camera.logins[-1].removeprefix("Basic ")) == b"user:p@ss:w/rd?"
