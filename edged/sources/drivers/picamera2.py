"""The camera of a Raspberry Pi (CSI), through libcamera and picamera2: scaled by the camera's own hardware.

The sensor's mode is one with the whole field of view; ``size`` cuts off no more of it than its shape needs.
The image processor gives two streams at once: ``main`` in the size that is configured, and ``lores``, scaled
to about the model's size. Reading ``lores`` spares the CPU nine tenths of the bytes. Where a crop or a mask
is configured in pixels, they are those of ``main``, so that stream is read.

picamera2's RGB888 has the order blue, green, red in memory, and BGR888 the reverse. On a Pi 4 (vc4) ``lores``
can only be YUV420, whose rows are padded; on a Pi 5 (pisp) it can be RGB.
"""

from __future__ import annotations

import inspect
import logging
import os
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from edged.drivers import wrong
from edged.errors import DeviceBusy, DriverError, Reason, Unavailable
from edged.sources import (
    Frame,
    Hint,
    Offer,
    Size,
    Source,
    SourceConfig,
    camera_controls,
    camera_nodes,
    field_of_view,
    picamera2_objects,
    sensor_hdr,
)
from edged.system import board, clock
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

ALSO_CALLED = ("picamera", "libcamera", "csi", "rpicam", "raspicam")
_ORDER = {"BGR888": "rgb", "RGB888": "bgr"}  # as the bytes lie in memory
_RECEIVERS = ("unicam", "rp1-cfe")  # of the CSI connector on a Pi 4 and a Pi 5
_YUV = "YUV420"
_OPENS_WITHIN_S = 20.0
_STALE_S = 2.0  # a frame that is older was kept, and is not new
_LEAST = 64  # pixels of width and of height: the scaler of a Pi 4 gives no less, whatever the shape
_MANUAL, _CONTINUOUS = 0, 2  # libcamera's AfMode
_SINGLE_EXPOSURE = 3  # libcamera's HdrMode, of a Pi 5 with any sensor
_TUNING = "LIBCAMERA_RPI_TUNING_FILE"
_AS_FAST = 0.98  # of the frames per second asked for: the modes' own are not round
_WORTH = 0.75  # read lores only when it has less than this share of main's pixels
_USB = "/usb"  # in the identity of a webcam, which libcamera lists as well
_PROCESSED = "ColorFilterArrangement"  # a property of cameras behind the image processor of a Raspberry Pi
_MISSING = (
    "kind: picamera2 needs picamera2, which comes from apt and not from pip: "
    "sudo apt install python3-picamera2, and a virtual environment made with "
    "python3 -m venv --system-site-packages"
)

_UNFIT = (
    "picamera2 is installed but cannot be imported: it fits apt's numpy and libcamera, and no others. "
    "sudo apt full-upgrade, and install edged anew (deploy/quickstart, or the role), which keeps apt's numpy"
)

_ours: set[int] = set()  # the cameras that this process has open
_kept: dict[int, str] = {}  # those of them that it cannot give back, and why


TuningFile = Annotated[str, StringConstraints(pattern=r"^(/[^\x00]{1,250}|[\w.-]{1,80}\.json)$")]


