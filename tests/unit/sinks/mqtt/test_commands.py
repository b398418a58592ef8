"""What counts as an order, and where an answer may go."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from edged.sinks.mqtt.commands import MAX_COMMAND, CommandTopics
from edged.sinks.mqtt.session import Message

if TYPE_CHECKING:
    from edged.sinks.mqtt import Command


class House:
    def __init__(self) -> None:
        self.switched: list[tuple[str, bool]] = []
        self.commands: list[Command] = []
        self.orders = CommandTopics(
            "edged/n",
            lambda name, on: self.switched.append((name, on)),
            self.commands.append,
            ["homeassistant/device/n/config", "homeassistant/status"],
        )

    def send(self, topic: str, payload: bytes = b"", response: str | None = None) -> bool:
        return self.orders.handle(Message(topic, payload, retained=False, response_topic=response))


@pytest.mark.parametrize("topic", ["me/answers", "edged/n/cmd/infer/result", "a"])
def test_an_answer_goes_where_it_was_asked_for(topic: str) -> None:
    house = House()
    assert house.send("edged/n/cmd/infer", response=topic)
    assert house.commands[0].response_topic == topic


@pytest.mark.parametrize(
    "topic",
    [
        "edged/n/status",
        "edged/n/porch/enabled/set",
        "edged/other/cmd/infer",
        "homeassistant/device/n/config",
        "$SYS/x",
        "a/+",
        "a/#",
        "",
    ],
)
def test_no_answer_goes_where_nodes_and_home_assistant_are_told_what_is_so(topic: str) -> None:
    house = House()
    assert house.send("edged/n/cmd/infer", response=topic)
    assert house.commands[0].response_topic is None


@pytest.mark.parametrize("word", [b"on", b"1", b"", b'{"a":1}'])
def test_a_switch_that_says_something_else_is_ignored_aloud(
    word: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    house = House()
    with caplog.at_level(logging.WARNING):
        assert not house.send("edged/n/porch/enabled/set", word)
    assert house.switched == []
    assert "takes ON or OFF" in caplog.text


def test_a_command_that_is_too_long_is_ignored_aloud(caplog: pytest.LogCaptureFixture) -> None:
    house = House()
    with caplog.at_level(logging.WARNING):
        assert not house.send("edged/n/cmd/infer", b"x" * (MAX_COMMAND + 1))
    assert house.commands == []
    assert "at most 8192 bytes" in caplog.text
