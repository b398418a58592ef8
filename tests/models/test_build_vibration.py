"""The models that are made for tests: small, the same each time, and good at what they are for."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from build_vibration import CHANNELS, STEPS, write

from edged.models import loaded_model
from edged.models.spec import SampleSpec
from edged.tasks import anomaly, classify

if TYPE_CHECKING:
    from pathlib import Path


def test_they_are_small_good_and_the_same_each_time(tmp_path: Path) -> None:
    built = write(tmp_path)
    print(f"{100 * built.accuracy:.1f} % right; usual below {built.usual:.4f}, odd above {built.odd:.4f}")
    assert built.accuracy >= 0.97
    assert built.odd > 5 * built.usual
    assert max(len(built.classifier), len(built.autoencoder)) < 100_000
    again = write(tmp_path)
    assert (again.classifier, again.autoencoder) == (built.classifier, built.autoencoder)
    sample = SampleSpec("window", STEPS, CHANNELS)
    for name, labels, task in (
        ("vibration", "vibration.txt", classify),
        ("vibration-autoencoder", None, anomaly),
    ):
        loaded = loaded_model.load(
            tmp_path / f"{name}.tflite",
            tmp_path / labels if labels else None,
            inspect=functools.partial(task.inspect, sample=sample),
        )
        assert loaded.spec.input is not None
        assert (loaded.spec.input.tensor.dtype, loaded.spec.outputs[0].dtype) == ("int8", "int8")