class Config(SourceConfig):
    """The keys of ``kind: picamera2``."""

    kind: Literal["picamera2"] = Field(default="picamera2", description="the driver: picamera2")
    camera: Annotated[int, Field(ge=0, le=15)] = Field(
        default=0, description="the camera's number in `rpicam-hello --list-cameras`"
    )
    size: Size = Field(
        default=(640, 480),
        description="[width, height] of the picture in pixels; its shape decides what is cut off",
    )
    fps: Annotated[float, Field(ge=1, le=240, allow_inf_nan=False)] | None = Field(
        default=None,
        description="frames per second of the sensor; default: 12 or more, as the light allows; "
        "`interval_s` sets how often one is classified",
    )
    hflip: bool = Field(default=False, description="mirror the picture left to right, in the camera")
    vflip: bool = Field(default=False, description="mirror the picture top to bottom, in the camera")
    focus: Literal["auto"] | Annotated[float, Field(ge=0, le=32, allow_inf_nan=False)] = Field(
        default="auto",
        description="where the lens moves: auto (all the time), or fixed: 1 / distance in m (2: 50 cm)",
    )
    hdr: bool = Field(
        default=False,
        description="light and shadow in one picture: by the sensor of Camera Module 3, or by a Pi 5",
    )
    tuning_file: TuningFile | None = Field(
        default=None,
        description="for other lenses and sensors: a path, or a file of libcamera such as imx219_noir.json",
    )
    controls: Annotated[dict[camera_controls.Name, camera_controls.Value], Field(max_length=32)] = Field(
        default_factory=dict,
        examples=[{"ExposureTime": 10000, "AnalogueGain": 2.0, "AwbMode": "Daylight"}],
        description="libcamera's controls; exposure in µs; those of other keys here are refused",
    )

    @field_validator("controls")
    @classmethod
    def _none_of_another_key(cls, controls: dict[str, Any]) -> dict[str, Any]:
        for name in controls:
            if name in camera_controls.ELSEWHERE:
                raise wrong(f"the key `{camera_controls.ELSEWHERE[name]}` sets {name}", name)
        return controls

    @model_validator(mode="after")
    def _exposed_within_a_frame(self) -> Self:
        exposure_us = self.controls.get("ExposureTime", 0)
        if self.fps is not None and isinstance(exposure_us, (int, float)) and exposure_us * self.fps > 1e6:
            raise wrong(
                f"an exposure of {exposure_us:g} µs does not fit {self.fps:g} frames a second",
                "controls",
                "ExposureTime",
            )
        return self

    @property
    def opens_within_s(self) -> float:
        """The time to import picamera2, too: a Pi Zero reads its libraries from the SD card."""
        return _OPENS_WITHIN_S

    @property
    def holds(self) -> Mapping[str, str]:
        """The camera."""
        return {"camera": str(self.camera)}


def needs(config: Config) -> Needs:
    """Return what libcamera opens: its devices have other numbers on each board, and memory to hand over."""
    tuning = config.tuning_file or ""
    return Needs(
        files=("/etc/libcamera", *((tuning,) if tuning.startswith("/") else ())),
        devices=(
            "/dev/media*",
            "/dev/video*",
            "/dev/v4l-subdev*",
            "/dev/dma_heap/*",
            "/dev/dma-buf",
            "/dev/udmabuf",
        ),
        hotplug=True,
    )


def create(config: Config, hint: Hint) -> Source:
    """Return the source; the hint is the size to scale to in hardware."""
    return PiCamera(config, hint)


def library() -> Any:
    """Return picamera2. Raises ``DriverError`` where it is missing, too old or does not fit."""
    # INFO lines at each opening would use up what the service's log takes of a worker.
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:WARN")
    try:
        import picamera2
    except ImportError as error:
        raise DriverError(f"{_MISSING} ({error})") from error
    except Exception as error:  # libraries built against others than those that are installed raise anything
        raise DriverError(f"{_UNFIT} ({type(error).__name__}: {error})") from error
    logging.getLogger("picamera2").setLevel(logging.CRITICAL)  # what it logs, it raises as well
    if "timeout" not in inspect.signature(picamera2.Picamera2.wait).parameters:  # older than 0.3.17
        raise DriverError("this picamera2 is too old to wait with a deadline: sudo apt full-upgrade")
    return picamera2


def find(root: Path) -> list[Offer]:
    """Return one camera where one may be on the CSI connector; libcamera knows which."""
    names = (board.text(path) for path in root.glob("sys/class/video4linux/video*/name"))
    there = any(name.startswith(_RECEIVERS) for name in names)
    return [Offer({}, "the camera on the CSI connector", "CSI", ("0",))] if there else []


def in_use() -> str:
    """Return the process that uses a camera on the CSI connectors."""
    return camera_nodes.holder()


def identify() -> list[Offer]:
    """Return the cameras on the CSI connectors, in the order of ``camera``; opens none.

    Raises:
        DriverError: picamera2 is missing.
        Unavailable: libcamera fails, or may not open its devices.
    """
    try:
        cameras = library().Picamera2.global_camera_info()
    except (RuntimeError, OSError) as error:
        raise Unavailable(Reason.LOST, f"libcamera cannot list the cameras: {error}") from error
    refused = None if cameras else camera_nodes.refusal()
    if refused is not None:
        raise Unavailable(Reason.DENIED, f"{refused.node} cannot be opened; {camera_nodes.remedy(*refused)}")
    return [
        Offer({"camera": n}, _model(camera), f"CSI {n}", (str(n),))
        for n, camera in enumerate(cameras)
        if not _is_usb(camera)
    ]


