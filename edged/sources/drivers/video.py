"""A video file, or a network camera (RTSP, HTTP) through OpenCV and FFmpeg.

A file gives every frame in order, as fast as it is read. A network camera gives its newest frame; the older
ones are dropped undecoded and counted. A camera's address often includes its password, so messages use
``shown``.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal
from urllib.parse import quote, unquote, urlsplit

from pydantic import Field, StringConstraints, model_validator

from edged.drivers import PathOrUrl, SecretFile, wrong
from edged.errors import Reason, Unavailable
from edged.sources import Frame, Hint, Offer, Source, SourceConfig, Viewing
from edged.sources.grabber import Grabber
from edged.sources.pacing import Pace
from edged.system import clock
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Callable

    import cv2
    import numpy as np
    from numpy.typing import NDArray

_SCHEME = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://")
_USER = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#]+)@")
_EAGER_BELOW_S = 0.1  # for shorter intervals, every frame is decoded ahead of time


class Config(SourceConfig):
    """The keys of ``kind: video``."""

    numbered: ClassVar[bool] = True

    kind: Literal["video"] = Field(default="video", description="the driver: video")
    url: Annotated[PathOrUrl, StringConstraints(min_length=1, max_length=2048)] = Field(
        repr=False,
        description="a video file, or a network camera: rtsp://user@host:554/path, http://… "
        "(with the password in password_file; it is never logged or published)",
    )
    password_file: SecretFile | None = Field(
        examples=["yard-password"],
        default=None,
        description="file that holds the password of the user in url; in $CREDENTIALS_DIRECTORY, else "
        "beside this file",
    )
    loop: bool = Field(default=False, description="files: start again at the end; false: stop there")
    realtime: bool = Field(
        default=False,
        description="files: play at the recording's speed and skip frames that are late; "
        "false: process every frame, as fast as the model can",
    )
    transport: Literal["tcp", "udp"] = Field(
        default="tcp", description="RTSP: tcp loses no packets; udp may have less delay"
    )
    timeout_s: Annotated[float, Field(ge=0.5, le=60, allow_inf_nan=False)] = Field(
        default=5.0, description="network: maximum time to connect, or to wait for data, in s"
    )

    @model_validator(mode="after")
    def _login(self) -> Config:
        """A password belongs to a user, and stands in one place."""
        user = _USER.match(self.url)
        if self.password_file is not None and (user is None or ":" in user[1]):
            what = "write the user, without a password, into the address: rtsp://USER@host/…"
            raise wrong(f"password_file needs a user: {what}", "password_file")
        return self


def needs(config: Config) -> Needs:
    """Return the file, or for a network camera the network."""
    url = urlsplit(config.url) if _SCHEME.match(config.url) else None
    if url is not None and url.scheme.lower() != "file":
        return Needs(network=True)
    return Needs(files=(config.url if url is None else unquote(url.path),))


def recognise(text: str, viewing: Viewing) -> Offer | None:
    """Return the video where the text is an address, or the path of a file."""
    if "://" in text:
        return Offer({"url": text}, shown(text), shown(text))
    path = Path(text)
    if not path.is_file():
        return None
    keys = {"url": str(path.absolute()), "loop": viewing.repeat, "realtime": viewing.live}
    return Offer(keys, text, text)


def shown(url: str) -> str:
    """Return the address without user, password and query, for people and logs."""
    if not _SCHEME.match(url):
        return url
    rest = url.split("://", 1)
    # Not urlsplit: a password may hold characters that a well-formed address would escape ('#', '/', '?').
    after = rest[1].rsplit("@", 1)
    host = re.split(r"[?#]", after[-1], maxsplit=1)[0]
    return f"{rest[0]}://{'***@' if len(after) == 2 else ''}{host}"


def create(config: Config, hint: Hint) -> Source:
    """Return the source; a video comes in its own size, so of the hint only the password is used."""
    if not needs(config).network:
        return File(config)
    password = hint.secrets.get("password_file")
    return Stream(config, config.url if password is None else _with_password(config.url, password))


def _with_password(url: str, password: str) -> str:
    user = _USER.match(url)
    at = user.end(1) if user is not None else 0
    return f"{url[:at]}:{quote(password, safe='')}{url[at:]}" if at else url


class File:
    """Gives the frames of a file in order: all, or with ``realtime`` those that are due."""

    live = False

    def __init__(
        self,
        config: Config,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = Path(config.url.removeprefix("file://"))
        self._loop = config.loop
        self._realtime = config.realtime
        self._pace = Pace(monotonic, sleep)
        self._capture: cv2.VideoCapture | None = None
        self._number = 0

    def open(self) -> None:
        """Open the file and check that it is a video."""
        import cv2

        self.close()
        if not self._path.is_file():
            raise Unavailable(Reason.ABSENT, f"there is no file {self._path}; correct `url`")
        if not os.access(self._path, os.R_OK):
            raise Unavailable(
                Reason.DENIED, f"{self._path} cannot be read; give the user of edged read access"
            )
        self._capture = self._start()
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        period_s = 1 / fps if 0 < fps <= 1000 else 1 / 25
        self._pace.begin(period_s if self._realtime else 0)
        self._number = 0

    def read(self, timeout_s: float) -> Frame:
        """Return the next frame."""
        if self._capture is None:
            raise Unavailable(Reason.LOST, f"{self._path}: not open")
        skip = self._pace.wait(timeout_s)
        skipped = 0
        while skipped < skip and self._capture.grab():
            skipped += 1
        pixels = self._decode(self._capture)
        if pixels is None and self._loop:
            self._capture.release()
            self._capture = self._start()
            pixels = self._decode(self._capture)
        if pixels is None:
            raise Unavailable(Reason.ENDED, f"{self._path}: that was the last of {self._number} frames")
        self._number += skipped + 1
        return Frame(pixels, clock.wall(), number=self._number - 1, skipped=skipped)

    def close(self) -> None:
        """Close the file."""
        if self._capture is not None:
            self._capture.release()
        self._capture = None

    def _start(self) -> cv2.VideoCapture:
        import cv2

        capture = cv2.VideoCapture(str(self._path.absolute()), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise Unavailable(Reason.ABSENT, f"{self._path} contains no video that FFmpeg can read")
        return capture

    def _decode(self, capture: cv2.VideoCapture) -> NDArray[np.uint8] | None:
        ok, pixels = capture.read()
        return pixels if ok else None  # type: ignore[return-value]  # cv2's stubs have no element types


class Stream:
    """Gives the newest frame of a network camera."""

    live = True

    def __init__(self, config: Config, url: str) -> None:
        self._config = config
        self._url = url
        self._shown = shown(url)
        self._grabber: Grabber[Any] | None = None
        self._number = 0

    def open(self) -> None:
        """Connect within ``timeout_s`` (name resolution may take longer)."""
        import cv2

        self.close()
        os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = f"rtsp_transport;{self._config.transport}"
        limit = int(self._config.timeout_s * 1000)
        capture = cv2.VideoCapture()
        capture.open(
            self._url,
            cv2.CAP_FFMPEG,
            [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit],
        )
        if not capture.isOpened():
            raise Unavailable(
                Reason.NETWORK,
                f"{self._shown} could not be reached within {self._config.timeout_s:g} s or gives no video; "
                "check address, user and password with `ffplay`",
            )
        self._number = 0
        self._grabber = Grabber(
            "edged-stream",
            lambda: self._grab(capture),
            lambda: self._retrieve(capture),
            capture.release,
            eager=self._config.interval_s < _EAGER_BELOW_S,
        )
        self._grabber.start()

    def read(self, timeout_s: float) -> Frame:
        """Return the newest frame."""
        if self._grabber is None:
            raise Unavailable(Reason.LOST, f"{self._shown}: not open")
        try:
            at, pixels, skipped = self._grabber.take(timeout_s)
        except Unavailable as error:
            raise Unavailable(error.reason, f"{self._shown}: {error}") from error
        self._number += skipped + 1
        return Frame(pixels, at, number=self._number - 1, skipped=skipped)

    def close(self) -> None:
        """Disconnect; a camera that does not answer is left to its thread."""
        grabber, self._grabber = self._grabber, None
        if grabber is not None:
            grabber.stop()

    def _grab(self, capture: cv2.VideoCapture) -> float:
        if not capture.grab():
            raise Unavailable(Reason.NETWORK, "the camera disconnected, or sent nothing for too long")
        return clock.wall()

    def _retrieve(self, capture: cv2.VideoCapture) -> Any:
        ok, pixels = capture.retrieve()
        if not ok:
            raise Unavailable(Reason.LOST, "a frame could not be decoded")
        return pixels
