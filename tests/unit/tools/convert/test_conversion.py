"""The way from TensorFlow's answers to a file, with a process that tells what TensorFlow's would.

The processes that run the results are the real ones.
"""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import tempfile
import zipfile
from typing import IO, TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from tflite_builder import Kind, build

from edged.cli.main import main
from edged.errors import ModelError, Refused
from edged.models.normalization import PRESETS
from edged.models.tflite import file as tflite_file
from edged.system.child import ChildFailed
from edged.tools.convert import Conversion, Options, conversion, trial
from edged.tools.convert.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COLOURS = ("blue", "green", "red")  # in OpenCV's order
FLOAT = build((1, 8, 8, 3), (1, 2))  # the strongest colour
INT8 = build((1, 8, 8, 3), (1, 2), Kind("int8", 2 / 255, -1), Kind("int8", 1 / 256, -128))
TOLD = {
    "input": "x",
    "output": "y",
    "shape": [1, 8, 8, 3],
    "classes": 3,
    "guessed": True,
    "trained_quantised": False,
    "values": "-1..1",
    "origin": "configuration",
    "mean": [127.5],
    "std": [127.5],
    "order": "rgb",
    "low": -1.0,
    "high": 1.0,
    "graph": "",
}


class Case:
    """A conversion whose TensorFlow is told what to answer."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.notes: list[str] = []
        self.said: list[dict[str, Any]] = []
        self.fails = ""
        self.printed = b""
        for number, colour in enumerate(COLOURS):
            for shade in (120, 180, 240):
                picture = np.full((16, 16, 3), 20, np.uint8)
                picture[..., number] = shade
                (folder / "images" / colour).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / "images" / colour / f"{shade}.png"), picture)
        (folder / "labels.txt").write_text("red\ngreen\nblue\n")
        (folder / "m.pb").write_bytes(b"x")
        monkeypatch.setattr(conversion, "answers", self._answers)
        monkeypatch.setattr(importlib.util, "find_spec", lambda _name: True)

    def _answers(self, *_: object, output: IO[bytes]) -> Iterator[dict[str, Any]]:
        output.write(self.printed)
        yield from self.said
        if self.fails:
            raise ChildFailed(self.fails)

    def says(self, plain: bytes = FLOAT, made: bytes | None = None, by: bytes = FLOAT, **told: Any) -> None:
        """Answer as TensorFlow's process would; the source scores as the model ``by`` does."""
        folder = self.folder
        (folder / "by.tflite").write_bytes(by)
        files = [str(path) for path in sorted((folder / "images").rglob("*.png"))]
        rows = trial.run(folder / "by.tflite", "litert", files, {"normalize": "-1..1"}).rows
        self.said = [{"network": True}, {"stage": "loading"}, {"source": TOLD | told}]
        self.said += [{"row": row, "of": number} for number, row in rows.items()]
        self.said += [{"part": "float", "data": base64.b64encode(plain).decode()}]
        if made is not None:
            self.said += [{"part": "made", "data": base64.b64encode(made).decode()}]
            self.said += [{"calibrated": {"n": 9, "spread": 0.5, "low": -1.0, "high": 1.0}}]
        self.said += [{"ended": {"peak_mb": 600, "seconds": 5.0, "tensorflow": "2.21.0"}}]

    def run(self, **options: Any) -> dict[str, Any]:
        source = Source("frozen", self.folder / "m.pb", files=(self.folder / "m.pb",))
        given: dict[str, Any] = {
            "images": self.folder / "images",
            "values": {"normalize": "-1..1"},
            "targets": ("litert",),
        }
        given["out"] = self.folder / "out" / "m.tflite"
        wanted = Options(source, **given | options)
        (self.folder / "out").mkdir(exist_ok=True)
        return Conversion(wanted, self.notes.append).run()

    @property
    def left(self) -> list[str]:
        """What is in the folder of the result."""
        return sorted(path.name for path in (self.folder / "out").iterdir())


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    return Case(tmp_path, monkeypatch)


