"""The calibration of scores in the metadata of a model, as Google's models have it.

Each class has a line in a packed file: scale, slope, offset, and optionally the lowest score that is
calibrated. A score s becomes scale / (1 + exp(-(slope * f(s) + offset))), with f(s) = s, log(s) or
log(s) - log(1 - s); a class without a line, and a lower score, get the default.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from edged.errors import ModelError

Transformation = Literal["identity", "log", "inverse-logistic"]
TRANSFORMATIONS: tuple[Transformation, ...] = ("identity", "log", "inverse-logistic")


@dataclass(frozen=True)
class Calibration:
    """The way in which the scores of a model become calibrated.

    Attributes:
        transformation: what is applied to a score first.
        default: the score of a class without parameters.
        parameters: by class: scale, slope, offset and lowest score; None: the default.
    """

    transformation: Transformation
    default: float
    parameters: tuple[tuple[float, float, float, float] | None, ...]


def read(transformation: int, default: float, data: bytes, where: str) -> Calibration:
    """Return a calibration.

    Args:
        transformation: its number in the metadata.
        default: the score of a class without parameters.
        data: the packed file.
        where: the file's name in errors.

    Raises:
        ModelError: the file is not one of calibrations.
    """
    if transformation >= len(TRANSFORMATIONS):
        raise ModelError(f"{where}: a calibration of an unknown kind, {transformation}")
    lines = data.decode("ascii", "replace").replace("\r", "").removesuffix("\n").split("\n")
    rows = tuple(_row(line, f"{where}: line {number}") for number, line in enumerate(lines, 1))
    return Calibration(TRANSFORMATIONS[transformation], default, rows)


def _row(line: str, where: str) -> tuple[float, float, float, float] | None:
    if not line.strip():
        return None
    try:
        values = [float(cell) for cell in line.split(",")]
    except ValueError:
        values = []
    if len(values) not in {3, 4} or not all(map(math.isfinite, values)) or values[0] < 0:
        raise ModelError(f"{where} is not scale, slope and offset: the scores cannot be calibrated")
    scale, slope, offset = values[:3]
    return scale, slope, offset, values[3] if len(values) == 4 else -math.inf
