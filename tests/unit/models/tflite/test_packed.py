"""What is appended to a .tflite file: archives with or without metadata that names them, and bare JSON."""

from __future__ import annotations

import io
import math
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from tflite_builder import Packed, build

from edged.errors import ModelError
from edged.models.tflite import metadata, packed
from edged.models.tflite.file import read

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = build()
NAMES = tuple("abcdefgh")
DESCRIBED = '{"task": "classify", "imgsz": [64, 64], "names": %s}'
NAMED = str({str(number): name for number, name in enumerate(NAMES)}).replace("'", '"')


def _zip(**files: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "."), text)
    return content.getvalue()


@pytest.mark.parametrize(
    "appended",
    [
        _zip(names__json=NAMED),
        _zip(metadata__json=DESCRIBED % NAMED),
        _zip(temp_meta__txt=str({"imgsz": [64, 64], "names": dict(enumerate(NAMES))})),
        _zip(readme__txt="x", labels__txt="\n".join(NAMES)),
        _zip(probability_labels_en__txt="\n".join(NAMES)),
        _zip(
            labelmap__pbtxt="\n".join(f'item {{ id: {n} name: "{name}" }}' for n, name in enumerate(NAMES, 1))
        ),
        (DESCRIBED % NAMED).encode(),
        b"\0\0" + NAMED.encode() + b"\n",
        b'["a", "b", "c", "d", "e", "f", "g", "h"]',
    ],
)
def test_names_that_no_metadata_mentions_are_found(tmp_path: Path, appended: bytes) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(PLAIN + appended)
    found = read(path).labels
    assert found is not None
    assert found.names == NAMES


@pytest.mark.parametrize(
    "appended",
    [
        b"",
        b"\0" * 40,
        b"{}",
        b"rubbish}",
        b'{"task": "detect"}',
        _zip(readme__txt="a\nb"),
        _zip(metadata__json="{}"),
        _zip(labels__txt='"a\nb'),
    ],
)
def test_what_names_no_classes_is_passed_over(tmp_path: Path, appended: bytes) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(PLAIN + appended)
    assert read(path).labels is None


def test_names_to_show_come_before_identifiers() -> None:
    archive = _zip(labels__txt="/m/1\n/m/2", labels_de__txt="dunkel\nhell", labels_en__txt="dark\nbright")
    assert packed.read(PLAIN + archive, len(PLAIN), ("labels_en.txt", "labels.txt"), "m").labels == (
        packed.read(PLAIN + _zip(x__labels__txt="dark\nbright"), len(PLAIN), (), "m").labels
    )


def test_an_exporter_that_trains_on_zero_to_one_is_recognised() -> None:
    described = packed.read(PLAIN + (DESCRIBED % NAMED).encode(), len(PLAIN), (), "m")
    assert described.zero_to_one
    assert not packed.read(PLAIN + NAMED.encode(), len(PLAIN), (), "m").zero_to_one


def test_metadata_without_label_files_names_none() -> None:
    assert metadata.Metadata().label_files == ()


def _labels(tmp_path: Path, **packed_: Any) -> tuple[str, ...]:
    path = tmp_path / "m.tflite"
    path.write_bytes(build(packed=Packed("\n".join(f"/m/{n}" for n in NAMES), **packed_)))
    found = read(path).labels
    assert found is not None
    return found.names


def test_the_english_names_are_shown(tmp_path: Path) -> None:
    german, english = "\n".join("ABCDEFGH"), "\n".join(NAMES)
    assert _labels(tmp_path, locales={"de": german, "en": english}) == NAMES
    assert _labels(tmp_path, locales={"en-GB": english}) == NAMES
    assert _labels(tmp_path, locales={"de": german})[0] == "/m/a"


def test_the_calibration_of_the_metadata_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    lines = "1,2,0.5\n\n0.9,3,-1,0.2\n" + "\n" * 4 + "1,1,1"
    packed_ = Packed("\n".join(NAMES), calibration=lines, transformation=2, default_score=0.25)
    path.write_bytes(build(packed=packed_))
    found = read(path).calibration
    assert found is not None
    assert (found.transformation, found.default) == ("inverse-logistic", 0.25)
    assert found.parameters[:3] == ((1.0, 2.0, 0.5, -math.inf), None, (0.9, 3.0, -1.0, 0.2))
    assert len(found.parameters) == 8


@pytest.mark.parametrize("lines", ["a,b,c", "1,2", "-1,2,3", "1,2,nan"])
def test_a_calibration_that_is_none_is_refused(tmp_path: Path, lines: str) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(build(packed=Packed("\n".join(NAMES), calibration=lines)))
    with pytest.raises(ModelError, match=r"calibration\.csv packed in it: line 1 is not scale"):
        read(path)
