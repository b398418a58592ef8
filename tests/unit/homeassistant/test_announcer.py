"""Discovery payloads against a written-down schema of what Home Assistant accepts, and when they are sent."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from edged.homeassistant import payload, title
from edged.homeassistant.announcer import BIRTH_S, GAP_S, SETTLE_S, Announcer
from edged.homeassistant.label_entities import MOST_ENTITIES, Watched

TEXT = {"type": "string", "minLength": 1}
DEVICE = ("name", "mf", "mdl", "sw")
AVTY = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "object", "additionalProperties": False, "required": ["t"], "properties": {"t": TEXT}},
}
COMMON = {
    "p": TEXT, "uniq_id": TEXT, "name": TEXT, "ic": {"type": "string", "pattern": "^mdi:[a-z-]+$"},
    "qos": {"enum": [0, 1]}, "stat_t": TEXT, "val_tpl": TEXT, "json_attr_t": TEXT, "json_attr_tpl": TEXT,
    "avty": AVTY, "avty_mode": {"enum": ["all"]}, "ent_cat": {"const": "diagnostic"},
}  # fmt: skip


def component(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,  # Home Assistant drops what it does not know without a word
        "required": ["p", "uniq_id", "name", "qos", *required],
        "properties": COMMON | properties,
    }


SENSOR = component(
    ["stat_t", "val_tpl"],
    dev_cla={"enum": ["duration"]},
    stat_cla={"enum": ["measurement"]},
    unit_of_meas={"enum": ["%", "s", "fps", "events"]},
    sug_dsp_prc={"type": "integer", "minimum": 0},
)
SWITCH = component(["stat_t", "cmd_t"], cmd_t=TEXT)
BINARY = component(["stat_t", "val_tpl"], dev_cla={"enum": ["problem", "occupancy"]})
EVENT = component(["stat_t", "val_tpl", "evt_typ"], evt_typ={"type": "array", "items": TEXT})
TRIGGER = {
    "type": "object",
    "additionalProperties": False,
    "required": ["p", "uniq_id", "qos", "atype", "t", "type", "stype", "pl", "val_tpl"],
    "properties": {
        **{key: COMMON[key] for key in ("p", "uniq_id", "qos", "val_tpl")},
        "atype": {"const": "trigger"},
        **dict.fromkeys(("t", "type", "stype", "pl"), TEXT),
    },
}
STUB = {
    "type": "object",
    "additionalProperties": False,
    "required": ["p"],
    "properties": {
        "p": {"enum": ["sensor", "switch", "binary_sensor", "number", "event", "device_automation"]}
    },
}
ACCEPTED = Draft202012Validator({
    "type": "object",
    "additionalProperties": False,
    "required": ["dev", "o", "cmps", "avty"],
    "properties": {
        "dev": {
            "type": "object",
            "additionalProperties": False,
            "required": ["ids", "name"],
            "properties": {"ids": {"type": "array", "items": TEXT}, **dict.fromkeys(DEVICE, TEXT)},
        },
        "o": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name"],
            "properties": {"name": TEXT, "sw": TEXT},
        },
        "avty": AVTY,
        "cmps": {
            "type": "object",
            "additionalProperties": {
                "oneOf": [
                    SENSOR | {"properties": SENSOR["properties"] | {"p": {"const": "sensor"}}},
                    SWITCH | {"properties": SWITCH["properties"] | {"p": {"const": "switch"}}},
                    BINARY | {"properties": BINARY["properties"] | {"p": {"const": "binary_sensor"}}},
                    EVENT | {"properties": EVENT["properties"] | {"p": {"const": "event"}}},
                    TRIGGER | {"properties": TRIGGER["properties"] | {"p": {"const": "device_automation"}}},
                    STUB,
                ]
            },
        },
    },
})  # fmt: skip

names = st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True)


@given(
    names,
    st.lists(names, unique=True, max_size=8),
    st.dictionaries(names, st.sampled_from(["sensor", "switch"])),
)
def test_every_payload_is_one_that_home_assistant_takes(
    node: str, pipelines: list[str], previous: dict[str, str]
) -> None:
    data, components = payload(node, pipelines, previous)
    ACCEPTED.validate(json.loads(json.dumps(data)))
    full = [made for made in data["cmps"].values() if len(made) > 1]
    assert len({made["uniq_id"] for made in full}) == len(full)
    assert not any(
        made["name"].lower().startswith(node) for made in full if node not in "problem queued uptime"
    )
    assert components == {id_: made["p"] for id_, made in data["cmps"].items()}
    assert set(previous) <= set(components)


def test_the_switch_works_while_the_pipeline_is_off_and_the_problem_shows_while_it_is_away() -> None:
    data, _ = payload("porch-pi", ["porch"])
    assert data["avty"] == [{"t": "edged/porch-pi/status"}]
    both = [{"t": "edged/porch-pi/status"}, {"t": "edged/porch-pi/porch/availability"}]
    for id_, made in data["cmps"].items():
        assert made.get("avty") == (both if id_ in ("porch_label", "porch_score") else None)


def test_topics_and_names() -> None:
    cmps = payload("porch-pi", ["front-door"], prefix="house/edged")[0]["cmps"]
    assert cmps["front-door_label"]["name"] == "Front door"
    assert cmps["front-door_label"]["stat_t"] == "house/edged/porch-pi/front-door/state"
    assert cmps["front-door_enabled"]["cmd_t"] == "house/edged/porch-pi/front-door/enabled/set"
    assert cmps["front-door_enabled"]["stat_t"] == "house/edged/porch-pi/front-door/enabled/state"
    assert cmps["front-door_score"]["unit_of_meas"] == "%"
    assert cmps["node_queue"]["stat_t"] == "house/edged/porch-pi/health"


@pytest.mark.parametrize(
    ("pipeline", "node", "expected"),
    [
        ("porch", "porch-pi", "Porch"),
        ("porch", "porch", "Pipeline Porch"),
        ("porch-pi-door", "porch-pi", "Pipeline Porch pi door"),
        ("---", "n", "---"),
        ("7", "n", "7"),
    ],
)
def test_a_name_never_begins_with_the_devices(pipeline: str, node: str, expected: str) -> None:
    assert title(pipeline, node) == expected


class House:
    """An announcer with its clock and a broker that keeps one retained message."""

    def __init__(self, pipelines: list[str], *, enabled: bool = True, retained: bytes = b"") -> None:
        self.announcer = Announcer("n", pipelines, enabled=enabled, uniform=lambda low, _high: low)
        self.now = 100.0
        self.retained = retained
        self.sent: list[tuple[float, bytes]] = []

    def connect(self) -> None:
        self.announcer.connected(self.now)
        if self.retained:
            topic = self.announcer.subscriptions[0]
            self.announcer.message(topic, self.retained, retained=True, now=self.now)

    def birth(self, payload: bytes = b"online") -> None:
        self.announcer.message("homeassistant/status", payload, retained=False, now=self.now)

    def run(self, seconds: float) -> list[dict[str, Any] | None]:
        """Let time pass as the sink does: poll when it is woken."""
        before, end = len(self.sent), self.now + seconds
        while (wake := self.announcer.wake_at) is not None and wake <= end:
            self.now = max(self.now, wake)
            for topic, text in self.announcer.poll(self.now):
                assert topic == "homeassistant/device/n/config"
                self.retained = text
                self.sent.append((self.now, text))
        self.now = end
        return [json.loads(text) if text else None for _, text in self.sent[before:]]


def test_it_is_announced_once_after_the_retained_message_had_its_time() -> None:
    house = House(["a"])
    assert house.run(60) == []  # not connected
    house.connect()
    assert house.run(SETTLE_S - 0.01) == []
    assert len(house.run(60)) == 1


def test_what_the_broker_has_already_is_not_sent_again() -> None:
    house = House(["a"])
    house.connect()
    house.run(60)
    house.announcer.disconnected()
    house.connect()
    assert house.run(60) == []
    again = House(["a"], retained=house.retained)  # a restart
    again.connect()
    assert again.run(60) == []


def test_a_broker_that_forgot_is_told_again() -> None:
    house = House(["a"])
    house.connect()
    house.run(60)
    house.announcer.disconnected()
    house.retained = b""
    house.connect()
    assert len(house.run(60)) == 1


def test_a_birth_is_answered_after_a_while_with_the_same() -> None:
    house = House(["a"])
    house.connect()
    (first,) = house.run(60)
    house.birth()
    assert house.run(BIRTH_S[0] - 0.01) == []
    assert house.run(60) == [first]
    house.birth(b"offline")
    assert house.run(60) == []


@given(st.lists(st.sampled_from(["birth", "update", "reconnect", "wait"]), max_size=30))
def test_two_discoveries_are_never_close(steps: list[str]) -> None:
    house = House(["a"])
    house.connect()
    for number, step in enumerate(steps):
        if step == "birth":
            house.birth()
        elif step == "update":
            house.announcer.update([f"p{number}"], house.now)
        elif step == "reconnect":
            house.announcer.disconnected()
            house.connect()
        house.run(0.3)
    house.run(60)
    times = [at for at, _ in house.sent]
    assert all(later - earlier >= GAP_S - 1e-9 for earlier, later in itertools.pairwise(times))
    assert house.announcer.wake_at is None


def test_a_pipeline_that_is_gone_leaves_stubs_over_restarts() -> None:
    house = House(["a", "b"])
    house.connect()
    house.run(60)
    for _ in range(2):
        house = House(["a"], retained=house.retained)
        house.connect()
        house.run(60)
        cmps = json.loads(house.retained)["cmps"]
        assert cmps["b_label"] == {"p": "sensor"}
        assert cmps["b_enabled"] == {"p": "switch"}
        assert len(cmps["a_label"]) > 1
    house = House(["b"], retained=house.retained)
    house.connect()
    house.run(60)
    assert len(json.loads(house.retained)["cmps"]["b_label"]) > 1


def test_a_component_that_changed_its_platform_goes_first() -> None:
    house = House(["a"])
    house.connect()
    (data,) = house.run(60)
    assert data is not None
    data["cmps"]["a_score"]["p"] = "number"  # as an earlier version might have
    house = House(["a"], retained=json.dumps(data).encode())
    house.connect()
    first, second = house.run(60)
    assert first is not None
    assert second is not None
    assert first["cmps"]["a_score"] == {"p": "number"}
    assert second["cmps"]["a_score"]["p"] == "sensor"


def test_it_is_withdrawn_only_if_it_was_announced() -> None:
    never = House(["a"], enabled=False)
    never.connect()
    never.birth()
    assert never.run(60) == []
    house = House(["a"])
    house.connect()
    house.run(60)
    off = House(["a"], enabled=False, retained=house.retained)
    off.connect()
    assert off.run(60) == [None]
    off.announcer.disconnected()
    off.connect()
    assert off.run(60) == []


@pytest.mark.parametrize(
    "foreign", [b"{}", b"[]", b"\xff", b'{"o":{"name":"zigbee"},"cmps":{"x":{"p":"sensor"}}}', b"7"]
)
def test_what_others_left_there_is_not_withdrawn_and_gets_no_stub(foreign: bytes) -> None:
    off = House(["a"], enabled=False, retained=foreign)
    off.connect()
    assert off.run(60) == []
    on = House(["a"], retained=foreign)
    on.connect()
    (data,) = on.run(60)
    assert data is not None
    assert "x" not in data["cmps"]


def test_templates_name_the_pipeline_as_health_does() -> None:
    cmps = payload("n", ["front-door"])[0]["cmps"]
    assert re.search(r"\.get\('front-door', \{\}\)", cmps["front-door_problem"]["val_tpl"])


def watched(*labels: str, **keys: Any) -> dict[str, Any]:
    data, _ = payload("n", ["porch"], watched={"porch": Watched(labels, **keys)})
    ACCEPTED.validate(json.loads(json.dumps(data)))
    entities: dict[str, Any] = data["cmps"]
    return entities


def shown(entity: dict[str, Any], state: dict[str, Any]) -> str:
    environment = jinja2.Environment(autoescape=False)  # noqa: S701 - as Home Assistant's
    return environment.from_string(entity["val_tpl"]).render(value_json=state)


_NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)


@settings(max_examples=25)
@given(st.lists(_NAMES, max_size=3, unique=True))
def test_each_label_has_an_entity_of_its_own_whatever_it_is_called(labels: list[str]) -> None:
    entities = watched(*labels, by_label=True, counted=True)
    mine = [id_ for id_ in entities if id_.endswith(("_present", "_count"))]
    assert len(mine) == 2 * len(labels)
    for label in labels:
        state = {"label": label, "present": {label: 3}}
        counts = [shown(entities[id_], state) for id_ in mine]
        assert sorted(count for count in counts if count not in {"OFF", "0"}) == ["3", "ON"]


def test_no_more_entities_are_announced_than_a_broker_can_take() -> None:
    entities = watched(*map(str, range(100)), by_label=True, counted=True)
    assert len([id_ for id_ in entities if id_.endswith(("_present", "_count"))]) == MOST_ENTITIES


def test_presence_and_count_of_a_label_follow_the_state() -> None:
    entities = watched("person", "dog", by_label=True, counted=True, zones=("front-door",))
    present, count = entities["porch_person_present"], entities["porch_person_count"]
    assert (present["name"], count["name"]) == ("Porch person", "Porch person count")
    at_door = entities["porch_person_at_front-door_present"]
    assert at_door["name"] == "Porch person front door"
    state = {"label": "dog", "present": {"dog": 1, "person": 2}, "zones": {"front-door": {"person": 1}}}
    assert [shown(each, state) for each in (present, count, at_door)] == ["ON", "2", "ON"]
    state = {"label": "unknown", "present": {}}
    assert [shown(each, state) for each in (present, count, at_door)] == ["OFF", "0", "OFF"]
    assert [shown(each, {}) for each in (present, count, at_door)] == ["None"] * 3
    assert shown(present, {"label": "unknown"}) == "OFF", "nothing is decided yet"


def test_a_label_of_a_classifier_is_on_while_it_is_decided() -> None:
    entities = watched("Egyptian cat")
    (cat,) = [entity for id_, entity in entities.items() if id_.endswith("_present")]
    assert shown(cat, {"label": "Egyptian cat"}) == "ON"
    assert shown(cat, {"label": "tiger cat"}) == "OFF"
    assert not [id_ for id_ in entities if id_.endswith("_count")]


def test_what_a_second_model_said_is_a_label_of_its_own() -> None:
    closer = watched("bird", by_label=True, counted=True, closer=True)["porch_closer_look"]
    assert closer["name"] == "Porch closer look"
    state = {"label": "bird", "present": {"bird": 1}, "then": [{"label": "macaw", "score": 0.93}]}
    assert shown(closer, state) == "macaw"
    assert shown(closer, {"label": "unknown", "present": {}}) == "None"
    assert shown(closer, {}) == "None"
