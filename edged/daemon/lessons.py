"""Lessons over MQTT: ``cmd/teach`` gives the last picture of a pipeline a label.

::

    cmd/teach ─▶ Lessons ─"features"▶ worker ─Features▶ Lessons ─▶ a process that stores ─▶ one that fits
                 (main)               (the picture)     (main)     (edged.tools.teach.correction)

What leaves the worker are the features of its last picture, which the taught model keeps anyway: never a
pixel. Whether a lesson is accepted is decided here: whose it is, when, and how often. Whether it may be
learned is decided where the model is known: no new labels, and no label that drowns the others.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edged.config.secrets import read_secret
from edged.errors import ConfigError
from edged.system import clock
from edged.system.child import ChildFailed, answers
from edged.system.patience import within
from edged.system.token_bucket import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edged.config.root import Config, PipelineSection
    from edged.ipc.worker_messages import Features

    Learn = Callable[[dict[str, Any]], dict[str, Any]]

log = logging.getLogger(__name__)

EVERY_S, BURST = 10.0, 10  # lessons of a pipeline
FRESH_S = 60.0  # how far the time of a signed lesson may be from this node's
PICTURE_S = 5.0  # for the worker to send features
LEARN_S = 120.0  # for a lesson on a slow board
_LONGEST = 2048  # bytes of a payload
_KEYS = frozenset({"pipeline", "label", "undo", "at", "mac"})
_MODULE = "edged.tools.teach.correction"


@dataclass(frozen=True)
class Taught:
    """What the lessons of a pipeline came to since the daemon started.

    Attributes:
        lessons: those that were learned.
        refused: those that were not.
        last: the last one in a sentence of main's own; empty: there was none.
    """

    lessons: int = 0
    refused: int = 0
    last: str = ""


class Lessons:
    """Takes lessons, and has them learned one after the other; on the event loop's thread.

    Args:
        node: the node's name, which a signature covers.
        ask: has the worker of a pipeline send its features; returns False where there is none.
        learn: learns one lesson, and returns what came of it; called in a thread.
    """

    def __init__(self, node: str, ask: Callable[[str], bool], learn: Learn | None = None) -> None:
        self._node = node
        self._ask = ask
        self._learn = learn or _learned
        self._sections: dict[str, PipelineSection] = {}
        self._secrets: dict[str, bytes] = {}
        self._buckets: dict[str, TokenBucket] = {}
        self._waiting: dict[str, tuple[str, asyncio.TimerHandle]] = {}  # pipelines: label
        self._newest: dict[str, float] = {}  # the time of the last signed lesson
        self._tasks: set[asyncio.Task[None]] = set()
        self._learning: set[str] = set()
        self._found: dict[str, Taught] = {}
        self._state_dir = ""

    def configure(self, config: Config) -> None:
        """Take the pipelines that learn this way from a configuration."""
        self._state_dir = str(config.state_dir)
        self._sections = {n: s for n, s in config.pipelines.items() if s.teach is not None}
        self._found = {name: self._found.get(name, Taught()) for name in self._sections}
        self._buckets = {n: self._buckets.get(n) or TokenBucket(1 / EVERY_S, BURST) for n in self._sections}
        self._secrets = {}
        for name, section in self._sections.items():
            file = section.teach.secret_file if section.teach is not None else None
            try:
                if file is not None:
                    self._secrets[name] = read_secret(file).reveal().encode()
            except ConfigError as error:
                log.error("%s: lessons are refused: %s", name, error.problems[0])  # noqa: TRY400 - a sentence

    def all(self) -> Mapping[str, Taught]:
        """Return what the lessons came to, by pipeline."""
        return self._found

    def answer(self, payload: bytes) -> bytes:
        """Take a lesson; return the result as JSON. That a lesson was taken does not mean it was learned.

        Nothing that the sender wrote is repeated in it but the name of a pipeline that exists.
        """
        try:
            name, label = self._checked(payload)
        except _Refused as refused:
            if refused.pipeline:
                self._refuse(refused.pipeline, str(refused))
                return _json({"verb": "teach", "done": [], "refused": {refused.pipeline: str(refused)}})
            return _json({"verb": "teach", "error": str(refused)})
        if label is None:
            self._start(name, {"undo": True})
        else:
            timer = asyncio.get_running_loop().call_later(PICTURE_S, self._late, name)
            self._waiting[name] = (label, timer)
        return _json({"verb": "teach", "done": [name], "refused": {}})

    def _checked(self, payload: bytes) -> tuple[str, str | None]:
        """Return the pipeline and the label of a lesson that is accepted; no label: take the last one back.

        Raises:
            _Refused: it is not.
        """
        given = _read(payload)
        name, label, undo = given.get("pipeline"), given.get("label"), given.get("undo", False)
        section = self._sections.get(name) if isinstance(name, str) else None
        if section is None or section.teach is None or not isinstance(name, str):
            raise _Refused("no such pipeline learns over MQTT (key teach)")
        if undo is True and label is None:
            label = None
        elif undo is not False or not isinstance(label, str) or not 0 < len(label) <= 128:
            raise _Refused("write a label, or undo: true", name)
        if section.teach.allow == "signed":
            self._verify(name, label, given.get("at"), given.get("mac"))
        if name in self._waiting or name in self._learning:
            raise _Refused("the lesson before it is not learned yet", name)
        if not self._buckets[name].take():
            raise _Refused(f"more than {BURST} lessons at once, or one in {EVERY_S:g} s", name)
        if label is not None and not self._ask(name):
            raise _Refused("its worker is not running", name)
        return name, label

    def _verify(self, name: str, label: str | None, at: object, mac: object) -> None:
        secret = self._secrets.get(name)
        if type(at) is not int or not isinstance(mac, str) or secret is None:
            raise _Refused("it is not signed", name)
        what = f"teach\n{label}" if label is not None else "undo\n"
        signed = f"{self._node}\n{name}\n{what}\n{at}".encode(errors="replace")
        right = hmac.new(secret, signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(right.encode(), mac.encode(errors="replace")):
            raise _Refused("its signature is wrong", name)
        if abs(clock.wall() - at) > FRESH_S:
            raise _Refused(f"its time is more than {FRESH_S:g} s from this node's", name)
        if at <= self._newest.get(name, 0.0):
            raise _Refused("it is not newer than the lesson before it", name)
        self._newest[name] = at

    def features(self, report: Features) -> None:
        """Take the features of the last picture of a pipeline; empty: it has judged none yet."""
        name = report.pipeline
        label, timer = self._waiting.pop(name, ("", None))
        if timer is None:
            return  # it comes too late
        timer.cancel()
        if not report.values:
            self._refuse(name, "it has judged no picture yet")
        elif name in self._sections:
            self._start(name, {"label": label, "row": report.values})

    def _late(self, name: str) -> None:
        if self._waiting.pop(name, None) is not None:
            self._refuse(name, f"its worker gave no features within {PICTURE_S:g} s")

    def _start(self, name: str, lesson: dict[str, Any]) -> None:
        folder = self._sections[name].model.taught
        request = {"state_dir": self._state_dir, "folder": str(folder), **lesson}
        self._learning.add(name)
        task = asyncio.get_running_loop().create_task(self._have_learned(name, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _have_learned(self, name: str, request: dict[str, Any]) -> None:
        try:
            found = await within(LEARN_S + 5, lambda: self._learn(request))
        except (ChildFailed, TimeoutError) as error:
            log.warning("%s: a lesson was not learned: %s", name, str(error) or "no answer in time")
            self._refuse(name, "its process failed")
        else:
            if refused := str(found.get("refused", "")):
                self._refuse(name, refused)
            else:
                self._learned(name, str(found.get("learned", "")))
        finally:
            self._learning.discard(name)

    def _learned(self, name: str, sentence: str) -> None:
        log.info("%s: a lesson over MQTT: %s", name, sentence)
        if name in self._found:
            found = self._found[name]
            self._found[name] = replace(found, lessons=found.lessons + 1, last="learned")

    def _refuse(self, name: str, sentence: str) -> None:
        log.info("%s: a lesson over MQTT was refused: %s", name, sentence)
        if name in self._found:
            found = self._found[name]
            self._found[name] = replace(found, refused=found.refused + 1, last=f"refused: {sentence}")


class _Refused(Exception):  # noqa: N818 - a result, not an error of ours
    """A lesson is not accepted; the sentence tells why.

    Args:
        sentence: for whoever sent it.
        pipeline: the pipeline that it is for; empty: there is none.
    """

    def __init__(self, sentence: str, pipeline: str = "") -> None:
        super().__init__(sentence)
        self.pipeline = pipeline


def _read(payload: bytes) -> dict[str, Any]:
    if len(payload) > _LONGEST:
        raise _Refused(f"it is longer than {_LONGEST} bytes")
    try:
        given: Any = json.loads(payload)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict) or not given.keys() <= _KEYS:
        raise _Refused('write {"pipeline": NAME, "label": LABEL} or {"pipeline": NAME, "undo": true}')
    return given


def _learned(request: dict[str, Any]) -> dict[str, Any]:
    """Have a process of its own learn a lesson. Raises ``ChildFailed``."""
    found = list(answers(_MODULE, json.dumps(request).encode(), LEARN_S))
    if len(found) != 1:
        raise ChildFailed("its process ended without an answer")
    return found[0]


def _json(data: dict[str, object]) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
