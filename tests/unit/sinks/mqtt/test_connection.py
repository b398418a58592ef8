"""The thread that connects: its pauses, renewed files, floods and defects, without a network."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from edged.errors import ConfigError, Problem
from edged.sinks.mqtt import connection
from edged.sinks.mqtt.connection import MOST_UNREAD, STUCK_S, Connection
from edged.sinks.mqtt.endpoints import Endpoint
from edged.sinks.mqtt.settings import Settings
from edged.sinks.mqtt.state import State, Why
from edged.system import clock
from unit.sinks.mqtt.doubles import Calls, Paho

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edged.sinks.mqtt.session import Message, Session

PATIENCE_S = 20.0


class Listener:
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def up(self, session: Session) -> None:
        self.heard.append(session)

    def down(self, why: Why) -> None:
        self.heard.append(why)

    def acked(self, mid: int, code: int, name: str) -> None:
        self.heard.append((mid, code, name))

    def received(self, message: Message) -> None:
        self.heard.append(message.topic)

    def subscribed(self, mid: int, refused: int) -> None:
        self.heard.append((mid, refused))

    def tick(self) -> None:
        self.heard.append("tick")

    def leave(self) -> None:
        self.heard.append("leave")


class Bench:
    """A connection whose calls to the main thread wait until they are made by hand."""

    def __init__(self, **changes: Any) -> None:
        self.listener = Listener()
        self.calls = Calls()
        self.pauses: list[float] = []
        self.connection = Connection(
            Settings(
                **({"addresses": [Endpoint("broker.invalid", 1)], "client_id": "n", "mqtt5": True} | changes),
                keepalive_s=20,
                will_topic="edged/n/status",
            ),
            self.listener,
            self.calls.put,
            jitter=self._jitter,
        )

    def _jitter(self, _shortest_s: float, longest_s: float) -> float:
        self.pauses.append(longest_s)
        return longest_s

    def next_failure(self) -> Why:
        """Wait for the end of the next connection, or attempt."""
        while not (self.listener.heard and isinstance(why := self.listener.heard[-1], Why)):
            self.calls.make_next(PATIENCE_S)
        self.listener.heard.clear()
        return why


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[Paho], object]], None]]:
    """Replace paho's client by one that does what a script says, and connects again at once."""
    monkeypatch.setattr("edged.sinks.mqtt.connection.Client", Paho)
    yield lambda script: monkeypatch.setattr(Paho, "script", staticmethod(script))
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("error", "state", "pauses"),
    [
        (ConfigError([Problem("password", "no such file")]), State.AUTH, [2, 4, 8, 16, 32, 60, 60]),
        (ConnectionRefusedError(), State.REFUSED, [2, 4, 5, 5, 5, 5, 5]),
        (TimeoutError(), State.TIMEOUT, [2, 4, 5, 5, 5, 5, 5]),
    ],
)
def test_a_broker_that_is_away_is_tried_often_and_one_that_refuses_the_login_seldom(
    monkeypatch: pytest.MonkeyPatch, error: Exception, state: State, pauses: list[float]
) -> None:
    for name in ("SHORTEST_S", "LONGEST_S", "PATIENT_S"):  # milliseconds in the place of seconds
        seconds = getattr(connection, name)
        monkeypatch.setattr(connection, name, seconds / 1000)

    def password() -> str:
        raise error

    bench = Bench(username="n", password=password)
    bench.connection.start()
    for _ in pauses:
        assert bench.next_failure().state is state
    assert bench.connection.stop(PATIENCE_S)
    assert bench.pauses[: len(pauses)] == pytest.approx([pause / 1000 for pause in pauses])


def test_a_renewed_file_ends_the_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.sinks.mqtt.connection.TURN_S", 0.01)
    monkeypatch.setattr("edged.sinks.mqtt.connection.SHORTEST_S", 3600.0)
    file = tmp_path / "password"

    def password() -> str:
        raise ConfigError([Problem(str(file), "there is no such file")])

    bench = Bench(username="n", password=password, files=(file,))
    bench.connection.start()
    assert bench.next_failure().state is State.AUTH
    for change in (lambda: file.write_text("a"), lambda: file.write_text("bc"), file.unlink):
        change()
        assert bench.next_failure().state is State.AUTH  # an hour early
    assert bench.connection.stop(PATIENCE_S)
    assert bench.calls.make_all() == 0  # and no attempt without a change


