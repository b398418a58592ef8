"""Lessons over MQTT: whose count, how often, and what is told of them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.config.root import Config
from edged.daemon import lessons
from edged.daemon.lessons import BURST, Lessons
from edged.ipc.worker_messages import Features
from edged.system.child import ChildFailed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PORCH = {"source": {"kind": "folder", "path": "/p"}, "model": {"taught": "/s/models/taught/discs"}}


def config(**teach: Any) -> Config:
    pipelines = {"porch": PORCH | {"teach": teach}, "yard": PORCH}
    return Config.model_validate(
        {"state_dir": "/s", "mqtt": {"host": "localhost"}, "node": "n", "pipelines": pipelines}
    )


class House:
    """A worker that answers at once, or never, and a process that learns."""

    def __init__(self, values: str | None = "AAAA", **teach: Any) -> None:
        self.values = values
        self.asked: list[str] = []
        self.learned: list[dict[str, Any]] = []
        self.found: dict[str, Any] | Exception = {"learned": "version 2"}
        self.lessons = Lessons("n", self.ask, self.learn)
        self.lessons.configure(config(**teach))

    def ask(self, name: str) -> bool:
        self.asked.append(name)
        if self.values is not None:
            report = Features(name, self.values)
            asyncio.get_running_loop().call_soon(self.lessons.features, report)
        return True

    def learn(self, request: dict[str, Any]) -> dict[str, Any]:
        self.learned.append(request)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    async def give(self, payload: Mapping[str, Any] | bytes) -> dict[str, Any]:
        """Give a lesson, wait for what comes of it, and return the answer."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        answer: dict[str, Any] = json.loads(self.lessons.answer(data))
        for _ in range(200 if self.values is not None else 10):
            await asyncio.sleep(0.005)
            if not self.lessons._learning and not self.lessons._waiting:
                break
        return answer


def given_to(house: House, *payloads: Any) -> list[dict[str, Any]]:
    async def all_of_them() -> list[dict[str, Any]]:
        return [await house.give(payload) for payload in payloads]

    return asyncio.run(all_of_them())


def test_the_last_picture_gets_a_label_and_loses_it_again() -> None:
    house = House()
    (taken, back) = given_to(
        house, {"pipeline": "porch", "label": "cat"}, {"pipeline": "porch", "undo": True}
    )
    assert taken == back == {"verb": "teach", "done": ["porch"], "refused": {}}
    common = {"state_dir": "/s", "folder": "/s/models/taught/discs"}
    assert house.learned == [common | {"label": "cat", "row": "AAAA"}, common | {"undo": True}]
    found = house.lessons.all()["porch"]
    assert (found.lessons, found.refused, found.last) == (2, 0, "learned")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"porch",
        b"\xff",
        b"[" * 3000,
        b'{"pipeline": "yard", "label": "cat"}',
        b'{"pipeline": "attic", "label": "cat"}',
        b'{"pipeline": ["porch"], "label": "cat"}',
        b'{"pipeline": "porch", "label": "cat", "more": 1}',
    ],
)
def test_what_is_no_lesson_is_refused_and_never_repeated(payload: bytes) -> None:
    house = House()
    (answer,) = given_to(house, payload)
    assert answer.keys() == {"verb", "error"}
    assert "attic" not in answer["error"]
    assert not house.asked


@pytest.mark.parametrize("label", ["", 129 * "x", 7, None])
def test_a_label_is_a_short_text(label: Any) -> None:
    (answer,) = given_to(House(), {"pipeline": "porch", "label": label})
    assert answer["refused"] == {"porch": "write a label, or undo: true"}


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300) | st.dictionaries(st.sampled_from(["pipeline", "label", "undo"]), st.text()))
def test_no_payload_breaks_it(payload: Any) -> None:
    house = House(values=None)
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()

    async def once() -> Any:
        return json.loads(house.lessons.answer(data))

    assert asyncio.run(once())["verb"] == "teach"


