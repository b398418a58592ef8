"""Quantiles of measured times."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def share(ordered: Sequence[float], part: float) -> float:
    """Return the value below which this part of some sorted values lies: 0.5 is the median."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