def test_a_good_result_is_written_with_how_it_was_made(case: Case) -> None:
    case.says()
    found = case.run(labels=case.folder / "labels.txt")
    assert case.left == ["m.tflite", "m.tflite.json"]
    written = tflite_file.read(case.folder / "out" / "m.tflite")
    assert written.labels is not None
    assert written.labels.names == ("red", "green", "blue")
    assert written.normalization == PRESETS["-1..1"]
    assert json.loads((case.folder / "out" / "m.tflite.json").read_text()) == found
    assert found["runtimes"]["litert"]["top1"] == found["runtimes"]["litert"]["accuracy"] == 1
    assert found["accuracy_of_source"] == 1
    assert found["not_checked_in"] == []
    assert any("input x and output y were found" in note for note in case.notes)
    assert any("WARNING: the process with TensorFlow is not isolated" in note for note in case.notes)


def test_a_guess_is_not_written_into_the_model(case: Case) -> None:
    case.says(origin="assumed")
    case.run(values={})
    assert (case.folder / "out" / "m.tflite").read_bytes() == FLOAT
    assert any("pixels are assumed to become -1..1" in note for note in case.notes)


def test_a_quantised_result_is_compared_beside_the_float_one(case: Case) -> None:
    case.says(made=INT8)
    found = case.run(mode="int8", targets=("litert", "tflite-runtime"))
    assert set(found["runtimes"]) <= {"litert", "tflite-runtime"}
    assert {run["top1"] for run in found["runtimes"].values()} == {1}
    assert found["edgetpu"] == []
    assert found["bytes_float32"] == len(FLOAT)
    assert any("9 photographs are few" in note for note in case.notes)


@pytest.mark.parametrize(
    ("mode", "made", "told", "said"),
    [
        ("int8", FLOAT, {}, "gave a float32 model and not an int8 one"),
        ("int8", INT8, {"low": -1.0, "high": 2.0}, "but pixels become -1 to 2"),
        ("int8", INT8, {"origin": "assumed"}, "nothing tells which values"),
        ("none", None, {"graph": "0..255"}, "wants 0..255 and not -1..1"),
        ("none", None, {"classes": 4}, "3 labels do not fit the 4 classes"),
    ],
)
def test_a_wrong_result_is_refused_and_leaves_no_file(
    case: Case, mode: str, made: bytes | None, told: dict[str, Any], said: str
) -> None:
    case.says(made=made, **told)
    with pytest.raises((Refused, ModelError), match=said):
        case.run(mode=mode, labels=case.folder / "labels.txt")
    assert case.left == []


def test_a_result_that_disagrees_is_refused_and_leaves_no_file(case: Case) -> None:
    case.says(by=build((1, 8, 8, 3), (1, 2), gain=-1.0))  # the weakest colour
    with pytest.raises(Refused, match=r"in litert .* agrees with its source on 0.0 % of 9 photographs"):
        case.run()
    assert case.left == []
    case.says(by=build((1, 8, 8, 3), (1, 2), gain=-1.0))
    case.run(least=0.0)
    assert case.left == ["m.tflite", "m.tflite.json"]


def test_what_tensorflow_reports_ends_the_conversion(case: Case) -> None:
    case.said = [{"error": "m.pb: name its output with --outputs"}]
    with pytest.raises(ModelError, match="name its output"):
        case.run()
    case.said, case.fails = [], "its process was killed (SIGKILL), perhaps for lack of memory"
    with pytest.raises(Refused, match="TensorFlow did not convert it: its process was killed"):
        case.run()
    case.fails = ""
    with pytest.raises(Refused, match="ended without a result"):
        case.run()
    assert case.left == []


def test_what_tensorflow_printed_is_in_a_file_that_the_message_names(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "logs").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "logs"))
    case.says()
    case.printed = b"W0000 pages and pages\n"
    case.run()
    assert list((tmp_path / "logs").iterdir()) == []
    case.said, case.fails = [], "its process ended with status 1"
    with pytest.raises(Refused, match="what TensorFlow printed is in ") as refused:
        case.run()
    (log,) = (tmp_path / "logs").iterdir()
    assert str(refused.value).endswith(str(log))
    assert (log.read_bytes(), log.stat().st_mode & 0o777) == (case.printed, 0o600)


