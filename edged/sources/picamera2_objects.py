"""Makes and gives back picamera2's camera objects, also where that fails halfway; uses its private names."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Any

from edged.errors import DeviceBusy, Reason, Unavailable
from edged.sources import camera_nodes, video_devices

_TUNING_FOLDERS = ("/usr/local/share/libcamera/ipa/rpi", "/usr/share/libcamera/ipa/rpi")


def construct(driver: Any, number: int, tuning: str | None) -> Any:
    """Return a camera object; where its constructor fails, give back what it has taken until then."""
    camera = driver.__new__(driver)  # so that there is an object to close when the constructor raises
    try:
        camera.__init__(number, tuning=tuning)
    except BaseException:
        with contextlib.suppress(Exception):
            _abandon(camera)
        raise
    return camera


def _abandon(camera: Any) -> None:
    """Give back what a failed constructor has taken; picamera2's close() does so only for an open camera."""
    if getattr(camera, "is_open", False):
        camera.close()  # raises at its end, where it misses what the constructor did not make any more
        return
    manager, number = getattr(camera, "_cm", None), getattr(camera, "camera_idx", None)
    if manager is not None and manager.cameras.get(number) is camera:
        manager.cleanup(number)
    if hasattr(camera, "notifymeread"):
        camera.notifymeread.close()
        os.close(camera.notifyme_w)


def give_up(camera: Any, job: Any) -> None:
    """Cancel an open capture: queued behind it, stopping would wait for a camera that hangs."""
    if hasattr(camera, "cancel_all_and_flush"):  # since picamera2 0.3.20
        camera.cancel_all_and_flush()
    with contextlib.suppress(Exception):  # cancelled, or still pending: then there is nothing to release
        job.get_result(timeout=0).release()


def list_anew(driver: Any) -> None:
    """Let libcamera list the cameras anew, if this process has none open."""
    manager = driver._cm  # noqa: SLF001 - it has no public way
    if manager.cameras:
        return
    if hasattr(manager, "reset"):  # since picamera2 0.3.20
        manager.reset()
    else:
        manager._cms = None  # noqa: SLF001 - as reset() does


def is_pisp(driver: Any) -> bool:
    """Return whether this is a Pi 5, by picamera2's class or by one of its objects."""
    return getattr(getattr(driver, "platform", None), "name", "VC4") == "PISP"


def tuning_path(driver: Any, name: str | None) -> str | None:
    """Return the path of a tuning file, named or by its path. Raises ``Unavailable`` where there is none."""
    if name is None:
        return None
    board = "pisp" if is_pisp(driver) else "vc4"
    paths = [Path(folder, board, name) for folder in _TUNING_FOLDERS]  # an absolute path replaces the folder
    for path in paths:
        if path.is_file():
            return str(path)
    raise Unavailable(Reason.ABSENT, f"there is no tuning file {paths[-1]}")


def explain(name: str, error: Exception) -> Unavailable:
    """Return the kernel's error from the chain of errors that picamera2 wraps around it."""
    words = " ".join(str(e) for e in _chain(error))
    if "busy" in words.lower():
        return DeviceBusy(f"{name} is in use", camera_nodes.holder())
    if isinstance(error, Unavailable):
        return error
    for cause in _chain(error):
        if isinstance(cause, OSError) and cause.errno in {errno.EACCES, errno.EPERM}:
            return video_devices.explain(cause.filename or name, cause)
    return Unavailable(Reason.LOST, f"{name} cannot be started: {words}")


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
