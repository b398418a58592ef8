"""A double of picamera2 that enforces its rules, so that the driver can be tested without a camera.

Like picamera2 0.3.17 to 0.3.38: a camera can be opened once; it can be configured only while stopped; sizes
are even, ``lores`` is not larger than ``main`` and on a Pi 4 (vc4) only YUV420; rows are padded to 64 bytes;
RGB888 is stored as blue, green, red; a request is a buffer, and the camera stops delivering when none is
returned; a job that timed out stays in the queue and takes a request; ``stop`` waits for such a job; a
constructor that fails keeps its pipe, its place in the manager and, at its last step, the camera.

    board = Board()
    with board.installed():
        import picamera2
"""

from __future__ import annotations

import contextlib
import enum
import math
import os
import sys
import threading
import time
import types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edged.sources.camera_nodes import Refusal
from edged.testing.camera_requests import Job, Request, check_stream
from edged.testing.scene import BYTES, AwbModeEnum, ColorSpace
from edged.testing.sensor_modes import HDR, MODES, Mode, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator


_ALIGN = 64
_STARTUP_FRAMES = 7
_LEAST = 64  # pixels
_CONTROLS: dict[str, tuple[Any, Any, Any]] = {
    "AeEnable": (False, True, True),
    "AnalogueGain": (1.0, 16.0, 1.0),
    "AwbEnable": (False, True, True),
    "AwbMode": (0, 7, 0),
    "Brightness": (-1.0, 1.0, 0.0),
    "ColourGains": (0.0, 32.0, 0.0),
    "ExposureTime": (13, 11_767_556, 20_000),
    "ExposureValue": (-8.0, 8.0, 0.0),
    "Saturation": (0.0, 32.0, 1.0),
}


class Platform(enum.Enum):
    """The two generations of the image processor."""

    VC4 = 0  # Pi 4 and before
    PISP = 1  # Pi 5


@dataclass(frozen=True)
class Transform:
    """A substitute for libcamera.Transform."""

    hflip: int = 0
    vflip: int = 0


