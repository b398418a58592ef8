"""A libcamera without hardware, made by hand, over which the real picamera2 runs: its Python is the contract.

It has what picamera2 0.3.17 to 0.3.36 uses of libcamera's Python binding: cameras with their modes, streams
with padded rows, requests that a thread fills at the sensor's rate, first frames that are not trusted.
What it shows, and which faults it has, is decided by a :class:`unit.sources.real_picamera2.RealBoard`.
"""

from __future__ import annotations

import enum
import mmap
import os
import threading
import time
import types
import weakref
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edged.testing import scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.testing.sensor_modes import Mode
    from unit.sources.real_picamera2 import RealBoard

_ALIGN = 64
_LEAST = 64  # pixels, on a Pi 4
_STARTUP_FRAMES = 7


class StreamRole(enum.Enum):
    Raw = 0
    StillCapture = 1
    VideoRecording = 2
    Viewfinder = 3


class ControlType(enum.Enum):
    Null = 0
    Integer = 1
    Rectangle = 2
    Size = 3


class Orientation(enum.Enum):
    Rotate0 = 1
    Rotate0Mirror = 2
    Rotate180 = 3
    Rotate180Mirror = 4
    Rotate90Mirror = 5
    Rotate270 = 6
    Rotate270Mirror = 7
    Rotate90 = 8


class Transform:
    def __init__(self, other: Transform | None = None, **flags: int) -> None:
        names = ("hflip", "vflip", "transpose")
        self.hflip, self.vflip, self.transpose = (flags.get(name, getattr(other, name, 0)) for name in names)

    def __str__(self) -> str:
        return f"hflip {self.hflip} vflip {self.vflip}"

    def __hash__(self) -> int:
        return hash((bool(self.hflip), bool(self.vflip), bool(self.transpose)))


@dataclass
class Size:
    width: int = 0
    height: int = 0


@dataclass
class Rectangle:
    x: int = 0
    y: int = 0
    width: int = 0
    height: int = 0


class ColorSpace:
    class YcbcrEncoding(enum.Enum):
        Null = 0
        Rec601 = 1
        Rec709 = 2

    class Range(enum.Enum):
        Full = 0
        Limited = 1

    def __init__(self, other: ColorSpace | None = None, **parts: Any) -> None:
        if other is not None:
            parts = dict(vars(other)) | parts
        self.primaries = parts.get("primaries", 0)
        self.transferFunction = parts.get("transferFunction", 0)
        self.ycbcrEncoding = parts.get("ycbcrEncoding", self.YcbcrEncoding.Null)
        self.range = parts.get("range", self.Range.Full)

    def __str__(self) -> str:
        return f"primaries {self.primaries} {self.range.name}"

    def __hash__(self) -> int:
        return id(self)

    @classmethod
    def _made(cls, primaries: int, transfer: int, encoding: str, range_: str) -> ColorSpace:
        return cls(
            primaries=primaries,
            transferFunction=transfer,
            ycbcrEncoding=cls.YcbcrEncoding[encoding],
            range=cls.Range[range_],
        )

    @classmethod
    def Raw(cls) -> ColorSpace:  # noqa: N802 - libcamera's name
        return cls._made(0, 0, "Null", "Full")

    @classmethod
    def Sycc(cls) -> ColorSpace:  # noqa: N802 - libcamera's name
        return cls._made(1, 1, "Rec601", "Full")

    @classmethod
    def Smpte170m(cls) -> ColorSpace:  # noqa: N802 - libcamera's name
        return cls._made(2, 2, "Rec601", "Limited")

    @classmethod
    def Rec709(cls) -> ColorSpace:  # noqa: N802 - libcamera's name
        return cls._made(1, 2, "Rec709", "Limited")


class PixelFormat:
    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class ControlId:
    name: str
    type: ControlType = ControlType.Integer


@dataclass(frozen=True)
class ControlInfo:
    min: Any
    max: Any
    default: Any


_IDS: dict[str, ControlId] = {}


