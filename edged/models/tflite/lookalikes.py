"""Guesses the format of a file that is not a .tflite file, so that the error can say what to do."""

from __future__ import annotations

_STARTS = (
    (b"PK\x03\x04", "it looks like a zip archive: unpack it and take the .tflite inside"),
    (b"\x1f\x8b", "it looks like a gzip archive: unpack it and take the .tflite inside"),
    (b"\x89HDF", "it looks like a Keras model (HDF5): make a .tflite of it with edged convert"),
    (b"version https://git-lfs", "it is a Git LFS pointer: fetch the file itself with git lfs pull"),
    (b"RIFF", "it looks like a picture or a sound"),
    (b"\xff\xd8\xff", "it looks like a photograph"),
    (b"\x89PNG", "it looks like a picture"),
    (b"\x7fELF", "it looks like a program or a library"),
    (b"%PDF", "it looks like a PDF document"),
)
_CONVERT = "make a .tflite of it with edged convert"


def guess(content: bytes) -> str:
    """Return a clause that names the likely format and what to do."""
    head = content[:512]
    for start, answer in _STARTS:
        if head.startswith(start):
            return answer
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it looks like a web page: download the file itself"
    if len(content) < 8:
        return "it is too short"
    if not any(head):
        return "it contains only zeros, as after an interrupted copy: copy it again"
    if head[257:262] == b"ustar":
        return "it looks like a tar archive: unpack it and take the .tflite inside"
    return _guess_graph(head) or _guess_text(head) or "its format is unknown"


def _guess_graph(head: bytes) -> str | None:
    """Recognise protocol buffers, which have no signature, by their first field: a version or a node."""
    if head[4:7] == b"TFL":
        return f"it is TFLite version {head[7:8].decode('latin-1')!r}, but edged reads version 3"
    if head[0] == 8 and 3 <= head[1] <= 20 and head[2] in {0x12, 0x1A, 0x22, 0x2A, 0x32, 0x3A, 0x42}:
        return f"it looks like an ONNX model: {_CONVERT}"
    if head[0] == 8 and head[1] == 1 and head[2] == 0x12:
        return f"it looks like a TensorFlow SavedModel: {_CONVERT}"
    if head[0] == 0x0A and (b"Placeholder" in head or b"Const" in head):
        return f"it looks like a frozen TensorFlow graph: {_CONVERT}"
    return None


def _guess_text(head: bytes) -> str | None:
    printable = sum(32 <= byte < 127 or byte in b"\t\r\n" for byte in head)
    return "it looks like text" if printable > 0.95 * len(head) else None