@dataclass
class Board:
    """A board with its cameras and their faults.

    Attributes:
        platform: the generation of the Raspberry Pi.
        cameras: the models of the cameras on the CSI connectors.
        usb: the models of USB webcams: libcamera lists them too, and picamera2 sorts them behind the others.
        one_stream: the cameras have no image processor of a Raspberry Pi, and give one stream.
        between: the number of frames between two captures.
        hangs: the camera stops delivering.
        kept_s: the age of a frame that picamera2 kept, which comes before all others; 0: none.
        autofocus: the camera has a lens that moves; libcamera leaves it where it is.
        controls: what was set last.
        tuning: the tuning file in force: libcamera reads it when it lists the cameras, and not again until
            then.
        sensor_hdr: the switch of the sensors' drivers; its modes were read when the cameras were listed.
        started_ns: when a camera was started last, monotonic.
        manager_fails: libcamera cannot list the cameras at all.
        exposed_us: the exposure time of the latest frame.
        denied: the error of opening a device of libcamera: it lists no camera then, and gives no reason.
        busy: another process streams from the cameras.
        no_heap: the error of opening /dev/dma_heap, which comes after the camera was acquired.
        release_fails: a camera cannot be given back, so it stays acquired by this process.
        slowness: real seconds for each second of the camera, so that tests need not wait.
        mode: the mode of the sensor that was chosen last.
        open_cameras: the cameras that are open, so that a test can check that all were closed.
        pipes: both ends of the pipe that each camera object makes before anything can fail, and its inode.
        held: the number of requests that were taken and not released.
    """

    platform: Platform = Platform.VC4
    cameras: list[str] = field(default_factory=lambda: ["imx708"])
    usb: list[str] = field(default_factory=list)
    one_stream: bool = False
    between: int = 1
    hangs: bool = False
    kept_s: float = 0.0
    autofocus: bool = False
    controls: dict[str, Any] = field(default_factory=dict)
    tuning: str = ""
    sensor_hdr: bool = False
    started_ns: int = 0
    manager_fails: bool = False
    exposed_us: int = 0
    denied: int = 0
    busy: bool = False
    no_heap: int = 0
    release_fails: bool = False
    slowness: float = 0.01
    mode: Mode | None = None
    open_cameras: set[int] = field(default_factory=set)
    pipes: list[tuple[int, int]] = field(default_factory=list)
    held: int = 0

    def __post_init__(self) -> None:
        """Make the manager of this board, which picamera2 keeps for the process."""
        self.manager = CameraManager(self)
        self._listed_hdr = False

    def refusal(self) -> Refusal | None:
        """Replace ``camera_nodes.refusal``."""
        return Refusal("/dev/media2", self.denied) if self.denied else None

    def advertised(self) -> dict[str, tuple[Any, Any, Any]]:
        """Return the controls that a program may set, each with its least, its most and its default value."""
        lens = {"AfMode": (0, 2, 0), "LensPosition": (0.0, 32.0, 1.0)} if self.autofocus else {}
        return {**_CONTROLS, **lens, **({"HdrMode": (0, 4, 0)} if self.platform is Platform.PISP else {})}

    def left_behind(self) -> str:
        """Return what the driver has not given back, in words."""
        kept = {
            "acquired cameras": self.open_cameras,
            "camera objects in picamera2's list": self.manager.cameras,
            "ends of pipes": [fd for fd, inode in self.pipes if _inode(fd) == inode],
            "buffers": self.held,
        }
        return ", ".join(f"{what}: {there}" for what, there in kept.items() if there)

    def listing(self) -> None:
        """Read what libcamera reads when it lists the cameras, once for as long as its manager lives.

        Raises:
            RuntimeError: it fails.
        """
        if self.manager_fails:
            raise RuntimeError("Failed to start CameraManager")
        self.tuning = os.environ.get("LIBCAMERA_RPI_TUNING_FILE", "")
        self._listed_hdr = self.sensor_hdr

    def modes(self, model: str) -> tuple[Mode, ...]:
        """Return the modes of a sensor as they were when the cameras were listed; none of webcams."""
        return HDR if self._listed_hdr and model.startswith("imx708") else MODES.get(model, ())

    def switch(self, camera: str, *, on: bool) -> bool:
        """Replace ``sensor_hdr.switch``."""
        if camera not in {each["Id"] for each in self.information()}:
            raise FileNotFoundError(camera)
        changed, self.sensor_hdr = self.sensor_hdr != on, on
        return changed

    def information(self) -> list[dict[str, Any]]:
        """Return the cameras in picamera2's order; ``Num`` is libcamera's own."""
        if self.denied:
            return []
        usb = [
            {"Model": model, "Num": n, "Id": f"\\_SB_.PCI0.RP1_.XHCI/usb@{n}-1:1.0-0c45:6366"}
            for n, model in enumerate(self.usb)
        ]
        csi = [
            {
                "Model": model,
                "Num": n + len(usb),
                "Id": f"/base/axi/pcie@1000120000/rp1/i2c@8800{9 - n}/{model}@1a",
            }
            for n, model in enumerate(self.cameras)
        ]
        return sorted(csi + usb, key=lambda camera: ("/usb" not in camera["Id"], camera["Id"]), reverse=True)

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Make ``import picamera2`` and ``import libcamera`` return this board's modules."""
        module, libcamera = types.ModuleType("picamera2"), types.ModuleType("libcamera")
        own = {"board": self, "platform": self.platform, "_cm": self.manager}
        module.Picamera2 = type("Picamera2", (Picamera2,), own)  # type: ignore[attr-defined]  # a module made by hand
        libcamera.ColorSpace, libcamera.Transform = ColorSpace, Transform  # type: ignore[attr-defined]  # the same
        libcamera.controls = types.SimpleNamespace(AwbModeEnum=AwbModeEnum)  # type: ignore[attr-defined]  # the same
        before = {name: sys.modules.get(name) for name in ("picamera2", "libcamera")}
        sys.modules.update({"picamera2": module, "libcamera": libcamera})
        try:
            yield
        finally:
            for name, old in before.items():
                sys.modules.pop(name)
                if old is not None:
                    sys.modules[name] = old


