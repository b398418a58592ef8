"""What goes out, built from its part of the configuration."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from edged.config import loader
from edged.daemon import outputs
from edged.errors import ConfigError
from edged.sinks.json_lines import Lines
from edged.sinks.mqtt import MqttSink
from edged.spool.memory import MemorySpool

if TYPE_CHECKING:
    from pathlib import Path

    from edged.config.root import Config

PIPELINE = "pipelines: {porch: {source: {kind: synthetic}}}"
MQTT = "mqtt: {host: broker.lan, username: u, password_file: secret}"


def config(folder: Path, text: str = "") -> Config:
    return loader.loads(f"node: n\n{text}\n{PIPELINE}", "edged.yaml", folder)


def wired(config: Config) -> outputs.Outputs:
    async def build() -> outputs.Outputs:
        return outputs.wire(
            config,
            spool=MemorySpool("n", max_mb=1, max_age_h=1),
            loop=asyncio.get_running_loop(),
            on_switch=lambda _name, _on: None,
            on_command=lambda _verb, _payload: b"{}",
        )

    return asyncio.run(build())


def test_without_a_broker_events_are_lines(tmp_path: Path) -> None:
    found = wired(config(tmp_path))
    assert isinstance(found.sink, Lines)
    assert (found.copy, found.announcer) == (None, None)


def test_with_a_broker_lines_are_a_copy(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    (tmp_path / "secret").chmod(0o600)
    found = wired(config(tmp_path, f"{MQTT}\njsonl: {{path: events.jsonl}}"))
    assert isinstance(found.sink, MqttSink)
    assert found.copy is not None
    assert found.announcer is not None
    assert "hunter2" not in repr(found)


def test_a_password_is_read_for_each_attempt(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    sink = wired(config(tmp_path, MQTT)).sink
    assert isinstance(sink, MqttSink)
    assert sink._settings.password() == "hunter2"
    secret.write_text("hunter3\n")
    assert sink._settings.password() == "hunter3"
    secret.unlink()
    with pytest.raises(ConfigError, match="no such file"):
        sink._settings.password()


@pytest.mark.parametrize("ack", ["broker", "application"])
@pytest.mark.parametrize("ordering", ["relaxed", "strict"])
def test_how_events_are_delivered_is_the_spools_section(tmp_path: Path, ordering: str, ack: str) -> None:
    section = f"mqtt: {{host: h}}\nspool: {{ordering: {ordering}, ack: {ack}}}"
    sink = wired(config(tmp_path, section)).sink
    assert isinstance(sink, MqttSink)
    assert sink._delivery._strict is (ordering == "strict")
    assert sink._confirmations == ("edged/n/ack" if ack == "application" else "")


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