def _model(camera: Mapping[str, Any]) -> str:
    return str(camera.get("Model", "?"))


def _is_usb(camera: Mapping[str, Any]) -> bool:
    """Return whether it is a USB camera; picamera2 lists these last, so they move no other's number."""
    return _USB in str(camera.get("Id", ""))


def lores_size(config: Config, hint: Hint) -> tuple[int, int] | None:
    """Return the smallest even size in the shape of main that covers the hint, or None to read main.

    The shape stays that of main, because stretching, cropping or letterboxing comes later.
    """
    width, height = (n - n % 2 for n in config.size)
    if config.in_pixels or not hint.width or not hint.height:
        return None
    turned = config.rotate in ("90", "270")
    need_w, need_h = (hint.height, hint.width) if turned else (hint.width, hint.height)
    scale = max(need_w / width, need_h / height, _LEAST / width, _LEAST / height)
    if scale * scale >= _WORTH:
        return None
    return _even(width * scale), _even(height * scale)


class PiCamera:
    """Gives the newest frame of a CSI camera."""

    live = True

    def __init__(self, config: Config, hint: Hint) -> None:
        self._config = config
        self._size = (config.size[0] - config.size[0] % 2, config.size[1] - config.size[1] % 2)
        self._lores = lores_size(config, hint)
        self._name = f"Raspberry Pi camera {config.camera}"
        self._camera: Any = None
        self._job: Any = None  # a capture that was requested and has not arrived in time
        self._has_own_hdr = False
        self.view: tuple[float, ...] = ()
        self._stream = "main"
        self._layout: dict[str, Any] = {}
        self._number = 0
        self._stamp_ns = 0
        self._controls: dict[str, Any] = {}  # from the start
        self._later: dict[str, Any] = {}  # from the first picture on

    def open(self) -> None:
        """Start the camera."""
        self.close()
        driver = library().Picamera2
        tuning = picamera2_objects.tuning_path(driver, self._config.tuning_file)
        self._look(driver, tuning)
        if self._config.camera in _ours:
            # A second object would be refused, but take the frames of the first one before it is.
            raise DeviceBusy(f"{self._name} is in use", "another pipeline of this worker")
        try:
            self._camera = picamera2_objects.construct(driver, self._config.camera, tuning)
            _ours.add(self._config.camera)
            self._configure()
            self._camera.start()
        except (RuntimeError, OSError, IndexError) as error:
            self.close()
            raise picamera2_objects.explain(self._name, error) from error
        except BaseException:
            self.close()
            raise
        self._number, self._stamp_ns = 0, 0

    def read(self, timeout_s: float) -> Frame:
        """Return the newest frame; the camera's buffer is returned before the copy is decoded."""
        if self._camera is None:
            raise Unavailable(Reason.LOST, f"{self._name}: not open")
        deadline = time.monotonic() + timeout_s
        request = self._request(timeout_s, timeout_s)
        while _is_stale(
            metadata := request.get_metadata()
        ):  # picamera2 keeps the last one of a camera that has died
            request.release()
            request = self._request(max(0.0, deadline - time.monotonic()), timeout_s)
        self._slow_down()
        try:
            pixels = request.make_array(self._stream)
        finally:
            request.release()
        skipped = self._skipped(metadata)
        self._number += skipped + 1
        picture, order = self._decode(pixels)
        at = clock.wall_at(float(metadata.get("SensorTimestamp") or 0) / 1e9)
        return Frame(picture, at, order=order, number=self._number - 1, skipped=skipped)

    def _request(self, wait_s: float, timeout_s: float) -> Any:
        """Return the next request. Raises ``Unavailable`` after ``wait_s``, what is left of ``timeout_s``."""
        # A capture that timed out stays in picamera2's queue and would keep a buffer for ever: wait for the
        # same one.
        self._job = self._job or self._camera.capture_request(wait=False)
        try:
            request = self._job.get_result(timeout=wait_s)
        except TimeoutError as error:
            raise Unavailable(
                Reason.TIMEOUT,
                f"{self._name} gave no picture within {timeout_s:g} s; check its cable, and `dmesg`",
            ) from error
        self._job = None
        return request

    def close(self) -> None:
        """Stop and release the camera."""
        camera, self._camera = self._camera, None
        job, self._job = self._job, None
        if self._config.camera in _kept:
            raise self._is_kept()
        if camera is None:
            return
        if job is not None:
            picamera2_objects.give_up(camera, job)
        try:
            camera.close()
        except (RuntimeError, OSError) as error:
            _kept[self._config.camera] = str(error)
            raise self._is_kept() from error
        _ours.discard(self._config.camera)

    def _is_kept(self) -> Unavailable:
        """Return the error of a camera that stays acquired by this process, which would refuse itself."""
        return Unavailable(
            Reason.KEPT,
            f"{self._name} could not be given back ({_kept[self._config.camera]}); another worker opens it",
        )

    def _look(self, driver: Any, tuning: str | None) -> None:
        """Raise ``Unavailable`` where the camera is absent: picamera2 would fail with another error."""
        # libcamera reads the tuning file when it lists the cameras: picamera2 names it too late for that.
        os.environ.pop(_TUNING, None)
        if tuning is not None:
            os.environ[_TUNING] = tuning
        try:
            cameras = driver.global_camera_info()
        except (RuntimeError, OSError) as error:
            raise picamera2_objects.explain(self._name, error) from error
        if self._config.camera >= len(cameras):
            refused = camera_nodes.refusal()
            if refused is not None:
                raise Unavailable(
                    Reason.DENIED,
                    f"{self._name}: {refused.node} cannot be opened; {camera_nodes.remedy(*refused)}",
                )
            there = ", ".join(f"{n}: {_model(camera)}" for n, camera in enumerate(cameras)) or "none"
            raise Unavailable(
                Reason.ABSENT,
                f"{self._name} is absent (found {there}); check the ribbon cable "
                "and `rpicam-hello --list-cameras`",
            )
        camera = cameras[self._config.camera]
        if _is_usb(camera):
            raise Unavailable(
                Reason.ABSENT,
                f"{self._name} ({_model(camera)}) is a USB camera, which is `kind: v4l2`; "
                "`edged init` lists the cameras",
            )
        self._has_own_hdr = sensor_hdr.has_switch(_model(camera))
        if self._has_own_hdr:
            self._switch_hdr(driver, str(camera["Id"]))

    def _switch_hdr(self, driver: Any, camera: str) -> None:
        """Switch the sensor's own HDR as configured: another program may have left it on."""
        try:
            if sensor_hdr.switch(camera, on=self._config.hdr):
                picamera2_objects.list_anew(driver)
        except OSError as error:
            level = logging.WARNING if self._config.hdr else logging.DEBUG
            log.log(level, "%s: its HDR cannot be switched: %s", self._name, error)

    def _configure(self) -> None:
        """Configure two streams, or one where the camera has no image processor to scale a second one."""
        self._choose_controls()
        if _PROCESSED not in self._camera.camera_properties:
            if self._lores is not None:
                log.info("%s gives no second stream; its picture is scaled by the CPU", self._name)
            self._apply(None, None)
        else:
            self._choose_mode()
        self._stream = "main" if self._camera.camera_configuration().get("lores") is None else "lores"
        self._layout = dict(self._camera.stream_configuration(self._stream))  # libcamera may have adjusted it
        if self._layout["format"] not in (*_ORDER, _YUV):
            raise Unavailable(
                Reason.ABSENT,
                f"{self._name} gives only the pixel format '{self._layout['format']}', "
                "which edged does not decode",
            )

    def _choose_mode(self) -> None:
        """Use a mode with the whole field of view, if it gives as many frames per second as asked."""
        camera, fps, self.view = self._camera, self._config.fps, ()
        resolution = camera.sensor_resolution
        self._apply(self._lores, field_of_view.whole(resolution, self._size))
        if fps is None or fps * camera.camera_controls["FrameDurationLimits"][0] <= 1e6 / _AS_FAST:
            return
        self._apply(self._lores, self._size)
        self.view = field_of_view.view(field_of_view.crop(camera.camera_controls), resolution)
        if self.view:
            log.warning(
                "%s shows %.0f %% of the sensor's width and %.0f %% of its height: no mode that shows "
                "everything gives %g frames a second",
                self._name,
                *(100 * part for part in self.view),
                fps,
            )

    def _slow_down(self) -> None:
        """Set a slow rate after the first picture, as the frames before it would take too long."""
        if self._later:
            self._camera.set_controls(self._later)
            self._later = {}

    def _apply(self, lores: tuple[int, int] | None, raw: tuple[int, int] | None) -> None:
        from libcamera import ColorSpace, Transform

        camera, config = self._camera, self._config
        main = {"size": self._size, "format": "BGR888"}
        transform = Transform(hflip=config.hflip, vflip=config.vflip)
        more: dict[str, Any] = {"transform": transform, "controls": self._controls}
        if raw is not None:
            more["raw"] = {"size": raw}
        if lores is not None:
            pisp = picamera2_objects.is_pisp(camera)
            more["lores"] = {"size": lores, "format": "BGR888" if pisp else _YUV}
            if not pisp:
                # The range that OpenCV's conversion assumes; the default of a preview is the full range
                # (sYCC).
                more["colour_space"] = ColorSpace.Smpte170m()
        camera.configure(camera.create_preview_configuration(main=main, display=None, encode=None, **more))

    def _choose_controls(self) -> None:
        """Choose what is set, and when. Raises ``Unavailable`` where the camera lacks a control."""
        from libcamera import controls as names

        config, advertised = self._config, self._camera.camera_controls
        controls = camera_controls.ready(config.controls, advertised, self._name, names)
        if "AfMode" in advertised:  # libcamera leaves the lens where it is
            auto = config.focus == "auto"
            controls |= {"AfMode": _CONTINUOUS} if auto else {"AfMode": _MANUAL, "LensPosition": config.focus}
        elif config.focus != "auto":
            log.warning("%s has a lens that does not move: `focus` changes nothing", self._name)
        if config.hdr and not self._has_own_hdr and "HdrMode" in advertised:
            controls["HdrMode"] = _SINGLE_EXPOSURE
        elif config.hdr and not self._has_own_hdr:
            log.warning("%s has no HDR on this board: `hdr` changes nothing", self._name)
        limited = "FrameDurationLimits" in advertised
        self._controls, self._later = camera_controls.timed(controls, config.fps, limited=limited)

    def _decode(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], str]:
        """Return the picture without the padding of its rows, and the order of its colours."""
        width, height = self._layout["size"]
        if self._layout["format"] != _YUV:
            return pixels[:height, :width], _ORDER[self._layout["format"]]
        import cv2

        # I420 and not OpenCV's COLOR_YUV420p2RGB, which means YV12: there U and V change places, and red and
        # blue.
        picture: Any = cv2.cvtColor(pixels, cv2.COLOR_YUV2RGB_I420)
        return picture[:height, :width].copy(), "rgb"

    def _skipped(self, metadata: dict[str, Any]) -> int:
        """Return how many frames the camera has made since the last one, by its own clock."""
        stamp, period_us = int(metadata.get("SensorTimestamp") or 0), int(metadata.get("FrameDuration") or 0)
        before, self._stamp_ns = self._stamp_ns, stamp
        if not before or not stamp or period_us <= 0:
            return 0
        return max(0, round((stamp - before) / (period_us * 1000)) - 1)


def _even(pixels: float) -> int:
    """Round up to an even number; a tiny excess is a rounding error."""
    return -int(-(pixels - 1e-6) // 2) * 2


def _is_stale(metadata: Mapping[str, Any]) -> bool:
    """Return whether a frame is older than the camera's newest one can be."""
    stamp_ns, period_us = metadata.get("SensorTimestamp"), metadata.get("FrameDuration")
    if not stamp_ns:
        return False
    age_s = time.monotonic() - float(stamp_ns) / 1e9
    return age_s > max(_STALE_S, 3e-6 * float(period_us or 0))