def control(name: str, kind: ControlType = ControlType.Integer) -> ControlId:
    return _IDS.setdefault(name, ControlId(name, kind))


class Status(enum.Enum):
    Success = 0
    Error = 1
    Cancelled = 2
    Startup = 3


class FrameMetadata:
    Status = Status


@dataclass
class _PlaneMetadata:
    bytes_used: int


@dataclass
class _BufferMetadata:
    status: Status = Status.Success
    planes: list[_PlaneMetadata] = field(default_factory=list)


class FrameBuffer:
    class Plane:
        fd = -1
        offset = 0
        length = 0

    def __init__(self, planes: list[Plane]) -> None:
        self.planes = planes
        self.metadata = _BufferMetadata(planes=[_PlaneMetadata(plane.length) for plane in planes])


class Stream:
    configuration: StreamConfiguration


class _Formats:
    """The formats of a stream, each with its sizes."""

    def __init__(self, sizes: dict[str, list[tuple[int, int]]]) -> None:
        self._sizes = sizes

    @property
    def pixel_formats(self) -> list[PixelFormat]:
        return [PixelFormat(name) for name in self._sizes]

    def sizes(self, pixel_format: PixelFormat) -> list[Size]:
        return [Size(*size) for size in self._sizes[str(pixel_format)]]


class StreamConfiguration:
    def __init__(self, formats: _Formats) -> None:
        self.formats = formats
        self.size = Size(640, 480)
        self.pixel_format = PixelFormat("XBGR8888")
        self.buffer_count = 4
        self.stride = self.frame_size = 0
        self.color_space: ColorSpace | None = None
        self.stream = Stream()
        self.stream.configuration = self


class SensorConfiguration:
    bit_depth = 0
    output_size = Size()


