from __future__ import annotations

import hashlib
import io
import os
import struct
import time
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tflite_builder import Kind, Packed, build

from edged.errors import ModelError
from edged.models.tflite import file, packed
from edged.models.tflite.file import ModelFile, read

if TYPE_CHECKING:
    from pathlib import Path

LABELS = "\n".join("abcdefgh")
PLAIN = build()
PACKED = build(packed=Packed(LABELS, (127.0,), (128.0,), zipfile.ZIP_DEFLATED))
shared_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def _written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "porch.tflite"
    path.write_bytes(content)
    return path


def _message(path: Path, sha256: str | None = None, *, edgetpu: bool = False) -> str:
    with pytest.raises(ModelError) as caught:
        read(path, sha256, edgetpu=edgetpu)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_reads_inputs_and_outputs(tmp_path: Path) -> None:
    content = build(picture=Kind("uint8", 0.25, 3), scores=Kind("uint8", 1 / 256))
    model = read(_written(tmp_path, content))
    assert model.content == content
    assert model.sha256 == hashlib.sha256(content).hexdigest()
    (picture,), (scores,) = model.inputs, model.outputs
    assert (picture.name, picture.shape, picture.dtype) == ("picture", (1, 8, 8, 3), "uint8")
    assert (picture.scale, picture.zero_point) == (0.25, 3)
    assert (scores.shape, scores.dtype, scores.scale) == ((1, 8), "uint8", 1 / 256)
    assert (model.labels, model.normalization, model.custom_ops) == (None, None, ())


@pytest.mark.parametrize(
    ("head", "step"), [("softmax", "softmax"), ("sigmoid", "sigmoid"), ("layer", "layer"), ("none", "")]
)
def test_recognises_the_operator_that_computes_the_scores(tmp_path: Path, head: str, step: str) -> None:
    assert read(_written(tmp_path, build(head=head))).last_step == step


def test_reads_the_metadata(tmp_path: Path) -> None:
    model = read(_written(tmp_path, PACKED))
    assert model.labels is not None
    assert model.labels.names == tuple("abcdefgh")
    assert model.normalization is not None
    assert (model.normalization.mean, model.normalization.std) == ((127.0,), (128.0,))


def test_an_impossible_normalisation_is_ignored(tmp_path: Path) -> None:
    for mean, std in [((1.0,), (0.0,)), ((float("nan"),), (1.0,)), ((), ()), ((1.0, 2.0), (1.0,))]:
        model = read(_written(tmp_path, build(packed=Packed(LABELS, mean, std))))
        assert model.normalization is None


def test_metadata_of_real_models(testdata: Path) -> None:
    model = read(testdata / "models" / "mobilenet_v2_1.0_224_quant.tflite")
    assert model.labels is not None
    assert len(model.labels.names) == 1001
    assert model.labels.names[:2] == ("background", "tench, Tinca tinca")
    assert model.normalization is not None
    assert model.normalization.mean == (127.5,)
    assert model.last_step == "softmax"


def test_every_truncated_file_is_refused(tmp_path: Path) -> None:
    archive = PACKED.index(b"PK\x03\x04")  # cut there, it is a whole model whose labels were never packed
    for content in (PLAIN, PACKED):
        for length in {*range(8, len(content))} - {*range(archive, archive + 4)}:
            assert "truncated" in _message(_written(tmp_path, content[:length]))
    assert "too short" in _message(_written(tmp_path, PLAIN[:6]))


