"""The main thread's side of MQTT over a session that answers when told to: window, replay, refusals."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.config.outputs import Mqtt
from edged.sinks.mqtt.session import Message
from edged.sinks.mqtt.sink import MqttSink
from edged.sinks.mqtt.state import State, Why
from edged.spool.memory import MemorySpool
from unit.sinks.events import event
from unit.sinks.mqtt.doubles import Broker, Link

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NO_PUBACK = Why(State.LOST, "gone")


class Node:
    """A sink with its spool, on a main thread without an event loop."""

    def __init__(self, **changes: Any) -> None:
        self.switched: list[tuple[str, bool]] = []
        self.commands: list[tuple[str, bytes]] = []
        self.calls: list[Callable[[], None]] = []
        self.links: list[Link] = []
        self.spool = MemorySpool("n", max_mb=1, max_age_h=1, epoch="e")
        self.sink = MqttSink(
            Mqtt(host="broker.test"),
            **({
                "node": "n",
                "spool": self.spool,
                "call_soon": self.calls.append,
                "on_switch": lambda name, on: self.switched.append((name, on)),
                "on_command": self._command,
                "connect": self._link,
            } | changes),
        )  # fmt: skip

    def _link(self, *arguments: Any) -> Link:
        self.links.append(Link(*arguments))
        return self.links[-1]

    @property
    def link(self) -> Link:
        return self.links[-1]

    def _command(self, verb: str, payload: bytes) -> bytes:
        self.commands.append((verb, payload))
        return b"ok"

    def connect(self, broker: Broker) -> Broker:
        self.sink.up(broker)  # type: ignore[arg-type]  # it behaves like one
        return broker

    def happen(self, count: int = 1) -> None:
        for _ in range(count):
            self.spool.accept(event())
            self.sink.drain()

    def answer(self, broker: Broker, code: int = 0, count: int = 1000) -> None:
        while broker.unanswered and count:
            self.sink.acked(broker.unanswered.popleft(), code, "a name")
            count -= 1

    def hear(self, topic: str, payload: bytes, **more: Any) -> None:
        self.sink.received(Message(topic, payload, **({"retained": False} | more)))


def test_an_event_goes_out_at_once_and_is_gone_with_its_puback() -> None:
    node = Node()
    broker = node.connect(Broker())
    node.happen()
    topic, payload, retain = broker.received[-1]
    assert (topic, retain) == ("edged/n/p/event", False)
    assert json.loads(payload)["replayed"] is False
    assert node.spool.counts().acknowledged == 0
    node.answer(broker)
    assert node.spool.counts().acknowledged == 1


def test_the_window_holds_and_the_order_too() -> None:
    node = Node()
    broker = node.connect(Broker())
    node.happen(100)  # Broker.publish asserts the window
    assert len(broker.unanswered) == 20
    node.answer(broker)
    assert [int(e["id"].split("/")[2]) for e in broker.events()] == list(range(1, 101))
    assert node.spool.counts().acknowledged == 100


def test_what_waited_and_what_was_in_flight_is_replayed() -> None:
    node = Node()
    node.happen(2)
    first = node.connect(Broker())
    assert [e["replayed"] for e in first.events()] == [True, True]
    node.happen()
    assert first.events()[-1]["replayed"] is False
    node.sink.down(NO_PUBACK)
    node.happen()
    second = node.connect(Broker())
    node.happen()
    assert [int(e["id"].split("/")[2]) for e in second.events()] == [1, 2, 3, 4, 5]
    assert [e["replayed"] for e in second.events()] == [True] * 4 + [False]
    node.answer(first)  # what a dead connection still says means nothing
    node.answer(second)
    assert node.spool.counts().balanced
    assert node.spool.counts().queued == 0


def test_retained_values_are_sent_again_in_full_and_only_the_latest() -> None:
    node = Node()
    for number in range(5):
        node.sink.retain("p/state", str(number))
    node.sink.retain("health", "{}")
    for _ in range(2):
        broker = node.connect(Broker())
        assert broker.received == [
            ("edged/n/status", b"online", True),
            ("edged/n/p/state", b"4", True),
            ("edged/n/health", b"{}", True),
        ]
        node.sink.retain("p/state", "4")  # nothing new
        assert len(broker.received) == 3
        node.sink.down(NO_PUBACK)


def test_events_do_not_wait_behind_subscriptions() -> None:
    broker = Broker()
    before: list[int] = []
    subscribe = broker.subscribe

    def subscribed(topics: Sequence[str]) -> int:
        before.append(len(broker.events()))
        return subscribe(topics)

    broker.subscribe = subscribed  # type: ignore[method-assign]  # it counts first
    node = Node()
    node.happen(50)
    node.connect(broker)
    assert broker.received[0] == ("edged/n/status", b"online", True)
    assert before == [19]  # the window is full; a subscription has no place in it
    node.answer(broker)
    assert len(broker.events()) == 50


def test_many_retained_values_keep_to_the_window_of_the_broker() -> None:
    node = Node()
    for number in range(50):
        node.sink.retain(f"p{number}/state", "x")
    broker = node.connect(Broker(window=3))
    node.happen(10)
    node.answer(broker)
    assert len(broker.received) == 51 + 10


def test_a_refused_event_is_kept_and_offered_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("edged.system.clock.monotonic", lambda: now[0])
    node = Node()
    broker = node.connect(Broker())
    node.answer(broker)
    node.happen(2)
    node.answer(broker, code=0x87)
    assert len(broker.events()) == 2
    now[0] += 6
    node.sink.tick()
    assert [int(e["id"].split("/")[2]) for e in broker.events()] == [1, 2, 1, 2]
    node.answer(broker)
    assert node.spool.counts().acknowledged == 2
    assert node.sink.counts["refused"] == 2


@pytest.mark.parametrize("code", [0x90, 0x95, 0x99])
def test_what_no_retry_helps_is_dropped_and_counted(code: int) -> None:
    node = Node()
    broker = node.connect(Broker())
    node.answer(broker)
    node.happen()
    node.answer(broker, code)
    assert node.spool.counts().dropped == {"refused": 1}


def test_what_is_larger_than_the_broker_takes_does_not_block_the_rest() -> None:
    node = Node()
    broker = node.connect(Broker(largest=100))
    node.happen(3)
    assert broker.events() == []
    assert node.spool.counts().dropped == {"refused": 3}


def test_acknowledgements_that_stop_end_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("edged.system.clock.monotonic", lambda: now[0])
    node = Node()
    node.connect(Broker())
    node.happen()
    assert node.link.wake == 1015.0
    now[0] += 15
    node.sink.tick()
    assert node.link.aborted == ["acknowledgements stopped"]


def test_switches_and_commands() -> None:
    node = Node()
    broker = node.connect(Broker())
    assert broker.topics == ["edged/n/+/enabled/set", "edged/n/cmd/+"]
    node.hear("edged/n/porch/enabled/set", b"OFF")
    node.hear("edged/n/porch/enabled/set", b"ON")
    assert node.switched == [("porch", False), ("porch", True)]
    node.hear("edged/n/cmd/restart", b"{}", response_topic="edged/n/answers/7", correlation=b"7")
    node.hear("edged/n/cmd/restart", b"")
    assert node.commands == [("restart", b"{}"), ("restart", b"")]
    assert broker.received[-2:] == [
        ("edged/n/answers/7", b"ok", False),
        ("edged/n/cmd/restart/result", b"ok", False),
    ]


@pytest.mark.parametrize(
    ("topic", "payload", "more"),
    [
        ("edged/n/porch/enabled/set", b"on", {}),
        ("edged/n/porch/enabled/set", b"", {}),
        ("edged/n/porch/enabled/set", b"\xff\x00", {}),
        ("edged/n/porch/enabled/set", b"ON", {"retained": True}),
        ("edged/n/Porch!/enabled/set", b"ON", {}),
        ("edged/n/cmd/restart", b"", {"retained": True}),
        ("edged/n/cmd/RESTART", b"", {}),
        ("edged/n/cmd/restart", b"x" * 8193, {}),
        ("somewhere/else", b"ON", {}),
    ],
)
def test_what_is_not_a_command_is_ignored_and_counted(
    topic: str, payload: bytes, more: dict[str, Any]
) -> None:
    node = Node()
    node.connect(Broker())
    node.hear(topic, payload, **more)
    assert (node.switched, node.commands, node.sink.counts["ignored"]) == ([], [], 1)


@pytest.mark.parametrize("bad", ["", "$SYS/x", "a/#", "a/+", "a\0b"])
def test_an_answer_goes_to_no_impossible_topic(bad: str) -> None:
    node = Node()
    broker = node.connect(Broker())
    node.hear("edged/n/cmd/restart", b"", response_topic=bad)
    assert broker.received[-1][0] == "edged/n/cmd/restart/result"


def test_a_command_that_arrives_as_the_connection_ends_is_carried_out_without_an_answer() -> None:
    node = Node()
    broker = node.connect(Broker())
    node.sink.down(NO_PUBACK)
    before = list(broker.received)
    node.hear("edged/n/cmd/restart", b"")
    assert node.commands == [("restart", b"")]
    assert broker.received == before


def test_results_are_dropped_without_a_connection() -> None:
    node = Node()
    node.sink.result("p", b"{}")
    broker = node.connect(Broker())
    node.sink.result("p", b"{}")
    assert broker.received[-1] == ("edged/n/p/result", b"{}", False)
    assert (node.sink.counts["results"], node.sink.counts["results_dropped"]) == (1, 1)


def test_a_reading_is_not_a_line_where_it_has_a_topic() -> None:
    node = Node()
    broker = node.connect(Broker())
    before = list(broker.received)
    node.sink.reading(b"{}")
    assert broker.received == before


def test_one_line_for_each_change_of_state(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edged")
    node = Node()
    for _ in range(5):
        node.sink.down(Why(State.REFUSED, "nothing listens there"))
    node.connect(Broker())
    node.sink.down(NO_PUBACK)
    assert [record.getMessage() for record in caplog.records] == [
        "broker broker.test:1883: connection refused: nothing listens there; trying again",
        "broker broker.test:1883: connected",
        "broker broker.test:1883: connection lost: gone; trying again",
    ]


def test_a_handler_with_a_defect_does_not_stop_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_name: str, _on: bool) -> None:
        raise ZeroDivisionError

    node = Node(on_switch=broken)
    node.connect(Broker())
    node.link.post(lambda: node.hear("edged/n/porch/enabled/set", b"ON"))
    node.link.post(lambda: node.hear("edged/n/cmd/go", b""))
    assert len(node.calls) == 1  # one wake-up for both
    node.calls[0]()
    assert node.commands == [("go", b"")]
    assert "ZeroDivisionError" in caplog.text


def test_a_discovery_with_a_defect_does_not_hold_up_events(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        subscriptions = ("homeassistant/status",)
        wake_at = None

        def connected(self, now: float) -> None:
            pass

        def poll(self, _now: float) -> list[tuple[str, bytes]]:
            raise ZeroDivisionError

    node = Node(discovery=Broken())
    broker = node.connect(Broker())
    node.happen(5)
    assert len(broker.events()) == 5
    assert len(caplog.records) == 1


def test_what_the_broker_is_told_of_a_row_is_how_long_it_still_lives() -> None:
    node = Node()
    broker = node.connect(Broker())
    node.happen()
    assert broker.expiries[0] is None  # retained values live on
    left_s = broker.expiries[-1]
    assert left_s is not None
    assert 3590 < left_s <= 3600


def test_a_consumer_is_heard_on_its_topic() -> None:
    node = Node(confirm=True)
    broker = node.connect(Broker())
    assert "edged/n/ack" in broker.topics
    node.happen(3)
    node.answer(broker)
    node.hear("edged/n/ack", b"2")
    node.hear("edged/n/ack", b"what?")
    assert node.spool.counts().queued == 1
    assert (node.sink.counts["confirmed"], node.sink.counts["ignored"]) == (1, 1)
    assert "edged/n/ack" not in Node().connect(Broker()).topics


@pytest.mark.parametrize(("answers", "waits"), [(True, 0), (False, 1)])
def test_only_a_broker_that_hears_the_goodbye_surely_has_what_it_acknowledged_last(
    answers: bool, waits: int
) -> None:
    node = Node()
    broker = node.connect(Broker())
    node.happen()
    node.answer(broker)
    assert node.spool.counts().queued == 0
    if answers:
        broker.on_publish = lambda mid: node.link.post(lambda: node.sink.acked(mid, 0, "success"))
    node.sink.close(0.5)
    assert ("edged/n/status", b"offline", True) in broker.received
    assert node.spool.counts().queued == waits


def test_an_event_loop_that_is_gone_is_no_error_in_the_thread() -> None:
    asked: list[object] = []

    def closed(call: Callable[[], None]) -> None:
        asked.append(call)
        raise RuntimeError("Event loop is closed")

    link = Node(call_soon=closed).link
    for _ in range(2):
        link.post(lambda: None)
    assert len(asked) == 2  # each one tries again to have the inbox emptied


@given(st.lists(st.sampled_from(["happen", "ack", "refuse", "up", "down", "retain"]), max_size=60))
def test_whatever_happens_every_event_is_accounted_for_and_arrives(steps: list[str]) -> None:
    node, broker, arrived = Node(), None, set()
    for number, step in enumerate([*steps, "down", "up"]):
        if step == "happen":
            node.happen(7)
        elif step == "retain":
            node.sink.retain("x", str(number))
        elif step == "up" and broker is None:
            broker = node.connect(Broker())
        elif step == "down" and broker is not None:
            node.sink.down(NO_PUBACK)
            arrived |= {e["id"] for e in broker.events()}
            broker = None
        elif step in ("ack", "refuse") and broker is not None:
            node.answer(broker, 0 if step == "ack" else 0x97, count=5)
        assert node.spool.counts().balanced
    assert broker is not None
    node.answer(broker)
    arrived |= {e["id"] for e in broker.events()}
    counts = node.spool.counts()
    assert (counts.queued, counts.acknowledged) == (0, counts.accepted)
    assert arrived == {f"n/e/{number + 1}" for number in range(counts.accepted)}
