"""Checks Python, edged, the TFLite runtimes, and the packages of the configured drivers."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING

import edged
from edged.models import runtimes
from edged.tools.doctor.probe import Unanswered, ask
from edged.tools.doctor.verdict import Verdict, error, ok, skipped, together, warning

if TYPE_CHECKING:
    from edged.config.root import Config
    from edged.tools.doctor.probe import Ask
    from edged.tools.doctor.subject import Subject

OLDEST, NEWEST = (3, 11), (3, 13)
_REINSTALL = "install edged again in its own environment: pip install --force-reinstall"


def python(version: tuple[int, ...] = sys.version_info[:2]) -> Verdict:
    """Judge the versions."""
    machine = platform.machine()
    detail = f"Python {platform.python_version()}, edged {edged.__version__}, {machine}"
    if not OLDEST <= version <= NEWEST:
        return error(detail, "install edged with Python 3.11, 3.12 or 3.13")
    if sys.maxsize <= 2**32:
        return error(f"{detail}, 32 bits", "edged needs a 64-bit system")
    return ok(detail)


def runtime(asked: Ask = ask) -> Verdict:
    """Have each installed runtime open a model, and load the packages that decode pictures."""
    installed = runtimes.available()
    if not installed:
        return error("no TFLite runtime is installed", "pip install ai-edge-litert")
    works, wrong = [], []
    for name in installed:
        try:
            works.append(f"{name} {asked('runtime', name)['version']}")
        except Unanswered as why:
            wrong.append(str(why))
    try:
        found = asked("pictures")
    except Unanswered as why:
        return error(f"pictures cannot be decoded: {why}", f"{_REINSTALL} opencv-python-headless numpy")
    detail = "; ".join([*works, *wrong, f"numpy {found['numpy']}, OpenCV {found['opencv']}"])
    if not works:
        return error(detail, f"{_REINSTALL} ai-edge-litert")
    return warning(detail, "repair or uninstall the one that does not work") if wrong else ok(detail)


def drivers(subject: Subject, asked: Ask = ask) -> Verdict:
    """Judge whether the configured drivers have the packages that they need."""
    if subject.config is None:
        return skipped(subject.why_not)
    verdicts, good = [], []
    for noun, kind in _kinds(subject.config):
        try:
            asked("driver", noun, kind)
        except Unanswered as why:
            detail, _, fix = str(why).rpartition(": ") if why.told else (str(why), "", "")
            verdicts.append(error(f"{noun} {kind}: {detail}", fix))
        else:
            good.append(f"{noun} {kind}")
    if good:
        verdicts.append(ok(", ".join(good)))
    return together(verdicts)


def _kinds(config: Config) -> list[tuple[str, str]]:
    """Return the configured drivers."""
    found = {
        ("source", pipeline.source.kind): None for pipeline in config.pipelines.values() if pipeline.enabled
    }
    return [*found, *{("sensor", sensor.kind): None for sensor in config.sensors.values()}]
