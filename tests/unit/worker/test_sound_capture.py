"""The capture of sound behind a gate that silence closes."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any

import numpy as np

from edged.config.gating import GateSection
from edged.ipc.heartbeat import Heartbeat
from edged.sources import Window
from edged.worker import capture
from edged.worker.capture import Capture, Item
from edged.worker.gating import Pause, PipelineGate
from edged.worker.throughput import Throughput

if TYPE_CHECKING:
    import pytest

    from edged.sources import FeedSource

QUIET, LOUD = -60.0, -20.0


class Feed:
    """Gives windows with these levels, each half a second after the other."""

    begun = True

    def __init__(self, *levels: float | None) -> None:
        self.dropped: Counter[str] = Counter()
        self.waiting = deque(
            Window(np.zeros((4, 1), np.float32), 0.0, number=n, level_dbfs=level, ends_s=0.5 * n)
            for n, level in enumerate(levels)
        )

    def open(self) -> None:
        """Nothing."""

    def read(self, timeout_s: float) -> Window | None:
        del timeout_s
        return self.waiting.popleft() if self.waiting else None

    def idle(self, keep: int | None) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def heard(monkeypatch: pytest.MonkeyPatch, gate: dict[str, Any] | None, *levels: float | None) -> list[Any]:
    """Return what the capture hands on and reports: numbers of windows, a pause, what holds it."""
    monkeypatch.setattr(capture, "POLL_S", 0.0)
    seen: list[Any] = []
    feed: FeedSource = Feed(*levels)

    def deliver(item: Item | Pause | None) -> None:
        if isinstance(item, Item):
            seen.append((item.number, [reading.value for reading in item.readings]))
            listening.taken()
        else:
            seen.append("pause")

    listening = Capture(
        "ear",
        lambda: feed,
        lambda window: window.values,
        feed=True,
        patience_s=5.0,
        numbered=True,
        beat=Heartbeat.create().capture(0),
        deliver=deliver,
        report=seen.append,
        throughput=Throughput(),
        watch=None if gate is None else PipelineGate(GateSection.model_validate(gate), None, None),
        held=seen.append,
    )
    listening.begin(feed)
    for _ in range(3 * len(levels) + 3):
        listening.step(feed)
    return seen


def test_each_window_has_its_level(monkeypatch: pytest.MonkeyPatch) -> None:
    assert heard(monkeypatch, None, QUIET, LOUD, None) == ["", (0, [QUIET]), (1, [LOUD]), (2, [])]


def test_silence_is_told_once_and_costs_no_inference(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = {"above_dbfs": -40, "hold_s": 0}
    said = heard(monkeypatch, gate, QUIET, QUIET, LOUD, LOUD, QUIET, QUIET, LOUD)
    quiet = ["it is quiet", "pause"]
    assert said == ["", *quiet, "", (2, [LOUD]), (3, [LOUD]), *quiet, "", (6, [LOUD])]


def test_what_follows_loud_sound_passes_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = {"above_dbfs": -40, "hold_s": 1}
    said = heard(monkeypatch, gate, LOUD, *[QUIET] * 4)
    assert said == ["", (0, [LOUD]), (1, [QUIET]), (2, [QUIET]), "it is quiet", "pause"]


def test_what_has_no_level_is_never_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    assert heard(monkeypatch, {"above_dbfs": -40}, None, None) == ["", (0, []), (1, [])]
