from __future__ import annotations

import ast
import errno
import inspect
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edged.errors import DeviceBusy, DriverError, Reason, Unavailable
from edged.sources import Frame, Hint, sensor_hdr
from edged.sources.drivers.picamera2 import Config, PiCamera, find, identify, library, lores_size, needs
from edged.testing.camera_requests import Job, Request
from edged.testing.picamera2 import Board, Picamera2, Platform
from edged.testing.sensor_modes import HDR
from unit.sources.real_picamera2 import WHEELS, unpacked

RED, BLUE = (200, 30, 40), (30, 60, 210)
HINT = Hint(224, 224)


def take(board: Board, hint: Hint = HINT, **keys: Any) -> Frame:
    del board
    source = PiCamera(Config(**keys), hint)
    source.open()
    try:
        return source.read(1)
    finally:
        source.close()


def rgb(frame: Frame, x: float) -> list[int]:
    height, width = frame.pixels.shape[:2]
    pixel = frame.pixels[height // 2, int(width * x)].tolist()
    return pixel if frame.order == "rgb" else pixel[::-1]


@pytest.mark.parametrize("platform", list(Platform))
@pytest.mark.parametrize(
    ("size", "hint"),
    [
        ((640, 480), HINT),
        ((640, 480), Hint()),
        ((648, 486), HINT),
        ((1296, 972), Hint(128, 128)),
        ((1920, 1080), Hint(299, 299)),
    ],
)
def test_colours_and_shape_are_true_on_both_generations(
    board: Board, platform: Platform, size: tuple[int, int], hint: Hint
) -> None:
    board.platform = platform
    frame = _retyped(board, hint, size)
    for x, colour in ((0.25, RED), (0.75, BLUE), (0.99, BLUE)):
        for seen, there in zip(rgb(frame, x), colour, strict=True):
            assert abs(seen - there) <= 4, f"{rgb(frame, x)} is not {colour} at {x} of {frame.pixels.shape}"
    height, width = frame.pixels.shape[:2]
    assert width / height == pytest.approx(size[0] / size[1], rel=0.02), (
        "what fits the model is the model's business"
    )
    assert height >= min(hint.height, size[1])


def _retyped(board: Board, hint: Hint, size: tuple[int, int]) -> Frame:
    with board.installed():  # the module knows the platform from its import on
        return take(board, hint, size=size)


def test_the_hardware_scales_to_about_the_models_size(board: Board) -> None:
    assert take(board).pixels.shape == (224, 300, 3)


@pytest.mark.parametrize(
    ("keys", "hint", "expected"),
    [
        ({}, HINT, (300, 224)),
        ({"rotate": "90"}, Hint(224, 100), (300, 224)),
        ({"crop": (0, 0, 100, 100)}, HINT, None),
        ({}, Hint(), None),
        ({}, Hint(640, 640), None),
        ({"size": (224, 224)}, HINT, None),
        ({"size": (641, 481)}, Hint(96, 96), (128, 96)),
    ],
)
def test_which_size_is_asked_for(keys: dict[str, Any], hint: Hint, expected: tuple[int, int] | None) -> None:
    assert lores_size(Config(**keys), hint) == expected


def test_a_crop_is_in_pixels_of_the_configured_size(board: Board) -> None:
    assert take(board, crop=(10, 10, 300, 300)).pixels.shape == (480, 640, 3)


def test_a_hundred_reads_use_up_no_buffers_and_count_what_was_skipped(board: Board) -> None:
    board.between = 4
    source = PiCamera(Config(), HINT)
    source.open()
    frames = [source.read(1) for _ in range(100)]
    source.close()
    assert {frame.skipped % 4 for frame in frames[1:]} == {3}, "a slow reader may miss some more"
    assert frames[-1].number == sum(frame.skipped + 1 for frame in frames[1:])


def test_a_slow_camera_gives_its_first_picture_soon(board: Board) -> None:
    board.slowness = 0.2
    source = PiCamera(Config(fps=1), HINT)
    source.open()
    try:
        source.read(1.0)  # 8 frames at 1 fps would be 1.6 s here
        began = time.monotonic()
        source.read(1.0)
        source.read(1.0)
        assert time.monotonic() - began >= 0.2, "from then on it is as slow as configured"
    finally:
        source.close()


@pytest.mark.parametrize("fps", [0.5, 0])
def test_less_than_a_frame_a_second_is_what_interval_s_is_for(fps: float) -> None:
    with pytest.raises(ValueError, match="fps"):
        Config(fps=fps)


@pytest.mark.parametrize("kept_s", [5.0, 60.0])
def test_a_frame_that_was_kept_for_long_is_not_the_newest(board: Board, kept_s: float) -> None:
    source = PiCamera(Config(), HINT)
    source.open()
    board.kept_s = kept_s
    assert abs(source.read(1).captured_at - time.time()) < 4
    board.hangs, board.kept_s = True, kept_s
    with pytest.raises(Unavailable) as caught:
        source.read(0.05)
    assert caught.value.reason is Reason.TIMEOUT
    source.close()


def test_a_tiny_model_gets_the_whole_shape(board: Board) -> None:
    assert take(board, Hint(32, 32)).pixels.shape == (64, 86, 3), "44x32 would come as 64x64, squashed"


def test_a_lens_that_moves_is_focused_all_the_time(board: Board) -> None:
    take(board)
    assert "AfMode" not in board.controls
    board.autofocus = True
    for fps in (None, 30):
        take(board, fps=fps)
        assert board.controls["AfMode"] == 2


def test_a_fixed_focus_is_set_and_the_lens_stays_there(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    take(board, focus=2.5)
    assert "has a lens that does not move" in caplog.text
    board.autofocus = True
    take(board, focus=2.5)
    assert (board.controls["AfMode"], board.controls["LensPosition"]) == (0, 2.5)


def test_controls_are_set_before_the_first_picture(board: Board) -> None:
    wanted = {"ExposureTime": 10000, "AnalogueGain": 2, "AwbMode": "Daylight", "ColourGains": (1.5, 2)}
    take(board, fps=30, controls=wanted)
    expected = {"ExposureTime": 10000, "AnalogueGain": 2, "AwbMode": 5, "ColourGains": (1.5, 2)}
    assert {name: board.controls[name] for name in expected} == expected
    assert board.controls["FrameDurationLimits"] == (33333, 33333)


@pytest.mark.parametrize(
    ("fps", "exposure_us"), [(None, 500_000), (None, 90_000), (2, 400_000), (30, 30_000)]
)
def test_a_long_exposure_is_not_cut_and_the_first_picture_comes_soon(
    fps: float | None, exposure_us: int, board: Board
) -> None:
    source = PiCamera(Config(fps=fps, controls={"ExposureTime": exposure_us}), HINT)
    source.open()
    began = time.monotonic()
    source.read(3)
    first_s = time.monotonic() - began
    for _ in range(10):
        source.read(3)
        if board.exposed_us == exposure_us:
            break
    assert board.exposed_us == exposure_us
    assert first_s < 8 * 0.0833 * board.slowness + 2
    source.close()


@pytest.mark.parametrize(("fps", "exposure_us"), [(30, 33_334), (2, 600_000)])
def test_an_exposure_longer_than_a_frame_is_refused(fps: float, exposure_us: int) -> None:
    with pytest.raises(
        ValueError, match=f"an exposure of {exposure_us} µs does not fit {fps} frames a second"
    ):
        Config(fps=fps, controls={"ExposureTime": exposure_us})


@pytest.mark.parametrize(
    ("controls", "sentence"),
    [
        ({"ExposureTimes": 1}, "has no control ExposureTimes; did you mean ExposureTime?"),
        ({"Xyz": 1}, "has no control Xyz; it has AeEnable, AnalogueGain, "),
        ({"AnalogueGain": 99}, "AnalogueGain is 99, but must be from 1 to 16"),
        ({"AwbMode": "Daylite"}, "AwbMode has no value Daylite; did you mean Daylight?"),
        ({"AnalogueGain": "High"}, "AnalogueGain has no value High; it has none"),
    ],
)
def test_a_control_that_the_camera_lacks_is_named(
    board: Board, controls: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Unavailable) as caught:
        take(board, controls=controls)
    assert sentence in str(caught.value)
    assert caught.value.reason is Reason.ABSENT


@pytest.mark.parametrize(
    ("name", "key"), [("FrameRate", "fps"), ("ScalerCrop", "crop"), ("LensPosition", "focus")]
)
def test_a_control_of_another_key_is_refused(name: str, key: str) -> None:
    with pytest.raises(ValueError, match=f"the key `{key}` sets {name}"):
        Config(controls={name: 1})


def test_the_sensors_own_hdr_is_switched_before_its_modes_are_read(board: Board) -> None:
    take(board, hdr=True, size=(1280, 720))
    assert (board.sensor_hdr, board.mode) == (True, HDR[0])
    take(board, size=(1280, 720))
    assert not board.sensor_hdr, "another program may have left it on"
    assert board.mode is not None
    assert board.mode.size == (2304, 1296)
    assert board.mode.fps > HDR[0].fps


@pytest.mark.parametrize("hdr", [False, True])
def test_a_sensor_without_its_switch_gives_pictures(
    hdr: bool, board: Board, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(camera: str, *, on: bool) -> bool:
        raise FileNotFoundError(f"the sensor {camera} has no v4l-subdev for {on}")

    monkeypatch.setattr(sensor_hdr, "switch", fail)
    take(board, hdr=hdr)
    assert ("its HDR cannot be switched" in caplog.text) is hdr


def test_a_pi_5_has_hdr_with_any_sensor(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    board.cameras = ["imx219"]
    for platform, mode in ((Platform.VC4, None), (Platform.PISP, 3)):
        board.platform = platform
        with board.installed():
            take(board, hdr=True)
        assert board.controls.get("HdrMode") == mode
        assert not board.sensor_hdr
    assert caplog.text.count("has no HDR on this board") == 1


def test_a_tuning_file_is_in_force_when_the_cameras_are_listed(board: Board, tmp_path: Path) -> None:
    file = tmp_path / "own.json"
    file.touch()
    assert file in map(Path, needs(Config(tuning_file=str(file))).files)
    take(board, tuning_file=str(file))
    assert board.tuning == str(file)
    take(board)
    assert board.tuning == ""
    with pytest.raises(
        Unavailable, match=r"there is no tuning file /usr/share/libcamera/ipa/rpi/vc4/none.json"
    ):
        take(board, tuning_file="none.json")


@pytest.mark.parametrize("name", ["../x.json", "imx219", "x/y.json"])
def test_a_tuning_file_is_a_path_or_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="tuning_file"):
        Config(tuning_file=name)


def test_a_camera_that_hangs_times_out_and_loses_no_buffer(board: Board) -> None:
    source = PiCamera(Config(), HINT)
    source.open()
    board.hangs = True
    for _ in range(6):  # more often than there are buffers
        with pytest.raises(Unavailable, match="check its cable") as caught:
            source.read(0.01)
        assert caught.value.reason is Reason.TIMEOUT
    board.hangs = False
    for _ in range(10):
        source.read(2)
    board.hangs = True
    with pytest.raises(Unavailable):  # noqa: PT012 - frames that were done before come first
        for _ in range(6):
            source.read(0.05)
    source.close()  # the double fails where the real one would wait for ever


def test_absent_says_what_is_there(board: Board) -> None:
    with pytest.raises(Unavailable, match="found 0: imx708") as caught:
        take(board, camera=1)
    assert caught.value.reason is Reason.ABSENT


def test_busy_is_told(board: Board) -> None:
    board.busy = True
    with pytest.raises(DeviceBusy, match="camera 0 is in use"):
        take(board)


@pytest.mark.parametrize(
    ("code", "words"), [(errno.EACCES, "group video"), (errno.EPERM, "DeviceAllow=char-media rw")]
)
def test_a_missing_permission_is_told_from_a_missing_camera(board: Board, code: int, words: str) -> None:
    board.denied = code
    for attempt in (lambda: take(board), identify):
        with pytest.raises(Unavailable, match=f"/dev/media2 cannot be opened.*{words}") as caught:
            attempt()
        assert caught.value.reason is Reason.DENIED


def test_two_cameras_stream_at_once_each_by_its_number(board: Board) -> None:
    board.cameras = ["imx708", "imx219"]
    assert [(each.keys["camera"], each.name) for each in identify()] == [(0, "imx708"), (1, "imx219")]
    both = [PiCamera(Config(camera=n, size=(320, 240)), HINT) for n in (0, 1)]
    for source in both:
        source.open()
    assert board.mode is not None
    assert board.mode.size == (1640, 1232), "that of the second one, the imx219"
    for _ in range(3):
        assert [source.read(2).pixels.shape[0] for source in both] == [240, 240]
    both[0].close()
    both[1].read(2)
    both[1].close()


def test_a_libcamera_that_cannot_list_cameras_is_told(board: Board) -> None:
    board.manager_fails = True
    for attempt in (lambda: take(board), identify):
        with pytest.raises(Unavailable, match="Failed to start CameraManager") as caught:
            attempt()
        assert caught.value.reason is Reason.LOST
    board.manager_fails = False
    take(board)


def test_picamera2_adds_no_line_of_its_own_to_each_attempt(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    board.busy = True
    with pytest.raises(DeviceBusy):
        take(board)
    assert [record for record in caplog.records if record.name.startswith("picamera2")] == []


def test_a_second_pipeline_on_a_camera_leaves_the_first_one_its_pictures(board: Board) -> None:
    first = PiCamera(Config(), HINT)
    first.open()
    with pytest.raises(DeviceBusy, match=r"in use \(held by another pipeline"):
        take(board)
    assert first.read(1).number == 0
    first.close()
    take(board)


def test_an_opening_that_is_refused_leaves_nothing_behind(board: Board) -> None:
    board.busy = True
    for _ in range(3):
        with pytest.raises(DeviceBusy):
            take(board)
    assert board.left_behind() == ""


# picamera2's own allocator fails once more when it is collected.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_heap_that_is_refused_leaves_no_camera_acquired(board: Board) -> None:
    for code, reason in (
        (errno.EACCES, Reason.DENIED),
        (errno.EPERM, Reason.DENIED),
        (errno.EIO, Reason.LOST),
    ):
        board.no_heap = code
        for _ in range(2):  # the second time, it would be in use: by ourselves
            with pytest.raises(Unavailable, match="/dev/dma_heap/linux,cma") as caught:
                take(board)
            assert caught.value.reason is reason
        assert board.left_behind() == ""


def test_a_camera_that_cannot_be_given_back_is_not_opened_again_by_this_process(board: Board) -> None:
    source = PiCamera(Config(), HINT)
    source.open()
    board.release_fails = True
    for attempt in (source.close, source.close, source.open, lambda: take(board)):
        with pytest.raises(
            Unavailable, match=r"camera 0 could not be given back.*Failed to release"
        ) as caught:
            attempt()
        assert caught.value.reason is Reason.KEPT
    board.release_fails = False
    for camera in list(library().Picamera2._cm.cameras.values()):
        camera.close()  # as the end of the process does


def test_closes_the_camera_when_it_cannot_be_started(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("Failed to start camera: Cannot allocate memory")

    monkeypatch.setattr(library().Picamera2, "start", fail)
    with pytest.raises(Unavailable, match="Cannot allocate memory") as caught:
        take(board)
    assert caught.value.reason is Reason.LOST


def test_a_camera_with_one_stream_is_scaled_by_the_cpu(board: Board) -> None:
    board.one_stream = True
    assert take(board).pixels.shape == (480, 640, 3)


def test_a_usb_camera_is_named_as_one_and_not_opened(board: Board) -> None:
    board.usb = ["HD Pro Webcam C920"]
    with pytest.raises(
        Unavailable, match=r"camera 1 \(HD Pro Webcam C920\) is a USB camera.*`kind: v4l2`"
    ) as caught:
        take(board, camera=1)
    assert caught.value.reason is Reason.ABSENT
    assert take(board).pixels.shape == (224, 300, 3), "the numbers of the others stay"


def test_a_usb_camera_is_not_listed_as_one_on_the_connector(board: Board) -> None:
    board.usb = ["HD Pro Webcam C920"]
    assert [(camera.keys, camera.name) for camera in identify()] == [({"camera": 0}, "imx708")]
    board.cameras = []
    assert identify() == []
    with pytest.raises(Unavailable, match="is a USB camera"):
        take(board)


def test_lists_the_cameras_without_opening_one(board: Board) -> None:
    found = identify()
    assert [camera.name for camera in found] == list(board.cameras)
    assert next((camera.keys, camera.place) for camera in found) == ({"camera": 0}, "CSI 0")


def test_a_receiver_of_the_connector_may_have_a_camera(tmp_path: Path) -> None:
    assert find(tmp_path) == []
    (tmp_path / "sys/class/video4linux/video0").mkdir(parents=True)
    (tmp_path / "sys/class/video4linux/video0/name").write_text("rp1-cfe-csi2_ch0\n")
    assert [camera.name for camera in find(tmp_path)] == ["the camera on the CSI connector"]


def test_says_how_to_install_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(DriverError, match=r"sudo apt install python3-picamera2.*--system-site-packages"):
        PiCamera(Config(), HINT).open()
    with pytest.raises(DriverError, match="sudo apt install python3-picamera2"):
        identify()


@pytest.mark.parametrize(
    "failure",
    [
        'ValueError("numpy.dtype size changed, may indicate binary incompatibility")',
        "AttributeError(\"module 'libcamera' has no attribute 'Transform'\")",
        'OSError("/dev/video10: Permission denied")',
    ],
)
def test_a_package_that_does_not_fit_its_libraries_is_no_defect_of_edged(
    failure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "picamera2.py").write_text(f"raise {failure}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "picamera2", raising=False)
    with pytest.raises(DriverError, match=r"cannot be imported.*full-upgrade") as caught:
        PiCamera(Config(), HINT).open()
    assert failure.partition("(")[0] in str(caught.value)


@pytest.mark.usefixtures("board")
def test_libcamera_logs_warnings_only_unless_the_user_asked_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIBCAMERA_LOG_LEVELS", raising=False)
    identify()
    assert os.environ["LIBCAMERA_LOG_LEVELS"] == "*:WARN"
    monkeypatch.setenv("LIBCAMERA_LOG_LEVELS", "*:DEBUG")
    identify()
    assert os.environ["LIBCAMERA_LOG_LEVELS"] == "*:DEBUG"


@pytest.mark.slow
@pytest.mark.parametrize("version", WHEELS)
def test_the_double_has_the_signatures_of_the_real_package(
    version: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    package = Path(unpacked(version, tmp_path_factory.getbasetemp()), "picamera2")
    for file, name, double in (
        ("picamera2.py", "Picamera2", Picamera2),
        ("job.py", "Job", Job),
        ("request.py", "CompletedRequest", Request),
    ):
        real = _signatures(package / file, name)
        for method, value in vars(double).items():
            if (method.startswith("_") and method != "__init__") or not inspect.isfunction(value):
                continue
            if method == "__init__" and double is not Picamera2:
                continue  # only the package itself makes these
            if method == "cancel_all_and_flush" and version == "0.3.17":
                continue
            assert list(inspect.signature(value).parameters) == real[method], f"{name}.{method}"


def _signatures(file: Path, name: str) -> dict[str, list[str]]:
    tree = ast.parse(file.read_text())
    body = next(n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)
    return {f.name: [a.arg for a in f.args.args] for f in body if isinstance(f, ast.FunctionDef)}
