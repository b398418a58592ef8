"""The controls of a CSI camera, such as exposure and gain: what may be configured, and what a camera has.

picamera2 hands them to libcamera, which refuses a name that the camera lacks with an error of its own, and
takes a value that is out of range as the nearest one, without a word.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StringConstraints

from edged.errors import Reason, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

Name = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z]{1,39}$")]
Number = Annotated[float, Field(allow_inf_nan=False)]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z]{1,39}$")]
Value = bool | int | Number | Word | Annotated[tuple[Number, ...], Field(min_length=1, max_length=8)]

_SLOW_FPS = 12.0
_LONGEST_US = 83_333  # of a frame in picamera2's preview, and at the slowest rate from the start

# The key that sets the same, and would be contradicted.
ELSEWHERE = {
    "AfMode": "focus",
    "LensPosition": "focus",
    "HdrMode": "hdr",
    "FrameRate": "fps",
    "FrameDurationLimits": "fps",
    "ScalerCrop": "crop",
    "ScalerCrops": "crop",
}


def ready(
    wanted: Mapping[str, Any], advertised: Mapping[str, tuple[Any, Any, Any]], camera: str, names: Any
) -> dict[str, Any]:
    """Return the controls as libcamera takes them.

    Args:
        wanted: the configured values, by name.
        advertised: the camera's controls, each with its least, its most and its default value.
        camera: what a person calls the camera.
        names: libcamera's module of controls, with an enumeration for each control that has named values.

    Raises:
        Unavailable: ABSENT, as the camera lacks a control, or its range does not have a value.
    """
    return {name: _value(name, value, advertised, camera, names) for name, value in wanted.items()}


def timed(
    controls: Mapping[str, Any], fps: float | None, *, limited: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide controls into those from the start, and those from the first picture on.

    libcamera does not trust the exposure of the first frames, about eight, which would take too long at a
    slow rate. It cuts an exposure to the time of a frame: 1/12 s at most, unless that is set as well.

    Args:
        controls: as libcamera takes them.
        fps: the configured rate.
        limited: the camera has the control of that time.
    """
    start, later = dict(controls), dict[str, Any]()
    exposure_us = start.get("ExposureTime", 0)
    if not limited:
        return start, later
    if fps is not None:
        period_us = round(1e6 / fps)
        (start if fps >= _SLOW_FPS else later)["FrameDurationLimits"] = (period_us, period_us)
    elif exposure_us > _LONGEST_US:
        later["FrameDurationLimits"] = (exposure_us, exposure_us)
    if exposure_us > _LONGEST_US:
        later["ExposureTime"] = start.pop("ExposureTime")
    return start, later


def _value(
    name: str, value: Any, advertised: Mapping[str, tuple[Any, Any, Any]], camera: str, names: Any
) -> Any:
    if name not in advertised:
        raise Unavailable(
            Reason.ABSENT, f"{camera} has no control {name}; {_nearest(name, sorted(advertised))}"
        )
    if isinstance(value, str):
        return _named(name, value, camera, names)
    least, most, _default = advertised[name]
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(least, (int, float)) and isinstance(most, (int, float)) and not least <= number <= most:
            raise Unavailable(
                Reason.ABSENT, f"{camera}: {name} is {number:g}, but must be from {least:g} to {most:g}"
            )
    return int(value) if isinstance(value, float) and isinstance(least, int) else value


def _named(name: str, word: str, camera: str, names: Any) -> Any:
    words = [each for each in dir(getattr(names, f"{name}Enum", None)) if each[0].isupper()]
    if word not in words:
        raise Unavailable(Reason.ABSENT, f"{camera}: {name} has no value {word}; {_nearest(word, words)}")
    return getattr(getattr(names, f"{name}Enum"), word)


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]}?" if close else f"it has {', '.join(known) or 'none'}"