class CameraConfiguration:
    class Status(enum.Enum):
        Valid = 0
        Adjusted = 1
        Invalid = 2

    def __init__(self, camera: Camera, roles: list[StreamRole]) -> None:
        self._camera = camera
        self._streams = [StreamConfiguration(camera.formats(role)) for role in roles]
        self.orientation = Orientation.Rotate0
        self.sensor_config: SensorConfiguration | None = None

    def at(self, index: int) -> StreamConfiguration:
        return self._streams[index]

    def __iter__(self) -> Iterator[StreamConfiguration]:
        return iter(self._streams)

    def validate(self) -> Status:
        """Choose strides, and sizes where the hardware cannot give those asked for."""
        adjusted = False
        for stream in self._streams:
            name = str(stream.pixel_format)
            asked = (stream.size.width, stream.size.height)
            if name not in scene.BYTES:  # raw
                stream.size = Size(*self._camera.mode_for(self.sensor_config).size)
                stream.stride = stream.size.width * 2
                stream.frame_size = stream.stride * stream.size.height
            else:
                if self._camera.board.platform.name == "VC4":
                    stream.size = Size(*(max(n, _LEAST) for n in asked))
                row = stream.size.width * scene.BYTES[name]
                stream.stride = -(-row // _ALIGN) * _ALIGN
                rows = stream.size.height * 3 // 2 if name == "YUV420" else stream.size.height
                stream.frame_size = stream.stride * rows
            adjusted |= asked != (stream.size.width, stream.size.height)
        return self.Status.Adjusted if adjusted else self.Status.Valid


class Request:
    class Status(enum.Enum):
        Pending = 0
        Complete = 1
        Cancelled = 2

    def __init__(self, cookie: int) -> None:
        self.cookie = cookie
        self.status = self.Status.Pending
        self.buffers: dict[Stream, FrameBuffer] = {}
        self.metadata: dict[ControlId, Any] = {}
        self.controls: dict[ControlId, Any] = {}

    def add_buffer(self, stream: Stream, buffer: FrameBuffer) -> None:
        self.buffers[stream] = buffer

    def set_control(self, control_id: ControlId, value: Any) -> None:
        self.controls[control_id] = value

    def reuse(self) -> None:
        self.status = self.Status.Pending
        self.metadata, self.controls = {}, {}


class Camera:
    """One camera: its sensor, and a thread that fills the requests in its queue."""

    def __init__(self, board: RealBoard, manager: CameraManager, information: dict[str, Any]) -> None:
        self.board = board
        self._manager = weakref.proxy(manager)
        self.id = information["Id"]
        self.index = information["Num"]
        self.model = information["Model"]
        self.properties: dict[ControlId, Any] = {control("Model"): self.model}
        if not board.one_stream:
            self.properties[control("ColorFilterArrangement")] = 0
        self.mode = max(board.modes(self.model) or board.modes("imx219"), key=lambda mode: mode.size)
        self._queue: deque[Request] = deque()
        self._running = threading.Event()
        self._thread: threading.Thread | None = None
        self._frames = 0
        self._limits_us = (0, 1 << 40)
        self._streams: CameraConfiguration | None = None

    @property
    def controls(self) -> dict[ControlId, ControlInfo]:
        """The controls of the current mode."""
        shortest_us = round(1e6 / self.mode.fps)
        found = {
            control("NoiseReductionMode"): ControlInfo(0, 4, 0),
            control("ScalerCrop", ControlType.Rectangle): ControlInfo(
                Rectangle(0, 0, 64, 64), Rectangle(*self.mode.crop), Rectangle(*self.mode.crop)
            ),
        }
        if not self.board.one_stream:
            found[control("FrameDurationLimits")] = ControlInfo(shortest_us, 10_000_000, shortest_us)
        found |= {control(name): ControlInfo(*limits) for name, limits in self.board.advertised().items()}
        return found

    def acquire(self) -> None:
        if self.board.busy or self.index in self.board.open_cameras:
            raise RuntimeError("Failed to acquire camera: Device or resource busy")
        self.board.open_cameras.add(self.index)

    def release(self) -> None:
        if self.board.release_fails:  # as after a cable came loose
            raise RuntimeError("Failed to release camera: Device or resource busy")
        self.board.open_cameras.discard(self.index)

    def formats(self, role: StreamRole) -> _Formats:
        if role is not StreamRole.Raw:
            return _Formats({name: [(640, 480)] for name in scene.BYTES})
        if self.board.one_stream:
            return _Formats({"XBGR8888": [(3280, 2464)]})
        found: dict[str, list[tuple[int, int]]] = {}
        for mode in self.board.modes(self.model):
            found.setdefault(f"SRGGB{mode.bits}_CSI2P" if mode.bits > 8 else "SRGGB8", []).append(mode.size)
        return _Formats(found)

    def generate_configuration(self, roles: list[StreamRole]) -> CameraConfiguration | None:
        return None if self.board.one_stream and len(roles) > 1 else CameraConfiguration(self, roles)

    def mode_for(self, sensor: SensorConfiguration | None) -> Mode:
        if sensor is None:
            return self.mode
        wanted = (sensor.output_size.width, sensor.output_size.height)
        return next(
            m for m in self.board.modes(self.model) if m.size == wanted and m.bits == sensor.bit_depth
        )

    def configure(self, configuration: CameraConfiguration) -> int:
        self.mode = self.board.mode = self.mode_for(configuration.sensor_config)
        self._streams = configuration
        return 0

    def create_request(self, cookie: int) -> Request:
        return Request(cookie)

    def queue_request(self, request: Request) -> None:
        self._obey(request.controls)
        self._queue.append(request)

    def start(self, controls: dict[ControlId, Any]) -> None:
        self.board.controls = {}
        self._obey(controls)
        self._frames = 0
        self._running.set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._running.clear()
        if self._thread is not None:
            self._thread.join()
        while self._queue:
            request = self._queue.popleft()
            request.status = Request.Status.Cancelled
            self._manager.complete(request)

    def _obey(self, controls: dict[ControlId, Any]) -> None:
        self.board.controls |= {key.name: value for key, value in controls.items()}
        self._limits_us = controls.get(control("FrameDurationLimits"), self._limits_us)

    def _run(self) -> None:
        began = time.monotonic_ns()
        while self._running.is_set():
            period_us = max(round(1e6 / self.mode.fps), self._limits_us[0])
            threading.Event().wait(period_us / 1e6 * self.board.slowness)
            if self.board.hangs or not self._queue:
                continue
            self._frames += self.board.between
            started = self._frames > _STARTUP_FRAMES * self.board.between
            if not started and self.board.drops_startup_frames:
                continue
            request = self._queue.popleft()
            stamp = began + self._frames * period_us * 1000
            self.board.exposed_us = min(self.board.controls.get("ExposureTime", 20_000), self._limits_us[1])
            request.metadata = {control("SensorTimestamp"): stamp, control("FrameDuration"): period_us}
            self._fill(request, Status.Success if started else Status.Startup)
            request.status = Request.Status.Complete
            self._manager.complete(request)

    def _fill(self, request: Request, status: Status) -> None:
        for stream, buffer in request.buffers.items():
            buffer.metadata.status = status
            configuration = stream.configuration
            if status is Status.Success and str(configuration.pixel_format) in scene.BYTES:
                self._draw(configuration, buffer.planes[0].fd)

    def _draw(self, stream: StreamConfiguration, fd: int) -> None:
        described = {
            "size": (stream.size.width, stream.size.height),
            "format": str(stream.pixel_format),
            "stride": stream.stride,
        }
        full = stream.color_space is None or stream.color_space.range is ColorSpace.Range.Full
        space = scene.ColorSpace("sYCC" if full else "SMPTE170M")
        picture = scene.picture(described, space, self._frames)
        rows = picture.reshape(picture.shape[0], -1)
        with mmap.mmap(fd, stream.frame_size) as memory:
            padded = np.zeros((rows.shape[0], stream.stride), np.uint8)
            padded[:, : rows.shape[1]] = rows
            memory[:] = padded.tobytes()


class CameraManager:
    """Lists the cameras, and hands over the requests that are complete."""

    def __init__(self, board: RealBoard) -> None:
        board.listing()
        there = sorted(board.information(), key=lambda camera: camera["Num"])
        self.cameras = [Camera(board, self, each) for each in there]
        self.event_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._ready: deque[Request] = deque()

    def __del__(self) -> None:
        if hasattr(self, "event_fd"):
            os.close(self.event_fd)

    def complete(self, request: Request) -> None:
        self._ready.append(request)
        os.eventfd_write(self.event_fd, 1)

    def get_ready_requests(self) -> list[Request]:
        try:
            os.eventfd_read(self.event_fd)
        except BlockingIOError:
            return []
        return [self._ready.popleft() for _ in range(len(self._ready))]


def modules(board: RealBoard) -> dict[str, types.ModuleType]:
    """Return libcamera and its module of controls, for ``sys.modules``."""
    libcamera, controls = types.ModuleType("libcamera"), types.ModuleType("libcamera.controls")
    names = (
        "StreamRole ControlType Orientation Transform Size Rectangle ColorSpace PixelFormat ControlId "
        "FrameMetadata FrameBuffer StreamConfiguration SensorConfiguration CameraConfiguration Request"
    )
    for name in names.split():
        setattr(libcamera, name, globals()[name])
    libcamera._libcamera = libcamera  # type: ignore[attr-defined]  # a module made by hand
    libcamera.CameraManager = types.SimpleNamespace(singleton=board.singleton)  # type: ignore[attr-defined]  # a module made by hand
    controls.AwbModeEnum = scene.AwbModeEnum  # type: ignore[attr-defined]  # a module made by hand
    for name in ("ExposureTime", "ExposureTimeMode", "AnalogueGain", "AnalogueGainMode"):
        setattr(controls, name, control(name))
    reduction = types.SimpleNamespace(Minimal=3, HighQuality=2, Fast=1)
    controls.draft = types.SimpleNamespace(NoiseReductionModeEnum=reduction)  # type: ignore[attr-defined]  # a module made by hand
    libcamera.controls = controls  # type: ignore[attr-defined]  # a module made by hand
    return {"libcamera": libcamera, "libcamera.controls": controls}
