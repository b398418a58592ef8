from __future__ import annotations

from edged.worker.gate_news import GateNews, Pause


def test_each_change_is_told_once_and_only_a_gate_that_closes_pauses() -> None:
    told: list[str | Pause] = []
    gate_news = GateNews(told.append, told.append)
    for by in ("", "", "not armed", "not armed", "lux is unknown", ""):
        gate_news.tell(by)
    assert told == ["", "not armed", Pause(), "lux is unknown", Pause(), ""]


def test_after_the_source_was_away_the_same_is_news() -> None:
    told: list[str | Pause] = []
    gate_news = GateNews(told.append, lambda _pause: None)
    gate_news.tell("not armed")
    gate_news.forget()
    assert gate_news.told is None
    gate_news.tell("not armed")
    assert told == ["not armed", "not armed"]
