"""What the command line says. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Attributes:
        models: the .tflite files.
        labels: the text file of labels for all of them; None: those that are packed in each.
        images: a folder with a folder of photographs for each label; None: the bundled ones, and no accuracy.
        threads: numbers of threads, of which each is measured; empty: as many as the daemon takes.
        runtime: ``auto``, ``litert``, ``tflite-runtime`` or ``all`` that are installed.
        seconds: how long each measurement runs the model.
        json: where the results go; ``-``: standard output.
        plot: where the picture goes.
    """

    models: tuple[Path, ...]
    labels: Path | None = None
    images: Path | None = None
    threads: tuple[int, ...] = ()
    runtime: str = "auto"
    seconds: float = 3.0
    json: str | None = None
    plot: Path | None = None