class CameraManager:
    """Hands completed requests to the camera objects, by libcamera's number: one object for each."""

    def __init__(self, board: Board) -> None:
        self.cameras: dict[int, Picamera2] = {}
        self._board = board
        self._listed = False

    def list(self) -> list[dict[str, Any]]:
        """Return the cameras as they were when this process looked first, since it had none."""
        if not self._listed:
            self._board.listing()
            self._listed = True
        return self._board.information()

    def reset(self) -> None:
        """Look anew."""
        self._listed = False

    def add(self, index: int, camera: Picamera2) -> None:
        """Enter an object, in the place of one that may be there: that one gets no more frames."""
        self.cameras[index] = camera

    def cleanup(self, index: int) -> None:
        """Take out an object; without one, libcamera ends."""
        del self.cameras[index]
        self._listed &= bool(self.cameras)


class Picamera2:
    """The part of picamera2.Picamera2 that a driver may use, with the same signatures."""

    board: Board
    platform: Platform
    _cm: CameraManager

    @staticmethod
    def global_camera_info() -> list[dict[str, Any]]:
        """List the cameras (replaced for each board in ``__init_subclass__``)."""
        return []

    def __init_subclass__(cls) -> None:
        board = cls.board
        cls.global_camera_info = staticmethod(board.manager.list)  # type: ignore[method-assign]  # static in picamera2, yet of a board here

    def __init__(
        self, camera_num: int = 0, verbose_console: Any = None, tuning: Any = None, allocator: Any = None
    ) -> None:
        del verbose_console, allocator
        os.environ.pop("LIBCAMERA_RPI_TUNING_FILE", None)
        if tuning is not None:
            os.environ["LIBCAMERA_RPI_TUNING_FILE"] = tuning
        self.notifyme_r, self.notifyme_w = os.pipe2(os.O_NONBLOCK)
        self.board.pipes += [(fd, os.fstat(fd).st_ino) for fd in (self.notifyme_r, self.notifyme_w)]
        self.notifymeread = os.fdopen(self.notifyme_r, "rb")
        self.is_open = False
        self.camera: object | None = None
        self.started = False
        self.camera_idx = self.global_camera_info()[camera_num]["Num"]
        self._cm.add(self.camera_idx, self)
        self.camera_properties: dict[str, Any] = {}
        self.camera_controls: dict[str, tuple[Any, Any, Any]] = {}
        self._config: dict[str, Any] = {}
        self._jobs: list[Job] = []
        self._frames = 0
        self._next_at = 0.0
        self._limits_us = (100, 83333)
        if self.board.busy or self.camera_idx in self.board.open_cameras:
            raise _failed_to_open("Device or resource busy")
        self.board.open_cameras.add(self.camera_idx)
        self.camera = object()
        self.is_open = True
        self._model = next(
            each["Model"] for each in self.board.information() if each["Num"] == self.camera_idx
        )
        self.sensor_resolution = max(mode.size for mode in self.board.modes(self._model))
        if not self.board.one_stream:
            self.camera_properties["ColorFilterArrangement"] = 0
            self.camera_controls["FrameDurationLimits"] = (100, 10_000_000, 33_333)
        self.camera_controls |= self.board.advertised()
        if self.board.no_heap:
            raise OSError(self.board.no_heap, os.strerror(self.board.no_heap), "/dev/dma_heap/linux,cma")
        self.allocator = object()

    def create_preview_configuration(  # noqa: PLR0917 - picamera2's own signature
        self,
        main: dict[str, Any] = {},  # noqa: B006 - picamera2's own default, never changed
        lores: dict[str, Any] | None = None,
        raw: dict[str, Any] | None = {},  # noqa: B006 - the same
        transform: Transform = Transform(),
        colour_space: ColorSpace = ColorSpace.Sycc(),  # noqa: B008 - the same
        buffer_count: int = 4,
        controls: dict[str, Any] = {},  # noqa: B006 - the same
        display: str | None = "main",
        encode: str | None = "main",
        queue: bool = True,
        sensor: dict[str, Any] | None = {},  # noqa: B006 - the same
        use_case: str = "preview",
    ) -> dict[str, Any]:
        """Make a configuration with picamera2's defaults."""
        if self.camera is None:
            raise RuntimeError("Camera not opened")
        streams: dict[str, Any] = {"main": {"format": "XBGR8888", "size": (640, 480)} | main, "lores": None}
        if lores is not None:
            streams["lores"] = {"format": "YUV420", "size": streams["main"]["size"]} | lores
        if self.board.one_stream:
            raw = None
        elif raw is not None:  # by default, the sensor's mode is the one nearest to the size of main
            raw = {"format": "SRGGB10", "size": streams["main"]["size"]} | raw
        for name in (display, encode):
            if name is not None and streams.get(name) is None:
                raise RuntimeError(f"stream {name} was not defined")
        return {
            **streams,
            "transform": transform,
            "colour_space": colour_space,
            "buffer_count": buffer_count,
            "controls": controls,
            "display": display,
            "encode": encode,
            "queue": queue,
            "raw": raw,
            "sensor": sensor,
            "use_case": use_case,
        }

    def configure(self, camera_config: dict[str, Any] | None = None) -> None:
        """Check the configuration as picamera2 does, and add the stride, which libcamera chooses."""
        if self.started:
            raise RuntimeError("Camera must be stopped before configuring")
        self._config = {}
        config = dict(camera_config or self.create_preview_configuration())
        main, lores = config["main"], config["lores"]
        _check_types(config)
        for name, stream in (("main", main), ("lores", lores)):
            if stream is not None:
                check_stream(name, stream)
        if lores is not None:
            self._check_lores(main, lores)
        for name in ("main", "lores"):
            if config[name] is not None:
                if self.platform is Platform.VC4:  # the scaler's least size, whatever the shape was
                    width, height = config[name]["size"]
                    config[name] = {**config[name], "size": (max(width, _LEAST), max(height, _LEAST))}
                row = config[name]["size"][0] * BYTES[config[name]["format"]]
                config[name] = {**config[name], "stride": -(-row // _ALIGN) * _ALIGN}
        if config["raw"] is not None:
            self._choose_mode(config["raw"]["size"])
        self._check_controls(config["controls"])
        self._config = config

    def _check_controls(self, controls: dict[str, Any]) -> None:
        for name in controls.keys() - self.camera_controls.keys():
            raise RuntimeError(f"Control {name} is not advertised by libcamera")

    def _check_lores(self, main: dict[str, Any], lores: dict[str, Any]) -> None:
        if "ColorFilterArrangement" not in self.camera_properties:
            # libcamera's generate_configuration() gives none for two roles.
            raise AttributeError("'NoneType' object has no attribute 'orientation'")
        if lores["size"][0] > main["size"][0] or lores["size"][1] > main["size"][1]:
            raise RuntimeError("lores stream dimensions may not exceed main stream")
        if self.platform is Platform.VC4 and lores["format"] != "YUV420":
            raise RuntimeError("lores stream must be YUV")

    def _choose_mode(self, size: tuple[int, int]) -> None:
        modes = self.board.modes(self._model)
        deepest = max(mode.bits for mode in modes if mode.size == self.sensor_resolution)
        mode = nearest(modes, size, deepest)
        self.board.mode = mode
        shortest_us = round(1e6 / mode.fps)
        self.camera_controls["FrameDurationLimits"] = (shortest_us, 10_000_000, shortest_us)
        self.camera_controls["ScalerCrop"] = ((0, 0, 64, 64), mode.crop, mode.crop)

    def camera_configuration(self) -> dict[str, Any]:
        """Return the current configuration."""
        return self._config

    def stream_configuration(self, name: str = "main") -> dict[str, Any]:
        """Return the configuration of one stream."""
        stream: dict[str, Any] = self._config[name]
        return stream

    def start(self, config: dict[str, Any] | None = None, show_preview: Any = False) -> None:
        """Start; use the default configuration if none was set."""
        del show_preview
        if config is not None or not self._config:
            self.configure(config)
        self.board.controls = dict(self._config["controls"])
        self._limits_us = self._config["controls"].get("FrameDurationLimits", (100, 83333))
        # libcamera's IPA does not trust the exposure of the first frames, and picamera2 drops them.
        self.board.started_ns = time.monotonic_ns()
        self._next_at = time.monotonic() + (_STARTUP_FRAMES + 1) * self._period_s()
        self.started = True

    def set_controls(self, controls: dict[str, Any]) -> None:
        """Change controls, from the next request on."""
        self._check_controls(controls)
        self.board.controls |= controls
        self._limits_us = controls.get("FrameDurationLimits", self._limits_us)

    def _period_s(self) -> float:
        shortest_us = self.camera_controls.get("FrameDurationLimits", (33333, 0, 0))[0]
        return float(max(shortest_us, self._limits_us[0])) / 1e6 * self.board.slowness

    def capture_request(self, wait: Any = None, signal_function: Any = None, flush: Any = None) -> Any:
        """Return the newest request, or a job if the caller does not wait."""
        del flush
        job = Job(self)
        self._jobs.append(job)
        if wait is None:
            wait = signal_function is None
        return job.get_result(timeout=None if wait is True else wait) if wait else job

    def wait(self, job: Job, timeout: float | None = None) -> Any:
        """Wait for a job."""
        return job.get_result(timeout=timeout)

    def cancel_all_and_flush(self) -> None:
        """Cancel the jobs in the queue."""
        for job in self._jobs:
            job.cancelled = True
        self._jobs = []

    def stop(self) -> None:
        """Stop, after the jobs in the queue."""
        if self.started and self._jobs and self.board.hangs:
            raise AssertionError("stop() would wait for ever for a job that waits for a frame")
        self.started = False

    def close(self) -> None:
        """Stop and release the camera; may be called twice."""
        if not self.is_open:
            return
        self.stop()
        if self.board.release_fails:
            raise RuntimeError("Failed to release camera: Device or resource busy")
        self.board.open_cameras.discard(self.camera_idx)
        self._cm.cleanup(self.camera_idx)
        self.is_open = False
        self.camera = None
        self._config = {}
        self.notifymeread.close()
        os.close(self.notifyme_w)
        del self.allocator

    def _next(self, job: Job, timeout: float | None) -> Request | None:
        """Return the newest frame if the camera runs and has a free buffer."""
        if self.board.kept_s and self.started and job in self._jobs:
            age_s, self.board.kept_s = self.board.kept_s, 0.0
            self._jobs.remove(job)
            self.board.held += 1
            return Request(self.board, self._config, self._frames, age_s)
        starved = self.board.held >= int(self._config.get("buffer_count", 0))
        replaced = self._cm.cameras.get(self.camera_idx) is not self
        if not self.started or self.board.hangs or starved or replaced or job not in self._jobs:
            return None
        wait_s = self._next_at - time.monotonic()
        if wait_s > (math.inf if timeout is None else timeout):
            return None
        threading.Event().wait(max(0.0, wait_s))
        self._next_at = time.monotonic() + self._period_s()
        self._jobs.remove(job)
        # An exposure that is longer than a frame may be is cut, without a word.
        self.board.exposed_us = min(self.board.controls.get("ExposureTime", 20_000), self._limits_us[1])
        self._frames += self.board.between
        self.board.held += 1
        return Request(self.board, self._config, self._frames)


def _inode(fd: int) -> int:
    try:
        return os.fstat(fd).st_ino
    except OSError:
        return 0


def _failed_to_open(why: str) -> RuntimeError:
    error = RuntimeError("Camera __init__ sequence did not complete.")
    error.__cause__ = RuntimeError(f"Failed to acquire camera: {why}")
    return error


def _check_types(config: dict[str, Any]) -> None:
    for kind, key in ((ColorSpace, "colour_space"), (Transform, "transform")):
        if not isinstance(config[key], kind):
            raise RuntimeError(f"{key} has incorrect type")  # noqa: TRY004 - picamera2's own
