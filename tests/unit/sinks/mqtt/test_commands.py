"""Messages that count as switches and commands, and topics on which they may be answered."""

from __future__ import annotations

import logging

import pytest

from edged.sinks.mqtt.commands import MAX_COMMAND, CommandTopics
from edged.sinks.mqtt.session import Message

BASE = "edged/n"


class Bench:
    """The topics of commands, with all that was done and answered."""

    def __init__(self, reply_prefix: str | None = None) -> None:
        self.switched: list[tuple[str, bool]] = []
        self.commands: list[str] = []
        self.answers: list[tuple[str, bytes, bytes | None]] = []
        self.topics = CommandTopics(
            BASE,
            on_switch=lambda name, on: self.switched.append((name, on)),
            on_command=self._command,
            reply=lambda topic, payload, correlation: self.answers.append((topic, payload, correlation)),
            reply_prefix=reply_prefix,
        )

    def _command(self, verb: str, payload: bytes) -> bytes:
        self.commands.append(verb)
        return payload[::-1]

    def send(self, topic: str, payload: bytes = b"", response: str | None = None) -> bool:
        message = Message(topic, payload, retained=False, response_topic=response, correlation=b"7")
        return self.topics.handle(message)


@pytest.mark.parametrize("topic", ["edged/n/cmd/infer/result", "edged/n/cmd/infer/me/7", "edged/n/answers/7"])
def test_an_answer_goes_where_it_was_asked_for(topic: str) -> None:
    bench = Bench()
    assert bench.send("edged/n/cmd/infer", b"abc", topic)
    assert bench.answers == [(topic, b"cba", b"7")]


@pytest.mark.parametrize(
    "topic",
    [
        None,
        "edged/n/status",
        "edged/n/answers",
        "edged/n/porch/enabled/set",
        "edged/n/porch/state",
        "edged/n/porch/event",
        "edged/n/attic/temp/state",
        "edged/n/cmd/infer",
        "edged/n/cmd",
        "edged/other/cmd/infer/result",
        "Edged/n/answers/7",
        "answers/7",
        "zigbee2mqtt/bridge/request/permit_join",
        "homeassistant/device/n/config",
        "edged/n/answers/\0",
        "edged/n/cmd/infer/+",
        "$SYS/x",
        "a/+",
        "a/#",
        "",
    ],
)
def test_no_answer_goes_to_a_topic_on_which_others_read_the_state_of_nodes(topic: str | None) -> None:
    bench = Bench()
    assert bench.send("edged/n/cmd/infer", response=topic)
    assert bench.answers == [("edged/n/cmd/infer/result", b"", b"7")]


@pytest.mark.parametrize(
    ("topic", "allowed"), [("answers/me/7", True), ("answers", False), ("answers2/7", False)]
)
def test_a_reply_prefix_allows_topics_below_it(topic: str, allowed: bool) -> None:
    bench = Bench(reply_prefix="answers")
    assert bench.send("edged/n/cmd/infer", response=topic)
    assert [a[0] for a in bench.answers] == [topic if allowed else "edged/n/cmd/infer/result"]


@pytest.mark.parametrize("word", [b"on", b"1", b"", b'{"a":1}'])
def test_a_switch_with_another_payload_is_ignored_with_a_warning(
    word: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench()
    with caplog.at_level(logging.WARNING):
        assert not bench.send("edged/n/porch/enabled/set", word)
    assert bench.switched == []
    assert "takes ON or OFF" in caplog.text


def test_a_command_that_is_too_long_is_ignored_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    with caplog.at_level(logging.WARNING):
        assert not bench.send("edged/n/cmd/infer", b"x" * (MAX_COMMAND + 1))
    assert bench.commands == []
    assert "at most 8192 bytes" in caplog.text
