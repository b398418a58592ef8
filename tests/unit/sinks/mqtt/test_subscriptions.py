"""Subscriptions: at once, one by one where a topic is suspected, and again where they were refused."""

from __future__ import annotations

from typing import Any

from edged.sinks.mqtt.hangups import SUBSCRIPTION, SUSPECTED, HangUps, Sent
from edged.sinks.mqtt.subscriptions import AGAIN_S, Subscriptions
from unit.sinks.mqtt.doubles import Broker


def made(subscriptions: Subscriptions, broker: Any, now: float = 0.0, room: int = 9) -> list[str]:
    before = len(broker.topics)
    left = iter([True] * room)
    subscriptions.make(broker, lambda: next(left, False), now)
    return list(broker.topics[before:])


def test_all_at_once() -> None:
    subscriptions, broker = Subscriptions(HangUps()), Broker()
    subscriptions.want(["a", "b"])
    assert made(subscriptions, broker, room=1) == ["a", "b"]
    assert made(subscriptions, broker) == []
    assert subscriptions
    assert subscriptions.answered(-2, 0, 0.0) is not None
    assert not subscriptions


def test_one_by_one_and_without_those_that_are_left_out() -> None:
    hang_ups, broker = HangUps(), Broker()
    subscriptions = Subscriptions(hang_ups)
    for _ in range(SUSPECTED):
        hang_ups.ended([Sent("x"), Sent("y")])
    hang_ups.leave_out(f"{SUBSCRIPTION}b", 0.0)
    subscriptions.want(["a", "b", "c"])
    assert made(subscriptions, broker, room=1) == ["a"]
    assert made(subscriptions, broker, room=1) == ["c"]


def test_refused_ones_are_made_again() -> None:
    subscriptions, broker = Subscriptions(HangUps()), Broker()
    subscriptions.want(["a", "b"])
    made(subscriptions, broker)
    subscriptions.answered(-2, 1, 5.0)
    assert subscriptions.wake_at == 5.0 + AGAIN_S
    assert made(subscriptions, broker, now=5.0 + AGAIN_S - 1) == []
    assert made(subscriptions, broker, now=5.0 + AGAIN_S) == ["a", "b"]
    assert subscriptions.wake_at is None
    subscriptions.clear()
    assert not subscriptions
