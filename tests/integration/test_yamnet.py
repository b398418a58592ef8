"""YAMNet, a real model of 521 kinds of sound, on real and on computed sound, in each runtime."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest
from crew import Crew
from unit.sources import wav_files

from edged.config.root import PipelineSection
from edged.models import runtimes

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.realmodels, pytest.mark.slow]

MODEL = "models/yamnet_audio_classifier_with_metadata.tflite"


def heard(testdata: Path, runtime: str, files: dict[str, Path]) -> dict[str, dict[str, float]]:
    """Return the highest score of each label in any window of each file."""

    async def life() -> dict[str, dict[str, float]]:
        model = {"file": str(testdata / MODEL), "runtime": runtime}
        pipelines = {
            name: PipelineSection.model_validate(
                {"source": {"kind": "sound", "path": str(path)}, "model": model, "task": {"top_k": 5}}
            )
            for name, path in files.items()
        }
        async with Crew(pipelines) as crew:
            await crew.until(lambda: all(crew.status(name).state == "ended" for name in pipelines))
            best: dict[str, dict[str, float]] = {name: {} for name in pipelines}
            for _, outcome in crew.outcomes:
                for found in outcome.top:
                    scores = best[outcome.pipeline]
                    scores[found.label] = max(found.score, scores.get(found.label, 0.0))
            return best

    return asyncio.run(life())


def pulses(rate_hz: int = 16000) -> np.ndarray:
    """Return 3,100 Hz for a quarter of a second, silence for another one, for 3 s."""
    times = np.arange(3 * rate_hz) / rate_hz
    return np.where(times % 0.5 < 0.25, 0.6 * np.sin(2 * np.pi * 3100 * times), 0.0)


@pytest.mark.parametrize("runtime", list(runtimes.available()))
def test_a_meow_speech_silence_and_an_alarm_are_named(testdata: Path, tmp_path: Path, runtime: str) -> None:
    audio = testdata / "audio"
    stereo = np.stack([pulses(44100), pulses(44100)], axis=1)
    files = {
        "meow": audio / "meow_16k.wav",
        "speech": audio / "speech.wav",
        "silence": audio / "silence_1000ms.wav",
        "noise": audio / "noise_1000ms.wav",
        "pulses": wav_files.write(tmp_path / "pulses.wav", pulses()),
        "stereo": wav_files.write(tmp_path / "stereo.wav", stereo, 44100, "i24"),
    }
    best = heard(testdata, runtime, files)
    for name, label, least in (
        ("meow", "Cat", 0.9),
        ("meow", "Meow", 0.3),
        ("speech", "Speech", 0.9),
        ("silence", "Silence", 0.5),
        ("pulses", "Smoke detector, smoke alarm", 0.5),
        ("stereo", "Smoke detector, smoke alarm", 0.5),
    ):
        assert best[name].get(label, 0.0) >= least, (name, label, best[name])
    for name in ("noise", "silence", "speech"):
        assert best[name].get("Smoke detector, smoke alarm", 0.0) < 0.1
