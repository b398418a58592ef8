"""The thread that connects: its patience, renewed files, floods and defects, without a network."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from paho.mqtt.client import MQTTMessage

from edged.errors import ConfigError, Problem
from edged.sinks.mqtt.connection import MOST_UNREAD, STUCK_S, Connection
from edged.sinks.mqtt.settings import Settings
from edged.sinks.mqtt.state import State, Why

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edged.sinks.mqtt.session import Message, Session


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def up(self, session: Session) -> None:
        self.heard.append(session)

    def down(self, why: Why) -> None:
        self.heard.append(why)

    def acked(self, mid: int, code: int, name: str) -> None:
        self.heard.append((mid, code, name))

    def received(self, message: Message) -> None:
        self.heard.append(message)

    def unsubscribed(self, count: int) -> None:
        self.heard.append(count)

    def tick(self) -> None:
        self.heard.append("tick")


class Bench:
    """A link whose calls to the main thread wait until they are made by hand."""

    def __init__(self, **changes: Any) -> None:
        self.listener = Listener()
        self.calls: list[Callable[[], None]] = []
        self.connection = Connection(
            Settings(
                **({"host": "broker.invalid", "port": 1, "client_id": "n", "mqtt5": True} | changes),
                keepalive_s=20,
                will_topic="edged/n/status",
            ),
            self.listener,
            self.calls.append,
            uniform=lambda _low, high: high,
        )

    def hear(self) -> list[object]:
        for call in self.calls:
            call()
        self.calls.clear()
        return self.listener.heard


@pytest.mark.parametrize(
    ("state", "pauses"),
    [
        (State.AUTH, [3, 5, 9, 17, 33, 60, 60]),
        (State.CERTIFICATE, [3, 5, 9, 17, 33, 60, 60]),
        (State.REFUSED, [3, 5, 5, 5, 5, 5, 5]),
        (State.NAME, [3, 5, 5, 5, 5, 5, 5]),
        (State.TIMEOUT, [3, 5, 5, 5, 5, 5, 5]),
    ],
)
def test_a_broker_that_is_away_is_asked_often_one_that_refuses_us_seldom(
    state: State, pauses: list[int]
) -> None:
    connection = Bench().connection
    assert [connection._pause_s(Why(state, ""), failures) for failures in range(1, 8)] == pauses
    assert connection._pause_s(Why(state, ""), 10**6) == pauses[-1]


def test_a_renewed_file_ends_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.sinks.mqtt.connection.TURN_S", 0.01)
    file = tmp_path / "password"
    now = itertools.count()
    monkeypatch.setattr("edged.system.clock.monotonic", lambda: next(now) * 0.1)
    connection = Bench(files=(file,)).connection
    for change in (lambda: file.write_text("a"), lambda: file.write_text("bc"), file.unlink):
        change()
        began = next(now)
        connection._rest(9)
        assert next(now) - began < 50
        connection._renewal.mark()
    began = next(now)
    connection._rest(9)
    assert next(now) - began >= 90


def test_the_password_is_read_for_each_attempt_and_may_be_away() -> None:
    read: list[str] = []

    def password() -> str:
        read.append("")
        raise ConfigError([Problem("/etc/edged/password", "there is no such file")])

    connection = Bench(username="n", password=password).connection
    for _ in range(2):
        why, lived_s = connection._connection()
        assert (why.state, lived_s) == (State.AUTH, 0)
        assert "/etc/edged/password: there is no such file" in why.detail
    assert len(read) == 2


def test_a_flood_of_messages_is_bounded_and_counted() -> None:
    bench = Bench()
    for _ in range(MOST_UNREAD + 500):
        bench.connection._on_message(None, None, MQTTMessage(topic=b"edged/n/cmd/x"))  # type: ignore[arg-type]  # unused
    assert len(bench.calls) == MOST_UNREAD + 1
    assert bench.connection.overflowed == 499
    bench.hear()
    bench.connection._on_message(None, None, MQTTMessage(topic=b"edged/n/cmd/x"))  # type: ignore[arg-type]  # unused
    assert len(bench.calls) == 1


def test_a_defect_in_a_callback_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    guarded = Bench().connection._guarded(broken)
    for _ in range(1000):
        guarded()
    assert len(caplog.records) == 1
    assert "ZeroDivisionError" in caplog.text


def test_what_a_link_that_was_given_up_still_says_is_not_heard() -> None:
    bench = Bench()
    bench.connection._on_publish(None, None, 1, _Code(), None)  # type: ignore[arg-type]  # unused
    bench.connection.abandon()
    bench.connection._on_publish(None, None, 2, _Code(), None)  # type: ignore[arg-type]  # unused
    assert bench.hear() == []


class _Code:
    value = 0

    def getName(self) -> str:  # noqa: N802  paho's name
        return "Success"


# Ending the thread from inside is the point.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_or_is_stuck_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Bench().connection
    assert connection.fault() == "its thread has died"

    def die(_connection: Connection) -> None:
        raise SystemExit

    monkeypatch.setattr(Connection, "_connection", die)
    connection.start()
    connection._thread.join()
    assert connection.fault() == "its thread has died"

    monkeypatch.setattr(Connection, "_run", lambda connection: connection._stopping.wait())
    connection = Bench().connection
    connection.start()
    assert connection.fault() == ""
    connection._alive_at -= STUCK_S + 1
    assert connection.fault() == "its thread is stuck"
    assert connection.stop(5)
