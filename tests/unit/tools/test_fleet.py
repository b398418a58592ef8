"""Rows from messages: what nodes say, what the broker says of them, and what is no message at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.daemon import health
from edged.spool import Counts
from edged.testing.supervisor import status
from edged.tools.fleet import Fleet, Row, all_working

NOW = 1_769_860_800.0


def message(node: str = "porch", at: float = NOW, **changes: Any) -> bytes:
    snapshot = health.Snapshot(
        node=node,
        uptime_s=1,
        at=at,
        synced=True,
        pipelines={"a": status("a", fps=2.0), "b": status("b", fps=0.5, accelerator="edgetpu")},
        counts=Counts(3, 1, 2, {}),
        broker=health.Broker("connected", ""),
    )
    return json.dumps({**health.message(snapshot), **changes}).encode()


def test_a_row_holds_the_nodes_health() -> None:
    fleet = Fleet()
    assert fleet.take("edged/porch/status", b"online", NOW) == "porch"
    assert fleet.take("edged/porch/health", message(version="1.2"), NOW) == "porch"
    assert fleet.rows(NOW + 5) == [Row("porch", 5.0, "ok", 2.5, "cpu, edgetpu", 2, "1.2")]


def test_the_status_topic_overrides_the_health() -> None:
    fleet = Fleet()
    fleet.take("edged/porch/health", message(), NOW)
    fleet.take("edged/porch/status", b"offline", NOW)
    fleet.take("edged/attic/status", b"offline", NOW)
    fleet.take("edged/shed/status", b"online", NOW)
    assert [(r.node, r.state) for r in fleet.rows(NOW)] == [
        ("attic", "offline"),
        ("porch", "offline"),
        ("shed", "unknown"),
    ]


def test_a_node_without_recent_health_is_silent() -> None:
    fleet = Fleet()
    fleet.take("edged/porch/status", b"online", NOW)
    fleet.take("edged/porch/health", message(at=NOW - 600), NOW)
    assert [(r.age_s, r.state) for r in fleet.rows(NOW)] == [(600.0, "silent")]


def test_a_removed_node_disappears() -> None:
    fleet = Fleet("home/edged")
    fleet.take("home/edged/porch/health", message(), NOW)
    fleet.take("home/edged/porch/status", b"online", NOW)
    fleet.take("home/edged/porch/health", b"", NOW)
    fleet.take("home/edged/porch/status", b"", NOW)
    assert fleet.rows(NOW) == []


@pytest.mark.parametrize(
    "wrong", [{"pipelines": []}, {"ts": "soon"}, {"queue": None}, {"pipelines": {"a": 1}}]
)
def test_an_incomplete_message_is_unreadable(wrong: dict[str, Any]) -> None:
    fleet = Fleet()
    fleet.take("edged/porch/health", message(**wrong), NOW)
    assert fleet.rows(NOW)[0].state == "unreadable"


@given(st.binary(min_size=1, max_size=200) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
).map(lambda found: json.dumps(found).encode()))  # fmt: skip
def test_no_payload_breaks_the_table(payload: bytes) -> None:
    fleet = Fleet()
    fleet.take("edged/porch/health", payload, NOW)
    fleet.take("edged/attic/health", message(), NOW)
    assert [(r.node, r.state) for r in fleet.rows(NOW)] == [("attic", "ok"), ("porch", "unreadable")]


def test_all_working_needs_at_least_one_node() -> None:
    assert not all_working([])
    assert all_working([Row("a", 1.0, "ok"), Row("b", 1.0, "degraded")])
    for state in ("problem", "offline", "silent", "unreadable", "unknown"):
        assert not all_working([Row("a", 1.0, "ok"), Row("b", 1.0, state)])
