"""What goes out, built from its part of the configuration."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from edged.config import loader
from edged.daemon import outputs
from edged.errors import ConfigError
from edged.sinks.mqtt.sink import MqttSink
from edged.sinks.spooled import SpooledSink
from edged.spool.memory import MemorySpool
from unit.sinks.events import event
from unit.sinks.mqtt.doubles import Broker, Link

if TYPE_CHECKING:
    from pathlib import Path

    from edged.config.root import Config

PIPELINE = "pipelines: {porch: {source: {kind: synthetic}}}"
MQTT = "mqtt: {host: broker.lan, username: u, password_file: secret}"


def config(folder: Path, text: str = "") -> Config:
    return loader.loads(f"node: n\n{text}\n{PIPELINE}", "edged.yaml", folder)


def wired(config: Config, spool: MemorySpool | None = None, *, watched: bool = False) -> outputs.Outputs:
    async def build() -> outputs.Outputs:
        return outputs.wire(
            config,
            spool=spool or MemorySpool("n", max_mb=1, max_age_h=1),
            loop=asyncio.get_running_loop(),
            on_switch=lambda _name, _on: None,
            on_command=lambda _verb, _payload: b"{}",
            watched=watched,
        )

    return asyncio.run(build())


def test_without_a_broker_events_are_lines(tmp_path: Path) -> None:
    found = wired(config(tmp_path))
    assert isinstance(found.sink, SpooledSink)
    assert (found.copies, found.announcer) == ((), None)


@pytest.mark.parametrize(
    ("text", "watched", "expected"),
    [
        ("", True, r"\d\d:\d\d:\d\d  p          cat 0\.50  \(was unknown\)\n"),
        ("", False, r'\{"v":1,.*\n'),
        ('jsonl: {path: "-"}', True, r'\{"v":1,.*\n'),
    ],
)
def test_a_person_at_a_terminal_reads_sentences_unless_lines_are_configured(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str, watched: bool, expected: str
) -> None:
    spool = MemorySpool("n", max_mb=1, max_age_h=1)
    spool.accept(event())
    found = wired(config(tmp_path, text), spool, watched=watched)
    found.sink.open()
    assert re.fullmatch(expected, capfd.readouterr().out)


def test_with_a_broker_lines_are_a_copy(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    (tmp_path / "secret").chmod(0o600)
    found = wired(config(tmp_path, f"{MQTT}\njsonl: {{path: events.jsonl}}"))
    assert isinstance(found.sink, MqttSink)
    found.copies[0].send(b"{}")
    assert (tmp_path / "events.jsonl").read_text() == "{}\n"
    assert found.announcer is not None
    assert "hunter2" not in repr(found)


def test_every_sink_of_the_file_gets_a_copy_with_a_broker_and_without(tmp_path: Path) -> None:
    text = "sinks: {a: {kind: jsonl, path: a.jsonl}, b: {kind: jsonl, path: b.jsonl}}"
    for more in ("mqtt: {host: h}\njsonl: {path: c.jsonl}", "jsonl: {path: spooled.jsonl}"):
        found = wired(config(tmp_path, f"{text}\n{more}"))
        for copy in found.copies:
            copy.send(b"{}")
        found.close(0.1)
    written = {path.name: path.read_text() for path in tmp_path.glob("*.jsonl")}
    assert written == {"a.jsonl": "{}\n{}\n", "b.jsonl": "{}\n{}\n", "c.jsonl": "{}\n"}


def test_a_driver_that_fails_harms_nothing_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        works = False

        def send(self, _event: bytes) -> None:
            if not self.works:
                raise ZeroDivisionError

        def close(self) -> None:
            raise ZeroDivisionError

    caplog.set_level("INFO")
    sink = Broken()
    copy = outputs.Copy("archive", sink)
    for _ in range(3):
        copy.send(b"{}")
    sink.works = True
    copy.send(b"{}")
    copy.close()
    assert [record.getMessage() for record in caplog.records] == [
        "events are not copied to archive: a defect in its driver",
        "events are copied to archive again",
        "archive could not be closed",
    ]


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> list[Link]:
    """Give sinks a connection without a thread; returns those that were made."""
    made: list[Link] = []

    def connect(*arguments: Any) -> Link:
        made.append(Link(*arguments))
        return made[-1]

    monkeypatch.setattr("edged.sinks.mqtt.sink.Connection", connect)
    return made


def test_a_password_is_read_for_each_attempt(tmp_path: Path, links: list[Link]) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    wired(config(tmp_path, MQTT))
    password = links[0].settings.password
    assert password() == "hunter2"
    secret.write_text("hunter3\n")
    assert password() == "hunter3"
    secret.unlink()
    with pytest.raises(ConfigError, match="no such file"):
        password()


@pytest.mark.parametrize("ack", ["broker", "application"])
@pytest.mark.parametrize("ordering", ["relaxed", "strict"])
def test_how_events_are_delivered_is_the_spools_section(
    tmp_path: Path, links: list[Link], ordering: str, ack: str
) -> None:
    section = f"mqtt: {{host: h}}\nspool: {{ordering: {ordering}, ack: {ack}}}"
    spool = MemorySpool("n", max_mb=1, max_age_h=1)
    wired(config(tmp_path, section), spool)
    for _ in range(3):
        spool.accept(event())
    broker = Broker()
    links[0].listener.up(broker)  # type: ignore[arg-type]  # it behaves like a session
    assert len(broker.events()) == (1 if ordering == "strict" else 3)
    assert ("edged/n/ack" in broker.topics) == (ack == "application")


@pytest.mark.parametrize(
    ("more", "sentence"),
    [(MQTT, "there is no such file"), ("mqtt: {host: h, tls: {ca_file: ca.pem}}", "no such file")],
)
def test_a_file_that_cannot_be_used_is_an_error_of_the_configuration(
    tmp_path: Path, more: str, sentence: str
) -> None:
    def build() -> None:
        outputs.secret(config(tmp_path, more))
        wired(config(tmp_path, more))

    with pytest.raises(ConfigError, match="(?i)" + sentence):
        build()


@pytest.mark.parametrize(
    "text",
    [
        "mqtt: {host: other}",
        "mqtt: {host: broker.lan, username: u}",
        f"{MQTT}\nhomeassistant: {{discovery: false}}",
        f"{MQTT}\njsonl: {{}}",
        f"{MQTT}\nsinks: {{copy: {{kind: jsonl}}}}",
    ],
)
def test_what_concerns_it_is_known(tmp_path: Path, text: str) -> None:
    def needs(text: str, word: str = "hunter2") -> Any:
        (tmp_path / "secret").write_text(word)
        now = config(tmp_path, text)
        return outputs.needs(now, outputs.secret(now))

    assert needs(text) != needs(MQTT)
    assert needs(MQTT, "another") != needs(MQTT)
    assert needs(f"{MQTT}\nhealth: {{interval_s: 7}}") == needs(MQTT)
