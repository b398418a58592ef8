from __future__ import annotations

from edged.worker.hold import Hold, Pause


def test_each_change_is_told_once_and_only_a_gate_that_closes_pauses() -> None:
    told: list[str | Pause] = []
    hold = Hold(told.append, told.append)
    for by in ("", "", "not armed", "not armed", "lux is not known", ""):
        hold.tell(by)
    assert told == ["", "not armed", Pause(), "lux is not known", Pause(), ""]


def test_after_the_source_was_away_the_same_is_news() -> None:
    told: list[str | Pause] = []
    hold = Hold(told.append, lambda _pause: None)
    hold.tell("not armed")
    hold.forget()
    assert hold.told is None
    hold.tell("not armed")
    assert told == ["not armed", "not armed"]