def test_a_truncated_large_model_is_refused(testdata: Path, tmp_path: Path) -> None:
    content = (testdata / "models" / "mobilenet_v2_1.0_224_quant.tflite").read_bytes()
    for length in (len(content) - 1, len(content) - 4096, len(content) // 2, 1000):
        assert "truncated" in _message(_written(tmp_path, content[:length]))


@shared_folder
@given(flips=st.lists(st.tuples(st.integers(0, len(PACKED) - 1), st.integers(1, 255)), max_size=4))
def test_flipped_bytes_give_a_model_or_one_error_sentence(
    flips: list[tuple[int, int]], tmp_path: Path
) -> None:
    content = bytearray(PACKED)
    for at, flip in flips:
        content[at] ^= flip
    sentence = ""
    try:
        assert isinstance(read(_written(tmp_path, bytes(content))), ModelFile)
    except ModelError as error:
        sentence = str(error)
    assert "\n" not in sentence


@shared_folder
@given(rest=st.binary(max_size=400))
def test_random_bytes_give_one_error_sentence(rest: bytes, tmp_path: Path) -> None:
    for content in (rest, struct.pack("<I4s", 8, b"TFL3") + rest):
        with pytest.raises(ModelError):
            read(_written(tmp_path, content))


def test_a_crafted_tree_of_parts_is_bounded(tmp_path: Path) -> None:
    """Vectors whose every entry is one and the same table, as deep as the schema goes."""
    many = 200_000
    table = 64  # Model, SubGraph and Tensor at once: every field is a vector of references to it
    head = bytearray(128)
    struct.pack_into("<I4s", head, 0, table, b"TFL3")
    struct.pack_into("<HH4H", head, 16, 12, 20, 4, 8, 12, 16)
    struct.pack_into("<i", head, table, table - 16)
    for slot in range(4):
        struct.pack_into("<I", head, table + 4 + 4 * slot, 128 - (table + 4 + 4 * slot))
    vector = struct.pack("<I", many) + b"".join(
        struct.pack("<I", 2**32 + table - (132 + 4 * i) & 0xFFFFFFFF) for i in range(many)
    )
    started = time.perf_counter()
    assert "truncated or damaged" in _message(_written(tmp_path, bytes(head) + vector))
    assert time.perf_counter() - started < 5


def test_the_checksum_is_compared(tmp_path: Path) -> None:
    path = _written(tmp_path, PLAIN)
    digest = hashlib.sha256(PLAIN).hexdigest()
    assert read(path, digest.upper()).sha256 == digest
    message = _message(path, "0c9f0000" + 56 * "0")
    assert digest[:8] in message
    assert "0c9f0000" in message


def test_a_damaged_file_with_a_wrong_checksum_is_called_damaged(tmp_path: Path) -> None:
    message = _message(_written(tmp_path, PLAIN[:-9]), 64 * "0")
    assert "truncated" in message
    assert "00000000" in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"TFL", "too short"),
        (bytes(5000), "zeros"),
        (b"\n<!DOCTYPE html><html>", "web page"),
        (b"PK\x03\x04" + bytes(40), "zip"),
        (b"\x1f\x8b\x08" + bytes(40), "gzip"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "Keras"),
        (b"\x08\x07\x12\x07pytorch" + bytes(40), "ONNX"),
        (b"\x08\x01\x12\x80\x80", "too short"),
        (b"\x08\x01\x12\x80\x80\x01\x0a\x40saved", "SavedModel"),
        (b"\x0a\x2d\x0a\x05input\x12\x0bPlaceholder" + bytes(40), "frozen"),
        (b"\x18\x00\x00\x00TFL2" + bytes(40), "version"),
        (b"version https://git-lfs.github.com/spec/v1\n", "LFS"),
        (b"\xff\xd8\xff\xe0" + bytes(40), "photograph"),
        (b"background\ntench\ngoldfish\n", "text"),
        (bytes(range(1, 255)), "its format is unknown"),
    ],
)
def test_the_likely_format_of_another_file_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    assert said in _message(_written(tmp_path, content))


def test_a_path_that_is_not_a_file_is_refused(tmp_path: Path) -> None:
    assert "no such file" in _message(tmp_path / "absent.tflite")
    assert "folder" in _message(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    assert "a device or pipe, not a file" in _message(tmp_path / "fifo")
    with pytest.raises(ModelError, match="cannot be read"):
        read(tmp_path / "with\0nul")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = _written(tmp_path, PLAIN)
    os.truncate(path, file.MAX_BYTES + 1)
    assert "512" in _message(path)


def test_edge_tpu_and_cpu_are_not_mixed_up(testdata: Path) -> None:
    compiled = testdata / "models" / "mobilenet_v1_0.25_128_quant_edgetpu.tflite"
    assert "edgetpu_file" in _message(compiled)
    assert read(compiled, edgetpu=True).custom_ops == (file.EDGETPU_OP,)
    plain = testdata / "models" / "mobilenet_v1_0.25_128_quant.tflite"
    assert "not compiled" in _message(plain, edgetpu=True)


def test_an_unknown_operator_is_named(testdata: Path) -> None:
    assert "fake-op-double" in _message(testdata / "models" / "unresolved_custom_op.tflite")


def test_invalid_packed_labels_are_named(tmp_path: Path) -> None:
    bomb = build(packed=Packed("x" * 2_000_000, compression=zipfile.ZIP_DEFLATED))
    assert "labels.txt" in _message(_written(tmp_path, bomb))
    assert "control" in _message(_written(tmp_path, build(packed=Packed("a\x07\nb"))))


def test_a_missing_packed_label_file_is_not_an_error(tmp_path: Path) -> None:
    archive = PACKED.index(b"PK\x03\x04")
    assert read(_written(tmp_path, PACKED[:archive])).labels is None


def test_takes_milliseconds(testdata: Path) -> None:
    path = testdata / "models" / "mobilenet_v2_1.0_224_quant.tflite"
    best = 1.0
    for _ in range(3):
        started = time.perf_counter()
        read(path)
        best = min(best, time.perf_counter() - started)
    assert best < 0.2


def _archive(members: int) -> bytes:
    """Return a model with this many packed files besides its labels."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for number in range(members):
            archive.writestr(f"{number:06}", "")
        archive.writestr("labels.txt", LABELS)
    return PACKED[: PACKED.index(b"PK\x03\x04")] + content.getvalue()


def test_a_few_packed_files_are_read(tmp_path: Path) -> None:
    assert read(_written(tmp_path, _archive(packed.MAX_MEMBERS - 1))).labels is not None


def test_an_archive_of_many_files_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    crafted = bytearray(_archive(20_000))
    assert "damaged" in _message(_written(tmp_path, bytes(crafted)))
    end = crafted.rindex(b"PK\x05\x06")
    crafted[end + 8 : end + 12] = b"\x01\0\x01\0"  # it claims to have one member
    tracemalloc.start()
    assert "damaged" in _message(_written(tmp_path, bytes(crafted)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(crafted)  # the file itself a few times, and no object for each member


def test_an_end_record_of_zip64_is_refused(tmp_path: Path) -> None:
    crafted = _archive(1)
    end = crafted.rindex(b"PK\x05\x06")
    locator = b"PK\x06\x07" + bytes(16)
    assert "damaged" in _message(_written(tmp_path, crafted[:end] + locator + crafted[end:]))