def test_one_lesson_at_a_time_and_not_too_many() -> None:
    async def work() -> None:
        house = House(values=None)
        assert (await house.give({"pipeline": "porch", "label": "cat"}))["done"] == ["porch"]
        second = await house.give({"pipeline": "porch", "label": "cat"})
        assert second["refused"] == {"porch": "the lesson before it is not learned yet"}
        house.lessons.features(Features("porch", ""))
        assert house.lessons.all()["porch"].last == "refused: it has judged no picture yet"
        house.lessons.features(Features("porch", "AAAA"))  # which nobody waits for
        house.values = "AAAA"
        answers = [await house.give({"pipeline": "porch", "label": "cat"}) for _ in range(BURST)]
        assert [bool(answer["done"]) for answer in answers] == [*(BURST - 1) * [True], False]
        assert len(house.learned) == BURST - 1

    asyncio.run(work())


def test_a_worker_that_does_not_answer_and_a_process_that_fails_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lessons, "PICTURE_S", 0.02)
    house = House(values=None)
    given_to(house, {"pipeline": "porch", "label": "cat"})
    assert house.lessons.all()["porch"].last == "refused: its worker gave no features within 0.02 s"
    house = House()
    house.found = ChildFailed("it hung")
    given_to(house, {"pipeline": "porch", "label": "cat"})
    assert house.lessons.all()["porch"].last == "refused: its process failed"
    house.found = {"refused": "its model has no such label"}
    given_to(house, {"pipeline": "porch", "label": "dog"})
    assert house.lessons.all()["porch"].last == "refused: its model has no such label"


def signed(secret: str, label: str | None, at: int, node: str = "n") -> dict[str, Any]:
    what = "undo\n" if label is None else f"teach\n{label}"
    text = f"{node}\nporch\n{what}\n{at}".encode()
    mac = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
    rest: dict[str, Any] = {"undo": True} if label is None else {"label": label}
    return {"pipeline": "porch", **rest, "at": at, "mac": mac}


def test_only_what_is_signed_and_new_counts(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("open sesame\n")
    house = House(allow="signed", secret_file=tmp_path / "secret")
    now = int(time.time())
    good, other = signed("open sesame", "cat", now), signed("open sesame", "cat", now + 1)
    answers = given_to(
        house,
        {"pipeline": "porch", "label": "cat"},
        signed("something else", "cat", now),
        signed("open sesame", "cat", now, node="m"),
        good | {"label": "dog"},
        signed("open sesame", "cat", now - 3600),
        good,
        good,
        other,
        signed("open sesame", None, now + 2),
        signed("open sesame", "undo", now + 3) | {"label": None, "undo": True},
    )
    refused = [answer["refused"].get("porch", "") for answer in answers]
    assert refused == [
        "it is not signed",
        *3 * ["its signature is wrong"],
        "its time is more than 60 s from this node's",
        "",
        "it is not newer than the lesson before it",
        "",
        "",
        "its signature is wrong",
    ]
    assert [lesson.get("label", "undo") for lesson in house.learned] == ["cat", "cat", "undo"]


def test_without_its_secret_nothing_is_learned(tmp_path: Path) -> None:
    house = House(allow="signed", secret_file=tmp_path / "away")
    (answer,) = given_to(house, signed("", "cat", int(time.time())))
    assert answer["refused"] == {"porch": "it is not signed"}


@pytest.mark.parametrize(
    ("mqtt", "teach", "said"),
    [
        ({"host": "broker.lan"}, {"allow": "local"}, "local needs a broker on this machine"),
        ({"host": ["::1", "10.0.0.7"]}, {"allow": "local"}, "local needs a broker on this machine"),
        (None, {"allow": "local"}, "lessons come over MQTT: write mqtt"),
        ({"host": "localhost"}, {"allow": "signed"}, "signed needs secret_file"),
        ({"host": "localhost"}, {"secret_file": "s"}, "secret_file is for signed"),
        ({"host": "localhost"}, {"allow": "any"}, "local"),
    ],
)
def test_who_may_teach_has_to_be_clear(mqtt: Any, teach: Any, said: str) -> None:
    whole = {"mqtt": mqtt, "node": "n", "pipelines": {"porch": PORCH | {"teach": teach}}}
    with pytest.raises(ValueError, match=said):
        Config.model_validate(whole)
    taught = PORCH | {"teach": {"allow": "local"}, "model": {}}
    with pytest.raises(ValueError, match="teach is for a taught model of pictures"):
        Config.model_validate({"mqtt": {"host": "::1"}, "node": "n", "pipelines": {"porch": taught}})