def test_a_core_ml_package_is_written_beside_a_float_model_that_was_run(case: Case) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("Manifest.json", "{}")
        archive.writestr("Data/weights.bin", "x")
    case.says()
    package = {"part": "package", "data": base64.b64encode(file.getvalue()).decode()}
    case.said[-1:-1] = [package, {"core_ml": {"coremltools": "9.0", "takes": "picture", "weights": 3}}]
    out = case.folder / "out" / "m.mlpackage"
    found = case.run(out=out)
    assert case.left == ["m.mlpackage", "m.mlpackage.json"]
    assert (out / "Data" / "weights.bin").read_text() == "x"
    assert found["runtimes"]["litert"]["top1"] == 1
    assert found["core_ml"]["weights"] == 3
    with pytest.raises(Refused, match="it exists already"):
        case.run(out=out)
    out = case.folder / "out" / "n.mlpackage"
    with pytest.raises(Refused, match="--quantize none or float16, not int8"):
        case.run(out=out, mode="int8")
    case.said[-3]["data"] = base64.b64encode(b"no archive").decode()
    with pytest.raises(Refused, match="cannot be written"):
        case.run(out=out)
    assert case.left == ["m.mlpackage", "m.mlpackage.json"]


def test_layers_are_shown_worst_first(case: Case) -> None:
    case.says(made=INT8)
    case.said.insert(-1, {"layers": [["CONV_2D a;b", 3.5], ["MEAN b", 0.3]]})
    assert case.run(mode="int8", layers=True)["worst_layers"] == [["CONV_2D a;b", 3.5], ["MEAN b", 0.3]]
    assert "layer CONV_2D a: off by 3.5 steps of its scale" in case.notes
    with pytest.raises(Refused, match="--layers goes with --quantize int8 or uint8"):
        case.run(layers=True)


def test_whole_numbers_need_photographs(case: Case) -> None:
    with pytest.raises(Refused, match="--quantize int8 needs --images"):
        case.run(mode="int8", images=None)
    (case.folder / "nothing").mkdir()
    with pytest.raises(Refused, match="no photograph is in it"):
        case.run(mode="int8", images=case.folder / "nothing")
    with pytest.raises(Refused, match="there is no such folder"):
        case.run(mode="int8", images=case.folder / "nowhere")


def test_a_model_that_no_runtime_takes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(40))
    with pytest.raises(Refused, match=r"litert: .*truncated or damaged"):
        trial.run(tmp_path / "m.tflite", "litert", [], {})


def test_a_tflite_file_gets_labels_and_values_without_tensorflow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the real process, which reads the file and runs it."""
    (tmp_path / "m.tflite").write_bytes(FLOAT)
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\n")
    out = tmp_path / "out.tflite"
    words = ["convert", str(tmp_path / "m.tflite"), "-o", str(out), "--normalize", "-1..1"]
    assert main([*words, "--labels", str(tmp_path / "labels.txt"), "--target", "litert"]) == 0
    printed = capsys.readouterr()
    assert "agrees on 100.0 % of 3 photographs" in printed.out
    assert "TensorFlow" not in printed.out
    found = tflite_file.read(out)
    assert found.labels is not None
    assert found.labels.names == ("red", "green", "blue")
    assert found.normalization == PRESETS["-1..1"]
    assert main([*words, "--quantize", "dynamic"]) == 64
    (tmp_path / "m.tflite").write_bytes(INT8)
    assert main(words) == 69
    assert "it is quantised already (int8)" in capsys.readouterr().err


def test_without_tensorflow_the_command_that_installs_it_is_told(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(Refused, match=r"pip install 'edged\[convert\]'"):
        case.run()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("m.pb", 64, "-o"),
        ("m.pb -o x --quantize int4", 64, "invalid choice"),
        ("m.pb -o x --shape 1,a", 64, "such as 1,224,224,3"),
        ("m.pb -o x --target coral", 64, "litert, tflite-runtime"),
        ("m.pb -o x --min-agreement 2", 64, "a number from 0 to 1"),
        (f"{__file__} -o x --layers", 65, "is not a model that TensorFlow saved"),
        ("/nowhere/m.pb -o x", 66, "there is no such file"),
    ],
)
def test_the_words_of_the_command(
    words: str, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["convert", *words.split()])
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code == status
    assert said in capsys.readouterr().err
