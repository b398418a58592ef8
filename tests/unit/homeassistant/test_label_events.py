"""The event entity and the triggers of labels: they act on what begins now, and on nothing else."""

from __future__ import annotations

import json
from typing import Any

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unit.homeassistant.test_announcer import watched

TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
EVENT = {"type": "start", "label": "person", "score": 0.8, "previous": "unknown", "replayed": False}
EVENT |= {"captured_at": "2026-11-26T03:48:53.199Z", "id": "n/0/1"}


def rendered(entity: dict[str, Any], **changes: Any) -> str:
    environment = jinja2.Environment(autoescape=False)  # noqa: S701 - as Home Assistant's
    environment.filters["to_json"] = json.dumps  # Home Assistant's own
    return environment.from_string(entity["val_tpl"]).render(value_json=EVENT | changes)


def test_what_begins_is_told_with_its_score() -> None:
    entities = watched("person", "dog")
    event, trigger = entities["porch_seen"], entities["porch_person_begins"]
    assert event["evt_typ"] == ["person", "dog"]
    told = json.loads(rendered(event))
    assert (told["event_type"], told["score"], told["id"]) == ("person", 0.8, "n/0/1")
    assert (trigger["stype"], trigger["type"], trigger["pl"]) == ("Porch", "sees person", rendered(trigger))


@pytest.mark.parametrize(
    "changes",
    [{"type": "end", "label": "unknown"}, {"type": "heartbeat"}, {"type": "result"}, {"replayed": True}],
)
def test_what_ends_repeats_or_is_late_is_not_told(changes: dict[str, Any]) -> None:
    entities = watched("person", "dog")
    assert rendered(entities["porch_seen"], **changes) == ""
    assert rendered(entities["porch_person_begins"], **changes) == ""


def test_another_label_is_not_told_and_matches_no_trigger() -> None:
    entities = watched("person", "dog")
    assert rendered(entities["porch_seen"], label="cat") == ""
    assert rendered(entities["porch_person_begins"], label="dog") != entities["porch_person_begins"]["pl"]


@pytest.mark.parametrize(("by_label", "tells"), [(False, True), (True, False)])
def test_a_change_begins_a_label_where_a_pipeline_has_one_decision(by_label: bool, tells: bool) -> None:
    """Where each label is decided by itself, a change is another count."""
    entities = watched("person", by_label=by_label, counted=by_label)
    assert bool(rendered(entities["porch_seen"], type="change", count=2)) is tells
    assert bool(rendered(entities["porch_person_begins"], type="change", count=2)) is tells


@settings(max_examples=25)
@given(st.lists(TEXTS, unique=True, max_size=5))
def test_a_label_is_told_whatever_it_is_called(labels: list[str]) -> None:
    entities = watched(*labels)
    triggers = [entity for entity in entities.values() if entity["p"] == "device_automation"]
    for label in labels:
        assert json.loads(rendered(entities["porch_seen"], label=label))["event_type"] == label
        assert [t["pl"] for t in triggers if rendered(t, label=label) == t["pl"]] == [label]


def test_an_empty_message_is_no_event() -> None:
    environment = jinja2.Environment(autoescape=False)  # noqa: S701 - as Home Assistant's
    for id_ in ("porch_seen", "porch_person_begins"):
        assert environment.from_string(watched("person")[id_]["val_tpl"]).render() == ""
