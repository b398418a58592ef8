"""What the broker does not let a node do, as sentences, and what it does not have."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from edged.sinks.mqtt.hangups import ALONE
from edged.sinks.mqtt.outgoing import Publish
from edged.sinks.mqtt.rights import ECHO_S, Rights, lacks
from edged.sinks.mqtt.session import BEST
from edged.sinks.mqtt.terms import Will


def test_refusals_of_one_kind_are_one_sentence() -> None:
    rights = Rights("edged/n")
    for name in ("a", "b", "c"):
        rights.refused(f"edged/n/{name}/state", "Not authorized")
    rights.refused("edged/n/health", "its size")
    assert rights.sentences() == [
        "refuses edged/n/a/state and 2 more: not authorized",
        "refuses edged/n/health: its size",
    ]
    rights.took(Publish(0, "edged/n/a/state"))
    assert rights.sentences()[0] == "refuses edged/n/b/state and 1 more: not authorized"
    rights.connected()
    assert rights.sentences() == []


def test_what_does_not_come_back_is_named_until_it_does() -> None:
    rights = Rights("edged/n")
    rights.published_echo(10.0)
    assert rights.wake_at == 10.0 + ECHO_S
    rights.look(10.0 + ECHO_S - 1)
    assert rights.sentences() == []
    rights.look(10.0 + ECHO_S)
    [sentence] = rights.sentences()
    assert "may not publish below edged/n, or not read edged/n/+/enabled/set" in sentence
    rights.connected()
    assert rights.sentences() == [sentence]  # until the next one came back
    rights.published_echo(20.0)
    rights.heard_echo()
    assert rights.sentences() == []


def test_retention_is_tried_without_before_a_topic_is_left_out() -> None:
    rights = Rights("edged/n")
    state = Publish(0, "edged/n/porch/state", retained=True)
    for _ in range(ALONE):
        assert rights.hung_up([state], 0, "broker b") is None
    assert rights.unretained
    assert [rights.hung_up([state], 0, "broker b") for _ in range(ALONE)][-1] == state
    assert not rights.unretained  # that was not it
    [sentence] = rights.sentences()
    assert sentence.startswith("hangs up at edged/n/porch/state, left out for now")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"terms": BEST._replace(mqtt5=False)}, "MQTT 3.1.1"),
        ({"terms": BEST._replace(will=Will.NONE)}, "no will"),
        ({"retains": False}, "every 60 s"),
        ({"qos": 0}, "QoS 0 only"),
    ],
)
def test_what_a_broker_does_not_have_is_one_sentence(changes: dict[str, Any], said: str) -> None:
    session: Any = SimpleNamespace(**({"terms": BEST, "retains": True, "qos": 1} | changes))
    settings: Any = SimpleNamespace(mqtt5=None, retain=True)
    found = lacks(session, settings, "edged/n/status")
    assert len(found) == bool(said)
    assert all(said in sentence for sentence in found)
