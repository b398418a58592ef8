from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import build_sound
import numpy as np
import pytest
from tflite_builder import Kind, Layer, build, lstm, stack

from edged.errors import ModelError
from edged.inference import model as models
from edged.inference.window_preparer import WindowPreparer
from edged.models import loaded_model, runtimes, window_model
from edged.models.spec import SampleSpec, WindowInput
from edged.models.tflite import file as tflite_file
from edged.sources import Window

if TYPE_CHECKING:
    from pathlib import Path

    from edged.models.loaded_model import LoadedModel

STEPS, CHANNELS = 8, 3
SAMPLE = SampleSpec("window", STEPS, CHANNELS)
INT8 = Kind("int8", 0.05, 3)


def sums(kind: Kind, shape: tuple[int, ...] = (1, STEPS, CHANNELS), copies: int = 1) -> bytes:
    """A model whose score of each channel is its sum."""
    weights = np.tile(np.eye(CHANNELS), (1, STEPS))
    out = Kind(kind.dtype, 0.2, 0) if kind.scale else Kind()
    return stack(shape, kind, [Layer(weights, np.zeros(CHANNELS), out)], copies=copies)


def rebuilds(kind: Kind = INT8) -> bytes:
    size = STEPS * CHANNELS
    return stack((1, STEPS, CHANNELS), kind, [Layer(np.eye(size), np.zeros(size), kind)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "labels.txt").write_text("x\ny\nz\n")
    return tmp_path


def load(folder: Path, content: bytes, *, autoencoder: bool = False, labels: bool = True) -> LoadedModel:
    (folder / "m.tflite").write_bytes(content)
    named = folder / "labels.txt" if labels else None
    inspect = functools.partial(window_model.classifier, sample=SAMPLE)
    if autoencoder:
        inspect = functools.partial(window_model.autoencoder, sample=SAMPLE, labels=("odd",))
    return loaded_model.load(folder / "m.tflite", named, inspect=inspect)


@pytest.mark.parametrize("shape", [(1, STEPS, CHANNELS), (1, STEPS * CHANNELS), (1, STEPS, CHANNELS, 1)])
@pytest.mark.parametrize("kind", [Kind(), INT8], ids=["float32", "int8"])
@pytest.mark.parametrize("name", list(runtimes.available()))
def test_a_window_goes_in_and_scores_come_out(
    folder: Path, shape: tuple[int, ...], kind: Kind, name: str
) -> None:
    loaded = load(folder, sums(kind, shape))
    spec = loaded.spec
    assert isinstance(spec.input, WindowInput)
    given, scores = spec.input.tensor, spec.outputs[0]
    assert (spec.classes, given.shape, loaded.labels) == (3, shape, ("x", "y", "z"))
    window = np.random.default_rng(1).normal(0, 1, (STEPS, CHANNELS)).astype(np.float32)
    model = models.open_model(loaded, runtime=name)
    stored = WindowPreparer(spec.input).prepare(Window(window, 0.0))
    answer = model.invoke(stored)[0].reshape(-1).astype(np.float64)
    real = answer if not kind.scale else (answer - scores.zero_point) * scores.scale
    assert real == pytest.approx(window.sum(axis=0), abs=0.4 if kind.scale else 1e-4)


def test_an_autoencoder_gives_a_window_and_has_the_labels_of_its_task(folder: Path) -> None:
    loaded = load(folder, rebuilds(), autoencoder=True, labels=False)
    assert (loaded.labels, loaded.spec.classes) == (("odd",), 0)


@pytest.mark.parametrize("name", list(runtimes.available()))
def test_a_model_remembers_until_it_is_told_to_forget(folder: Path, name: str) -> None:
    model = models.open_model(load(folder, lstm(STEPS, CHANNELS, 3)), runtime=name)
    window = np.ones((1, STEPS, CHANNELS), np.float32)
    (first,), (second,) = model.invoke(window), model.invoke(window)
    assert not np.allclose(first, second)
    model.forget()
    assert model.invoke(window)[0] == pytest.approx(first)
    model.close()
    model.forget()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            sums(Kind(), (1, CHANNELS, STEPS)),
            "its channels come first (1 x 3 x 8); convert it with steps first",
        ),
        (sums(Kind(), (1, 4, 6)), "its input (1 x 4 x 6) is not what the source gives, [1, 8, 3] or [1, 24]"),
        (sums(Kind(), (2, 4, 3)), "it takes 2 windows at once (2 x 4 x 3); convert it with batch size 1"),
        (build(), "its input (1 x 8 x 8 x 3) is a picture or a spectrum, not a window of readings"),
        (
            build((1, STEPS, CHANNELS, 1), (3,), head="none"),
            "its output (1 x 8 x 3) is not a row of scores; for an autoencoder write task: {kind: anomaly}",
        ),
        (sums(Kind(), copies=2), "it has 2 outputs; edged runs models over time with one"),
        (sums(Kind("int8", 0.0)), "its int8 input has no scale"),
        (sums(Kind("int32", 0.1)), "its input is int32, not uint8, int8, int16, float16 or float32"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(folder: Path, content: bytes, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        load(folder, content)
    assert str(caught.value).startswith(f"{folder}/m.tflite: ")
    assert said in str(caught.value)


def test_a_classifier_is_no_autoencoder(folder: Path) -> None:
    with pytest.raises(ModelError, match="so it is not an autoencoder for this source"):
        load(folder, sums(Kind()), autoencoder=True)


def test_labels_must_be_there_and_fit(folder: Path) -> None:
    with pytest.raises(ModelError, match="a text file with 3 lines"):
        load(folder, sums(Kind()), labels=False)
    (folder / "labels.txt").write_text("x\ny\n")
    with pytest.raises(ModelError, match="2 labels do not fit the 3 classes"):
        load(folder, sums(Kind()))


def heard(folder: Path, content: bytes, sample: SampleSpec) -> LoadedModel:
    file = folder / "m.tflite"
    file.write_bytes(content)
    inspect = functools.partial(window_model.classifier, sample=sample)
    return loaded_model.load(file, inspect=inspect)


SOUND = SampleSpec("window", 0, 1, 16000)


@pytest.mark.parametrize("shape", [(build_sound.STEPS,), (1, build_sound.STEPS), (1, build_sound.STEPS, 1)])
@pytest.mark.parametrize("name", list(runtimes.available()))
def test_a_model_of_sound_gives_the_length_of_its_window(
    folder: Path, shape: tuple[int, ...], name: str
) -> None:
    loaded = heard(folder, build_sound.model(shape), SOUND)
    assert isinstance(loaded.spec.input, WindowInput)
    assert (loaded.spec.input.steps, loaded.spec.input.channels) == (build_sound.STEPS, 1)
    model = models.open_model(loaded, runtime=name)
    times = np.arange(build_sound.STEPS, dtype=np.float32) / build_sound.RATE_HZ
    for number, hz in enumerate((0, *build_sound.TONES_HZ)):
        wave = 0.3 * np.sin(2 * np.pi * hz * times + 1.0) * (hz > 0)
        window = Window(wave[:, None].astype(np.float32), 0.0)
        (scores,) = model.invoke(WindowPreparer(loaded.spec.input).prepare(window))
        assert scores.reshape(-1).argmax() == number


@pytest.mark.parametrize(
    ("content", "sample", "said"),
    [
        (
            build_sound.model(),
            SampleSpec("window", 1600, 1, 16000),
            r"takes 3200 samples \(0.2 s at 16000 Hz\), not 1600 samples .*omit source.window_s",
        ),
        (build((1, 49, 40)), SOUND, "probably a spectrum; edged gives samples"),
        (build((1, 8)), SOUND, "probably a spectrum"),
        (build_sound.model(copies=2), SOUND, "2 outputs.*write model.output .*0 .scores: 1 x 4. or 1"),
    ],
)
def test_what_is_no_model_of_sound_is_said(
    folder: Path, content: bytes, sample: SampleSpec, said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        heard(folder, content, sample)


FEATURES = SampleSpec("window", 0, 40, 16000)


@pytest.mark.parametrize(
    ("content", "rows", "binary"),
    [
        (build((1, 49, 40), (1,), Kind("int8", 0.1, -128), head="none"), 49, False),
        (build((1, 80), (0,), Kind("int8", 0.1, -128), head="none"), 2, False),
        (build((1, 3, 40), (1, 2), Kind(), head="sigmoid"), 3, True),
    ],
)
def test_a_model_of_features_gives_their_rows(folder: Path, content: bytes, rows: int, binary: bool) -> None:
    (folder / "m.tflite").write_bytes(content)
    spec = window_model.classifier(tflite_file.read(folder / "m.tflite"), FEATURES)
    assert isinstance(spec.input, WindowInput)
    assert (spec.input.steps, spec.input.channels, spec.binary) == (rows, 40, binary)
    assert spec.classes == 2 or not binary


@pytest.mark.parametrize(
    ("content", "sample", "said"),
    [
        (build((1, 49, 32), (1,)), FEATURES, "is not rows of 40 features; for samples omit source.features"),
        (build((1, 49, 40), (1,)), SampleSpec("window", 48, 40, 16000), "49 rows of features, not 48"),
    ],
)
def test_what_does_not_take_features_is_said(
    folder: Path, content: bytes, sample: SampleSpec, said: str
) -> None:
    (folder / "m.tflite").write_bytes(content)
    with pytest.raises(ModelError, match=said):
        window_model.classifier(tflite_file.read(folder / "m.tflite"), sample)
