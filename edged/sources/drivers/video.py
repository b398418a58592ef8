"""A video file, or a network camera (RTSP, HTTP) through OpenCV and FFmpeg.

A file gives every frame in order, as fast as it is read. A network camera gives its newest frame; the older
ones are dropped undecoded and counted. A camera's address often includes a password, so messages show no more
of it than scheme, host and port.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal
from urllib.parse import unquote

from pydantic import Field, StringConstraints, model_validator

from edged.drivers import PathOrUrl, SecretFile, wrong
from edged.errors import Reason, Unavailable
from edged.sources import Frame, Hint, Offer, Source, SourceConfig, Viewing, jpeg
from edged.sources.network_camera import NetworkCamera, Settings
from edged.sources.progress import Place
from edged.sources.recording import Recording
from edged.sources.replay import Footage
from edged.system import addresses, clock
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.sources.replay import RecordedTime

_FILE = re.compile(r"^file://", re.IGNORECASE)

ALSO_CALLED = ("rtsp", "onvif", "ipcam", "ip", "http", "https", "mjpeg", "stream", "url", "file")


class Config(SourceConfig):
    """The keys of ``kind: video``."""

    numbered: ClassVar[bool] = True

    kind: Literal["video"] = Field(default="video", description="the driver: video")
    url: Annotated[PathOrUrl, StringConstraints(min_length=1, max_length=2048)] = Field(
        repr=False,
        description="a video file, or a network camera: rtsp://user@host:554/path, http://… for a stream "
        "or a still picture, fetched every interval_s (never logged or published but for its host and port)",
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
        """It is clear where the host is; a password belongs to a user, and stands in one place."""
        address = None
        if addresses.has_scheme(self.url) and not _FILE.match(self.url):
            try:
                address = addresses.parse(self.url)
            except ValueError as error:
                raise wrong(f"{error}", "url") from None
        unclear = address is None or address.user is None or address.password is not None
        if self.password_file is not None and unclear:
            what = "write the user, without a password, into the address: rtsp://USER@host/…"
            raise wrong(f"password_file needs a user: {what}", "password_file")
        return self


def needs(config: Config) -> Needs:
    """Return the file, or for a network camera the network."""
    if addresses.has_scheme(config.url) and not _FILE.match(config.url):
        return Needs(network=True)
    return Needs(files=(str(_path(config)),))


def recognise(text: str, viewing: Viewing) -> Offer | None:
    """Return the video where the text is an address, or the path of a file."""
    if "://" in text:
        return Offer({"url": text}, addresses.shown(text), addresses.shown(text))
    path = Path(text)
    if not path.is_file():
        return None
    keys = {"url": str(path.absolute()), "loop": viewing.repeat, "realtime": viewing.live}
    return Offer(keys, text, text)


def create(config: Config, hint: Hint) -> Source:
    """Return the source; of the hint, a camera takes its password and the size of the model."""
    if not needs(config).network:
        return File(config, hint)
    address = addresses.parse(config.url)
    password = hint.secrets.get("password_file")
    if password is not None:
        address = address._replace(password=password)
    shrink = jpeg.Shrink(config, hint)
    return NetworkCamera(Settings(address, config.transport, config.timeout_s, config.interval_s, shrink))


def recorded(config: Config, hint: Hint, time: RecordedTime) -> Source:
    """Return the frames of a file that are an interval apart in the recording's own time."""
    del hint
    return Footage(_path(config), config.interval_s, time)


class File:
    """Gives the frames of a file in order: all, or with ``realtime`` those that are due."""

    live = False

    def __init__(
        self,
        config: Config,
        hint: Hint = Hint(),  # noqa: B008 - it is frozen
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = _path(config)
        self._loop = config.loop
        self._realtime = config.realtime
        self._progress = hint.progress
        self._monotonic = monotonic
        self._sleep = sleep
        self._recording: Recording | None = None
        self._number = 0
        self._began = 0.0  # when the recording's time was 0

    def open(self) -> None:
        """Open the file and check that it is a video."""
        self.close()
        if not self._path.is_file():
            raise Unavailable(Reason.ABSENT, f"there is no file {self._path}; correct `url`")
        if not os.access(self._path, os.R_OK):
            raise Unavailable(
                Reason.DENIED, f"{self._path} cannot be read; give the user of edged read access"
            )
        self._recording = Recording(self._path, loop=self._loop, start=self._progress.last)
        self._began = self._monotonic() - self._recording.at_s
        self._number = self._progress.number

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame; None where none is due within ``timeout_s``."""
        recording = self._recording
        if recording is None:
            raise Unavailable(Reason.LOST, f"{self._path}: not open")
        if recording.ended:
            raise Unavailable(Reason.ENDED, f"{self._path}: that was the last of {self._number} frames")
        if self._realtime and not self._is_due(recording.at_s, timeout_s):
            return None
        skipped, pixels, until = 0, recording.take(), self._monotonic() + timeout_s
        while self._realtime and self._is_late(recording):
            if self._monotonic() >= until:  # this machine cannot decode at that speed
                self._began = self._monotonic() - recording.at_s
                break
            skipped, pixels = skipped + 1, recording.take()
        self._number += skipped + 1
        place = Place(recording.index)
        return Frame(pixels, clock.wall(), number=self._number - 1, skipped=skipped, place=place)

    def close(self) -> None:
        """Close the file."""
        if self._recording is not None:
            self._recording.close()
        self._recording = None

    def _is_late(self, recording: Recording) -> bool:
        """Return whether the next frame is due already, so that the one before it is old."""
        return not recording.ended and recording.at_s <= self._now_s()

    def _now_s(self) -> float:
        return self._monotonic() - self._began

    def _is_due(self, at_s: float, timeout_s: float) -> bool:
        """Wait for a time of the recording, but not for longer than ``timeout_s``; return whether it came."""
        wait_s = at_s - self._now_s()
        if wait_s > 0:
            self._sleep(min(wait_s, timeout_s))
        return wait_s <= timeout_s


def _path(config: Config) -> Path:
    """Return the path of a file; an address of one may be encoded."""
    return Path(unquote(config.url[7:])) if _FILE.match(config.url) else Path(config.url)
