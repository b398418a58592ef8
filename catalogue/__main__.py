"""Writes the catalogue of ``edged models`` from its two tables: ``python catalogue``.

``files.csv`` has what was measured: where each file lies (at one commit, so that it cannot change), its size
and checksum, inputs and outputs, and the runtimes that ran it. ``described.csv`` has what people wrote:
task, family, publisher, published accuracy. A file that has no SHA-256 yet has git's checksum of it.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "edged" / "models" / "catalogue.json"
VERSION = 1
SOURCES = {"hosted": "https://www.tensorflow.org/lite/guide/hosted_models"}
# Why a model cannot be used as it is, although it belongs into the list.
REASONS = {
    "smartreply": "it cannot be had: the archive that TensorFlow published is gone, and no package has it; "
    "model: {name: replies} comes with edged, edged teach NAME --text DIR makes one of your own sentences",
    "movie_review": "which number is which word is not in it; "
    "test_model_nl_classifier_with_regex_tokenizer is such a model that has its words",
    "person_detect": "no runtime loads it: 14 of its biases name a dimension that they do not have",
}


def rows() -> list[dict[str, Any]]:
    """Return the models, in the order of described.csv."""
    files = {row["name"]: row for row in _table("files.csv")}
    return [_row(described, files.get(described["name"])) for described in _table("described.csv")]


def _row(described: dict[str, str], file: dict[str, str] | None) -> dict[str, Any]:
    name = described["name"]
    row: dict[str, Any] = {
        "name": name,
        "task": described["task"],
        "family": described["family"],
        "publisher": described["publisher"],
        "about": described["about"],
        "labels": int(described["labels"] or 0),
        "top1": float(described["top1"]) if described["top1"] else None,
        "source": SOURCES[described["source"]] if described["source"] else "",
        "unusable": REASONS.get(name, ""),
    }
    if file is None:
        return row
    address = f"https://raw.githubusercontent.com/{file['repository']}/{file['commit']}/{file['path']}"
    return row | {
        "url": address,
        "licence": file["licence"],
        "bytes": int(file["bytes"] or 0),
        "sha256": file["sha256"],
        "git_blob": file["git_blob"],
        "input": file["input"],
        "output": file["output"],
        "runtimes": file["ran"].split("; ") if file["ran"] else [],
    }


def _table(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def text() -> str:
    """Return the catalogue as the file has it: one model a line."""
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows())
    return f'{{"version": {VERSION}, "models": [\n{lines}\n]}}\n'


if __name__ == "__main__":
    TARGET.write_text(text(), "utf-8")
    sys.exit(0)
