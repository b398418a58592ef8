from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tflite_builder import Kind, Packed, build

from edged.errors import ModelError
from edged.models import image_classifier, loaded_model
from edged.models.spec import PictureInput
from edged.models.tensor import Tensor
from edged.models.tflite import file as tflite_file
from edged.models.tflite.detection import DETECTION_OP
from edged.models.tflite.file import ModelFile

if TYPE_CHECKING:
    from edged.models.loaded_model import LoadedModel

ROOT = Path(__file__).resolve().parents[3]
PICTURE = Tensor("picture", (1, 224, 224, 3), "uint8", 1 / 128, 128)
SCORES = Tensor("scores", (1, 1001), "uint8", 1 / 256)
FILE = ModelFile(Path("m.tflite"), b"", 64 * "0", (PICTURE,), (SCORES,))


def _with(
    shape: tuple[int, ...] = PICTURE.shape, out: tuple[int, ...] = SCORES.shape, **picture: object
) -> ModelFile:
    return replace(
        FILE,
        inputs=(replace(PICTURE, shape=shape, **picture),),  # type: ignore[arg-type] # fields by name
        outputs=(replace(SCORES, shape=out),),
    )


def _load(file: Path, labels: Path | None = None) -> LoadedModel:
    return loaded_model.load(file, labels, inspect=image_classifier.spec)


@pytest.mark.parametrize(
    ("shape", "height", "width", "channels"),
    [
        ((1, 224, 320, 3), 224, 320, 3),
        ((1, 96, 96, 1), 96, 96, 1),
        ((1, 96, 64), 96, 64, 1),
        ((96, 64, 3), 96, 64, 3),
        ((96, 64, 1), 96, 64, 1),
        ((1, 3, 224, 320), 224, 320, 3),
        ((3, 96, 64), 96, 64, 3),
        ((1, 1, 96, 64), 96, 64, 1),
    ],
)
def test_accepts_pictures(shape: tuple[int, ...], height: int, width: int, channels: int) -> None:
    spec = image_classifier.spec(_with(shape))
    picture = spec.input
    assert isinstance(picture, PictureInput)
    assert (picture.height, picture.width, picture.channels) == (height, width, channels)
    assert picture.tensor.shape == shape


@pytest.mark.parametrize("out", [(1, 10), (10,), (1, 1, 1, 10), (1, 10, 1, 1)])
def test_accepts_rows_of_scores(out: tuple[int, ...]) -> None:
    assert image_classifier.spec(_with(out=out)).classes == 10


def test_a_detector_is_told_its_task() -> None:
    with pytest.raises(ModelError, match=r"it is an object detector: write task: \{kind: detect\}"):
        image_classifier.spec(replace(FILE, custom_ops=(DETECTION_OP,)))


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (_with((2, 224, 224, 3)), "batch size 1"),
        (_with((1, 3, 224, 3)), "not a picture of 8"),
        (_with((1, 224, 224, 4)), "4 channels"),
        (_with((1, 1, 1, 3), dynamic=(0, 1, 2)), "size of the picture open"),
        (_with((1, 4, 224, 3)), "not a picture of 8"),
        (_with((1, 128)), "not a picture"),
        (_with((5, 224, 224, 7, 3)), "not a picture"),
        (_with(()), "a single number"),
        (_with(dtype="int64"), "int64"),
        (_with(dtype="string"), "text"),
        (_with(channels=3), "per channel"),
        (_with(scale=-1.0), "negative"),
        (_with(out=(1, 1)), "one number"),
        (_with(out=(1, 1917, 4)), "boxes"),
        (_with(out=(1, 56, 56, 21)), "segmentation"),
        (_with(out=(2, 3, 4, 5)), "not a row of scores"),
        (_with(out=(0,)), "not a row of scores"),
        (replace(FILE, inputs=(PICTURE, PICTURE)), "2 inputs"),
        (replace(FILE, inputs=()), "0 inputs"),
        (replace(FILE, outputs=4 * (SCORES,)), "object detector, with 4 outputs"),
        (replace(FILE, outputs=2 * (SCORES,)), "2 outputs"),
        (replace(FILE, outputs=(replace(SCORES, dtype="int64"),)), "int64"),
        (replace(FILE, outputs=(replace(SCORES, scale=0.0),)), "no scale"),
    ],
)
def test_refuses_other_models_and_says_which_are_supported(file: ModelFile, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        image_classifier.spec(file)
    assert said in str(caught.value)
    assert str(caught.value).startswith("m.tflite: ")
    assert "image classifiers" in str(caught.value)


def test_labels_come_from_the_file_or_from_the_model(tmp_path: Path) -> None:
    model, labels = tmp_path / "m.tflite", tmp_path / "l.txt"
    labels.write_text("\n".join("ABCDEFGH"))
    model.write_bytes(build(packed=Packed("\n".join("abcdefgh"))))
    assert _load(model).labels == tuple("abcdefgh")
    assert _load(model, labels).labels == tuple("ABCDEFGH")
    model.write_bytes(build(picture=Kind("uint8", 1 / 128, 128), scores=Kind("uint8", 1 / 256)))
    with pytest.raises(ModelError, match="8 lines"):
        _load(model)
    labels.write_text("\n".join("ABCDEFG"))
    with pytest.raises(ModelError, match=r"l\.txt: 7 labels do not fit the 8 classes"):
        _load(model, labels)


def test_an_embedding_extractor_is_recognised(testdata: Path) -> None:
    models = testdata / "models"
    with pytest.raises(ModelError, match="embedding extractor"):
        _load(models / "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite")
    with pytest.raises(ModelError, match="1001 labels do not fit the 1024 classes"):
        _load(
            models / "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite",
            testdata / "labels" / "imagenet_labels.txt",
        )


def test_checking_a_model_needs_neither_numpy_nor_a_runtime() -> None:
    program = (
        "import sys\n"
        "from edged.models import bundled\n"
        "from edged.models import image_classifier, loaded_model\n"
        "inspect = image_classifier.spec\n"
        "loaded_model.load(bundled.MODEL, bundled.LABELS, bundled.MODEL_SHA256, inspect=inspect)\n"
        "print([m for m in ('numpy', 'cv2', 'ai_edge_litert', 'tflite_runtime') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    assert answer.stdout.strip() == "[]"


def test_a_calibration_of_another_number_of_classes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    names = "\n".join("abcdefgh")
    path.write_bytes(build(packed=Packed(names, calibration="1,2,3\n" * 8)))
    assert image_classifier.spec(tflite_file.read(path)).calibration is not None
    path.write_bytes(build(packed=Packed(names, calibration="1,2,3\n" * 7)))
    with pytest.raises(ModelError, match="its scores are calibrated for 7 classes, but it has 8"):
        image_classifier.spec(tflite_file.read(path))
