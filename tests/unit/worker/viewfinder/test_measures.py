"""What a person who focuses a camera goes by."""

from __future__ import annotations

import itertools
from typing import Any

import cv2
import numpy as np
import pytest

from edged.models import bundled
from edged.worker.viewfinder.measures import Focus, grey, light, sharpness

PHOTO = grey(np.asarray(cv2.imread(str(bundled.PHOTO)), np.uint8), "bgr")


def blurred(radius: float) -> Any:
    return PHOTO if not radius else np.asarray(cv2.GaussianBlur(PHOTO, (0, 0), radius))


@pytest.mark.parametrize("noise", [0, 3])
def test_sharpness_peaks_where_the_picture_is_sharp(noise: float) -> None:
    random = np.random.default_rng(2)
    turns = [3.0, 2.0, 1.3, 0.8, 0.0, 0.8, 1.3, 2.0, 3.0]  # of a lens, past its best place
    values = []
    for radius in turns:
        noisy = blurred(radius) + random.normal(0, noise, PHOTO.shape) if noise else blurred(radius)
        values.append(sharpness(np.clip(noisy, 0, 255).astype(np.uint8)))
    assert values.index(max(values)) == 4
    assert all(a < b for a, b in itertools.pairwise(values[:5]))
    assert all(a > b for a, b in itertools.pairwise(values[4:]))


def test_less_light_is_not_less_sharp() -> None:
    dusk = (PHOTO * 0.5).astype(np.uint8)
    assert sharpness(dusk) == pytest.approx(sharpness(PHOTO), rel=0.15)
    assert sharpness(np.zeros((40, 40), np.uint8)) == 0


def test_the_best_one_is_kept_until_it_is_forgotten() -> None:
    focus = Focus()
    assert focus.part == 1
    for value in (9.0, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0):
        focus.add(value)
    best = focus.best
    for _ in range(8):
        focus.add(2.0)
    assert focus.best == best == pytest.approx(8, rel=0.1)
    assert focus.part == pytest.approx(0.25, rel=0.1)
    focus.forget()
    assert focus.part == 1


def test_light_is_measured_beside_what_is_masked() -> None:
    shades = np.full((80, 100), 120, np.uint8)
    shades[:, :25] = 255
    shades[:, 75:] = 0
    found = light(shades)
    assert (found.clipped, found.dark) == (0.28, 0.24)
    hidden = np.zeros_like(shades)
    hidden[:, 75:] = 255
    assert light(shades, hidden).dark == 0
    assert light(shades, np.full_like(shades, 255)).dark == 1
    assert light(np.full((8, 8), 51, np.uint8)).mean == pytest.approx(0.2)
