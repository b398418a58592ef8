"""The options of the command line; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Options:
    """The options of the command line.

    Attributes:
        models: the .tflite files.
        labels: the label file for all of them; None: the labels packed in each.
        images: a folder with a folder of photographs per label; None: the bundled ones, and no accuracy.
        threads: the numbers of threads to measure; empty: the number that the daemon uses.
        runtime: ``auto``, ``litert``, ``tflite-runtime``, or ``all`` for every installed one.
        seconds: how long each measurement runs the model.
        json: the file for the results; ``-``: standard output.
        plot: the file for the chart.
        model_keys: further keys of ``model`` in a configuration, such as ``normalize``.
        delegate: a library through which to run the models too; empty: none.
        delegate_options: its options.
        thresholds: report what thresholds would do to the answers.
        budget_ms: choose the best model whose median latency is within this; None: choose none.
    """

    models: tuple[Path, ...]
    labels: Path | None = None
    images: Path | None = None
    threads: tuple[int, ...] = ()
    runtime: str = "auto"
    seconds: float = 3.0
    json: str | None = None
    plot: Path | None = None
    model_keys: Mapping[str, Any] = field(default_factory=dict)
    delegate: str = ""
    delegate_options: tuple[tuple[str, str], ...] = ()
    thresholds: bool = False
    budget_ms: float | None = None
