"""One step of a graph, as those who look for certain steps see it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operator:
    """One step: its builtin code, the numbers of its tensors, and a custom operator's name and options."""

    code: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    name: str = ""
    options: memoryview | bytes = b""
