from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tflite_builder import Kind, build

from edged.errors import ModelError
from edged.models.taught import embedder
from edged.models.tflite.file import read

if TYPE_CHECKING:
    from pathlib import Path


def test_a_row_of_features_has_a_length_and_no_classes(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(build(picture=Kind("uint8", 0.25, 3), head="none"))
    found = embedder.spec(read(tmp_path / "m.tflite"), ("cat", "dog"))
    assert (embedder.features(found), found.classes, found.labels) == (8, 0, ("cat", "dog"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (build(axes=(3,), head="none"), "not one row"),
        (build(axes=(1, 2), head="none"), "not one row"),
        (build(outputs=2, head="none"), "2 outputs"),
    ],
    ids=["map", "few", "outputs"],
)
def test_anything_else_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "m.tflite").write_bytes(content)
    with pytest.raises(ModelError, match=why):
        embedder.spec(read(tmp_path / "m.tflite"))
