"""What a consumer says on ``<prefix>/<node>/ack``: the sequence up to which it has every event."""

from __future__ import annotations

import json
from typing import NamedTuple, TypeGuard

MAX_BYTES = 256


class Confirmation(NamedTuple):
    """A sequence, and the epoch of the ids to which it belongs; None where it was not said."""

    sequence: int
    epoch: str | None


def parse(payload: bytes) -> Confirmation | None:
    """Read ``1042`` or ``{"epoch": "3f9c…", "sequence": 1042}``; None for anything else."""
    if len(payload) > MAX_BYTES:
        return None
    try:
        said: object = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return Confirmation(said, None) if _is_sequence(said) else None
    sequence, epoch = said.get("sequence"), said.get("epoch")
    return Confirmation(sequence, epoch) if _is_sequence(sequence) and isinstance(epoch, str) else None


def _is_sequence(value: object) -> TypeGuard[int]:
    return type(value) is int and value >= 0  # True is an int too
