"""Switches and commands: what others may send to this node over MQTT."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.sinks.mqtt.session import Message

log = logging.getLogger(__name__)

MAX_COMMAND = 8192  # bytes
SWITCHES = "+/enabled/set"
# One that no pipeline's name fits: published and read back, it shows what the broker lets this node do. NATS
# hangs up at topics with a dot.
ECHO = "edged_echo/enabled/set"
_PIPELINE = re.compile(r"[a-z0-9-]{1,32}")
_VERB = re.compile(r"[a-z0-9_-]{1,32}")
# Last levels of the topics of pipelines and sensors.
_TAKEN = frozenset({"state", "event", "result", "availability", "set"})


class Reply(Protocol):
    """Sends an answer with QoS 0."""

    def __call__(self, topic: str, payload: bytes, correlation: bytes | None) -> object:
        """Send it, or drop it where there is no connection."""


class CommandTopics:
    """Checks a message on one of the node's command topics, carries it out and answers it.

    Retained messages are ignored: they were sent some other day and would be carried out at every reconnect.

    Args:
        base: the node's topic, ``<prefix>/<node>``.
        on_switch: gets a pipeline's name and whether to enable it.
        on_command: carries out the command of a verb with a payload and returns the answer; None: there are
            no commands.
        reply: sends an answer.
        reply_prefix: topic below which answers may go too; None: only below the node's own.
    """

    def __init__(
        self,
        base: str,
        *,
        on_switch: Callable[[str, bool], None],
        on_command: Callable[[str, bytes], bytes] | None,
        reply: Reply,
        reply_prefix: str | None = None,
    ) -> None:
        self._base = base
        self._reply_prefix = reply_prefix
        self._on_switch = on_switch
        self._on_command = on_command
        self._reply = reply
        self._logged: set[str] = set()

    @property
    def subscriptions(self) -> list[str]:
        """The topics on which switches and commands come."""
        commands = [] if self._on_command is None else [f"{self._base}/cmd/+"]
        return [f"{self._base}/{SWITCHES}", *commands]

    def handle(self, message: Message) -> bool:
        """Carry out a switch or a command; return whether the message was one."""
        if message.retained:
            return False
        match message.topic.removeprefix(f"{self._base}/").split("/"):
            case [pipeline, "enabled", "set"] if _PIPELINE.fullmatch(pipeline):
                return self._switch(pipeline, message.payload.strip())
            case ["cmd", verb] if _VERB.fullmatch(verb):
                return self._command(verb, message)
        return False

    def _warn_once(self, sentence: str) -> None:
        if sentence not in self._logged:  # whoever sends nonsense sends a lot of it
            self._logged.add(sentence)
            log.warning("%s", sentence)

    def _may_answer_on(self, topic: str) -> bool:
        """Return whether an answer may go there.

        The sender chooses the topic, and may lack the right to publish there itself. So it lies below the
        node's own, where nobody reads the node's state and the node itself reads nothing.
        """
        if set(topic) & set("+#\0"):
            return False
        if self._reply_prefix is not None and topic.startswith(f"{self._reply_prefix}/"):
            return True
        if not topic.startswith(f"{self._base}/"):
            return False
        first, *below = topic.removeprefix(f"{self._base}/").split("/")
        if first == "cmd":
            return len(below) > 1
        return bool(below) and below[-1] not in _TAKEN

    def _switch(self, pipeline: str, word: bytes) -> bool:
        if word not in (b"ON", b"OFF"):
            self._warn_once(f"{self._base}/PIPELINE/enabled/set takes ON or OFF; another payload was ignored")
            return False
        self._on_switch(pipeline, word == b"ON")
        return True

    def _command(self, verb: str, message: Message) -> bool:
        if self._on_command is None:
            return False
        if len(message.payload) > MAX_COMMAND:
            self._warn_once(f"{self._base}/cmd takes at most {MAX_COMMAND} bytes; a longer one was ignored")
            return False
        topic = message.response_topic
        if topic is None or not self._may_answer_on(topic):
            topic = f"{self._base}/cmd/{verb}/result"
        self._reply(topic, self._on_command(verb, message.payload), message.correlation)
        return True
