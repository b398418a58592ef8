"""Switches and commands: what others may ask of this node over MQTT."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edged.sinks.mqtt.session import Message

log = logging.getLogger(__name__)

MAX_COMMAND = 8192  # bytes
_PIPELINE = re.compile(r"[a-z0-9-]{1,32}")
_VERB = re.compile(r"[a-z0-9_-]{1,32}")


@dataclass(frozen=True)
class Command:
    """A request on ``cmd/<verb>``; hand it back with the answer to ``MqttSink.reply``."""

    verb: str
    payload: bytes
    response_topic: str | None = None
    correlation: bytes | None = None


class CommandTopics:
    """Checks an order and gives it to whom it concerns.

    Args:
        base: the node's topic, ``<prefix>/<node>``.
        on_switch: gets a pipeline's name and whether to enable it.
        on_command: gets requests.
        closed: topics beside which no answer may go, as none goes to those of nodes.

    Retained orders are ignored: they were given some other day and would be carried out at every reconnect.
    """

    def __init__(
        self,
        base: str,
        on_switch: Callable[[str, bool], None],
        on_command: Callable[[Command], None] | None,
        closed: Sequence[str] = (),
    ) -> None:
        self._base = base
        # By their first level, as that of homeassistant/device/…
        self._closed = tuple(
            {f"{base.rpartition('/')[0]}/", *(f"{topic.split('/')[0]}/" for topic in closed)}
        )
        self._on_switch = on_switch
        self._said: set[str] = set()
        self._on_command = on_command

    @property
    def subscriptions(self) -> list[str]:
        """The topics on which orders come."""
        commands = [] if self._on_command is None else [f"{self._base}/cmd/+"]
        return [f"{self._base}/+/enabled/set", *commands]

    def handle(self, message: Message) -> bool:
        """Carry an order out; False where it is none."""
        if message.retained:
            return False
        match message.topic.removeprefix(f"{self._base}/").split("/"):
            case [pipeline, "enabled", "set"] if _PIPELINE.fullmatch(pipeline):
                return self._switch(pipeline, message.payload.strip())
            case ["cmd", verb] if _VERB.fullmatch(verb):
                return self._command(verb, message)
        return False

    def _complain(self, sentence: str) -> None:
        """Say it once: whoever sends nonsense sends a lot of it."""
        if sentence not in self._said:
            self._said.add(sentence)
            log.warning("%s", sentence)

    def _may_answer(self, topic: str) -> bool:
        """Whether an answer may go there: not where nodes and Home Assistant are told what is so."""
        if not topic or topic[0] == "$" or set(topic) & set("+#\0"):
            return False
        return topic.startswith(f"{self._base}/cmd/") or not topic.startswith(self._closed)

    def _switch(self, pipeline: str, word: bytes) -> bool:
        if word not in (b"ON", b"OFF"):
            self._complain(f"{self._base}/PIPELINE/enabled/set takes ON or OFF; what came was ignored")
            return False
        self._on_switch(pipeline, word == b"ON")
        return True

    def _command(self, verb: str, message: Message) -> bool:
        if self._on_command is None:
            return False
        if len(message.payload) > MAX_COMMAND:
            self._complain(f"{self._base}/cmd takes at most {MAX_COMMAND} bytes; what came was ignored")
            return False
        response = message.response_topic
        if response is not None and not self._may_answer(response):
            response = None
        self._on_command(Command(verb, message.payload, response, message.correlation))
        return True