def test_the_password_is_read_for_each_attempt_and_may_be_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.sinks.mqtt.connection.SHORTEST_S", 0.001)
    monkeypatch.setattr("edged.sinks.mqtt.connection.PATIENT_S", 0.001)
    read: list[str] = []

    def password() -> str:
        read.append("")
        raise ConfigError([Problem("/etc/edged/password", "there is no such file")])

    bench = Bench(username="n", password=password)
    bench.connection.start()
    for _ in range(2):
        why = bench.next_failure()
        assert why.state is State.AUTH
        assert "/etc/edged/password: there is no such file" in why.detail
    bench.connection.stop(PATIENCE_S)
    assert len(read) >= 2


def test_a_flood_of_messages_is_bounded_and_counted(
    script: Callable[[Callable[[Paho], object]], None],
) -> None:
    counted = threading.Barrier(2, timeout=PATIENCE_S)

    def flood(client: Paho) -> None:
        for _ in range(MOST_UNREAD + 500):
            client.arrived()
        counted.wait()  # the main thread looks,
        counted.wait()  # and catches up
        client.arrived()

    script(flood)
    bench = Bench()
    bench.connection.start()
    counted.wait()
    assert bench.connection.overflowed == 499
    assert bench.calls.make_all() == MOST_UNREAD + 1
    counted.wait()
    bench.connection.stop(PATIENCE_S)
    bench.next_failure()
    assert bench.connection.overflowed == 499


def test_a_defect_in_a_callback_is_logged_once(
    script: Callable[[Callable[[Paho], object]], None], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(client: Paho) -> None:
        for _ in range(1000):
            client.on_message(client, None, None)  # no message at all

    script(broken)
    bench = Bench()
    bench.connection.start()
    bench.next_failure()
    bench.connection.stop(PATIENCE_S)
    assert len(caplog.records) == 1
    assert "AttributeError" in caplog.text


def test_a_connection_that_was_given_up_is_not_heard_any_more(
    script: Callable[[Callable[[Paho], object]], None],
) -> None:
    connected, given_up = threading.Event(), threading.Event()

    def answer(client: Paho) -> None:
        client.accepted()
        client.acknowledged(1)
        connected.set()
        given_up.wait(PATIENCE_S)
        client.acknowledged(2)

    script(answer)
    bench = Bench()
    bench.connection.start()
    connected.wait(PATIENCE_S)
    bench.connection.abandon()
    given_up.set()
    assert bench.connection.stop(PATIENCE_S)
    assert bench.calls.make_all() == 4  # up, two answers, down
    assert bench.listener.heard == []


def test_leaving_a_session_that_has_ended_says_nothing_of_the_next_one(
    script: Callable[[Callable[[Paho], object]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = threading.Event()
    clients: list[Paho] = []

    def accept(client: Paho) -> None:
        client.accepted()
        clients.append(client)
        if len(clients) == 2:
            left.wait(PATIENCE_S)

    script(accept)
    monkeypatch.setattr(connection, "SHORTEST_S", 0.01)
    bench = Bench(addresses=[Endpoint("a.invalid", 1), Endpoint("b.invalid", 1), Endpoint("c.invalid", 1)])
    bench.connection.start()
    for _ in range(3):
        bench.calls.make_next(PATIENCE_S)
    first, lost, second = bench.listener.heard
    assert isinstance(lost, Why)
    assert lost.state is State.LOST
    bench.connection.leave(first)  # type: ignore[arg-type]  # the first that was heard is a session
    left.set()
    bench.calls.make_next(PATIENCE_S)
    bench.connection.stop(PATIENCE_S)
    why = bench.listener.heard[3]
    assert second is not first
    assert isinstance(why, Why)
    assert (why.state, why.by_broker, why.where) == (State.LOST, False, "broker b.invalid:1")


# Ending the thread from inside is the point.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_is_a_fault(script: Callable[[Callable[[Paho], object]], None]) -> None:
    def die(_client: Paho) -> None:
        raise SystemExit

    script(die)
    bench = Bench()
    assert bench.connection.fault() == "its thread has died"
    bench.connection.start()
    assert bench.connection.stop(PATIENCE_S)
    assert bench.connection.fault() == "its thread has died"


def test_a_thread_that_is_stuck_is_a_fault(
    script: Callable[[Callable[[Paho], object]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()
    script(lambda _client: looked.wait(PATIENCE_S))
    bench = Bench()
    bench.connection.start()
    assert bench.connection.fault() == ""
    later = clock.monotonic() + STUCK_S + 1
    monkeypatch.setattr(clock, "monotonic", lambda: later)
    assert bench.connection.fault() == "its thread is stuck"
    looked.set()
    assert bench.connection.stop(PATIENCE_S)
