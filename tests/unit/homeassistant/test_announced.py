"""Discovery that remembers where it left messages, and that is split where the whole is too large."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edged.homeassistant.announced import NAME, AnnouncedTopics
from edged.homeassistant.announcer import GAP_S, SETTLE_S, Announcer

if TYPE_CHECKING:
    from pathlib import Path

DEVICE = "homeassistant/device/n/config"


class Life:
    """An announcer with a clock, and what it publishes."""

    def __init__(self, folder: Path, *pipelines: str, enabled: bool = True) -> None:
        self.now = 0.0
        self.topics = AnnouncedTopics(folder)
        self.announcer = Announcer("n", pipelines, enabled=enabled, announced=self.topics)
        self.announcer.connected(self.now)

    def poll(self) -> dict[str, bytes]:
        self.now += SETTLE_S + GAP_S
        return dict(self.announcer.poll(self.now))


def test_turned_off_it_touches_nothing(tmp_path: Path) -> None:
    life = Life(tmp_path, "a", enabled=False)
    assert life.announcer.subscriptions == ()
    assert life.poll() == {}
    assert not (tmp_path / NAME).exists()


def test_turned_off_it_withdraws_what_it_left_and_then_touches_nothing(tmp_path: Path) -> None:
    first = Life(tmp_path, "a")
    announced = first.poll()
    assert list(announced) == [DEVICE]
    off = Life(tmp_path, "a", enabled=False)
    assert off.announcer.subscriptions == (DEVICE,)
    off.announcer.message(DEVICE, announced[DEVICE], retained=True, now=off.now)
    assert off.poll() == {DEVICE: b""}
    assert Life(tmp_path, "a", enabled=False).announcer.subscriptions == ()


def test_what_another_program_put_there_stays(tmp_path: Path) -> None:
    Life(tmp_path, "a").poll()
    off = Life(tmp_path, "a", enabled=False)
    off.announcer.message(DEVICE, b'{"o": {"name": "other"}}', retained=True, now=off.now)
    assert off.poll() == {}
    assert off.announcer.subscriptions == ()


def test_what_is_too_large_is_announced_an_entity_at_a_time(tmp_path: Path) -> None:
    life = Life(tmp_path, "a")
    whole = json.loads(life.poll()[DEVICE])
    life.announcer.refused(DEVICE)
    said = life.poll()
    assert said.pop(DEVICE) == b""  # or Home Assistant would refuse the same ids
    assert len(said) == len(whole["cmps"])
    switch = json.loads(said["homeassistant/switch/n/a_enabled/config"])
    assert switch["dev"] == whole["dev"]
    assert switch["uniq_id"] == "edged_n_a_enabled"
    assert "p" not in switch
    assert max(len(text) for text in said.values()) < 1500
    life.announcer.update(["b"], life.now)
    said = life.poll()
    assert said["homeassistant/switch/n/a_enabled/config"] == b""
    assert "homeassistant/switch/n/b_enabled/config" in said
    assert "homeassistant/sensor/n/node_queue/config" not in said  # it is there


def test_entities_are_withdrawn_before_the_whole_is_announced_again(tmp_path: Path) -> None:
    life = Life(tmp_path, "a")
    life.announcer.refused(DEVICE)
    entities = set(life.poll())
    again = Life(tmp_path, "a")
    assert again.poll() == dict.fromkeys(entities, b"")
    assert list(again.poll()) == [DEVICE]


def test_it_gives_up_where_entities_are_refused_too(tmp_path: Path) -> None:
    life = Life(tmp_path, "a")
    life.announcer.refused(DEVICE)
    topic = next(iter(life.poll()))
    life.announcer.refused("edged/n/status")
    life.announcer.refused(topic)
    life.announcer.update(["b"], life.now)
    assert life.poll() == {}


def test_a_file_that_is_damaged_is_forgotten(tmp_path: Path) -> None:
    for text in ("", "{", "{}", '"a"', "[1, null]"):
        (tmp_path / NAME).write_text(text)
        assert AnnouncedTopics(tmp_path).all() == []
    (tmp_path / NAME).unlink()
    topics = AnnouncedTopics(tmp_path / "none")  # cannot be written
    topics.add(["a"])
    assert "a" in topics
