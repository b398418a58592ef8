"""``edged try -c``: a pipeline of a configuration on a recording, and what is expected of it."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from edged import sources
from edged.config import loader, needs
from edged.config.source import SOURCES
from edged.errors import Refused
from edged.ipc.replay_request import Judged, ReplayRequest
from edged.models.runtimes import default_threads
from edged.sources import SourceConfig, Viewing, discovery
from edged.sources.sound_config import SoundConfig
from edged.system.child import ChildFailed, answers
from edged.system.files import open_regular
from edged.system.isolation import not_isolated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from edged.config.pipeline import PipelineSection
    from edged.sources import InputConfig

PATIENCE_S = 90.0  # without an answer: slow boards import for 10 s
_MODULE = "edged.worker.replay"
_MOST_EXPECTED = 64_000_000  # bytes
_OF_CAMERA = ("interval_s", "rotate", "crop", "mask")  # keys that a recording takes over
_OF_MICROPHONE = ("rate_hz", "window_s", "hop_s", "features", "feature_step_s")
_OF_LINES = ("interval_s",)
_ONCE = {"loop": False, "watch": False, "realtime": False}
_RECORDINGS = {"picture": "a photograph, a folder or a video", "text": "a .txt file", "window": "a .wav file"}
_HOW_TO_EXPECT = "each line needs source and decision; `edged try -c … --source … --json` prints such lines"


@dataclass(frozen=True)
class Trial:
    """A pipeline on a recording.

    Attributes:
        name: the pipeline's name.
        section: its part of the configuration, with the recording as its source.
        notes: what is not tried, in sentences.
    """

    name: str
    section: PipelineSection
    notes: tuple[str, ...]

    @property
    def noun(self) -> str:
        """The word for one of its samples."""
        gives = self.section.source.gives
        return "line" if gives == "text" else gives


def choose(config: Path, pipeline: str | None, source: str | None) -> Trial:
    """Return what the command line asks for.

    Args:
        config: the file of the configuration.
        pipeline: the pipeline's name; None: the only one.
        source: the recording; None: the pipeline's own source, where it is one.

    Raises:
        ConfigError: the configuration is wrong.
        Refused: there is no such pipeline or recording, or it cannot be tried on one.
    """
    pipelines = loader.load(config).pipelines
    name = _only(pipelines) if pipeline is None else pipeline
    if name not in pipelines:
        close = difflib.get_close_matches(name, pipelines, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(pipelines)}"
        raise Refused(f"{config} has no pipeline {name}: {hint}", os.EX_USAGE)
    section = pipelines[name]
    if not _taken_over(section.source):
        what = f"{name} takes the {section.source.gives}s that {section.source.kind} gives"
        raise Refused(f"{what}: only pictures, sound and text can be tried on recordings", os.EX_USAGE)
    model = section.model
    if section.accelerator.kind == "edgetpu" and not (model.file or model.name or model.taught):
        raise Refused(f"{name} has only edgetpu_file: recordings are tried on the CPU, which needs file")
    recording = _recording(section.source, source, name)
    untried = [key for key in ("gate", "trigger", "attach") if getattr(section, key)]
    notes = [f"{name}: {' and '.join(untried)} cannot be tried on a recording: every sample is judged"]
    if section.accelerator.policy != "cpu":
        notes.append(f"{name}: tried on the CPU, with its model for the CPU")
    update = {"source": recording, "gate": None, "trigger": None, "attach": ()}
    return Trial(name, section.model_copy(update=update), tuple(notes[not untried :]))


def _only(pipelines: Iterable[str]) -> str:
    names = list(pipelines)
    if len(names) != 1:
        raise Refused(f"write --pipeline P: there are {', '.join(names) or 'none'}", os.EX_USAGE)
    return names[0]


def _recording(own: InputConfig, source: str | None, name: str) -> InputConfig:
    """Return the source of the recording, with those of the pipeline's own keys that concern its samples."""
    recordings = _RECORDINGS[own.gives]
    if source is None:
        if not _is_recording(own):
            what = f"the source of {name} is not a recording: write --source with {recordings}"
            raise Refused(f"{what}; `edged run` works on what is there now", os.EX_USAGE)
        given: dict[str, Any] = own.model_dump(mode="json")
        return _read({key: _ONCE.get(key, value) for key, value in given.items()}, name)
    offer = discovery.recognise(source, Viewing(), own.gives)
    keys = {} if offer is None else dict(offer.keys)
    if offer is None or not _is_recording(_read(keys, source)):
        there = "://" in source or os.path.lexists(source)
        what = f"it is not {recordings}" if there else "there is no such file or folder"
        raise Refused(f"--source {source}: {what}", os.EX_NOINPUT)
    given = own.model_dump(mode="json")
    taken_over = {key: given[key] for key in _taken_over(own) if given.get(key) is not None}
    return _read(keys | taken_over, source)


def _taken_over(own: InputConfig) -> tuple[str, ...]:
    """Return the keys of a source that hold for a recording, too; none: it cannot be tried on one."""
    if isinstance(own, SourceConfig):
        return _OF_CAMERA
    if isinstance(own, SoundConfig):
        return _OF_MICROPHONE
    return _OF_LINES if own.gives == "text" else ()


def _read(keys: dict[str, Any], what: str) -> InputConfig:
    try:
        return SOURCES.read(keys)
    except ValidationError as error:
        raise Refused(f"{what}: {error.errors()[0]['msg']}", os.EX_USAGE) from None


def _is_recording(config: InputConfig) -> bool:
    return hasattr(sources.load(config.kind), "recorded") and not needs.of_source(config).network


def judge(trial: Trial, count: int | None, note: Callable[[str], None]) -> Iterator[Judged]:
    """Yield each picture as it is judged.

    Args:
        trial: what to try.
        count: stop after this many pictures; None: at the end.
        note: takes notes for the user.

    Raises:
        Refused: the model or the recording cannot be used.
    """
    section = trial.section
    request = ReplayRequest(trial.name, section.model_dump(mode="json"), default_threads(1), count)
    received = answers(_MODULE, request.to_json(), PATIENCE_S, needs.of_replay(section))
    with contextlib.closing(received):
        try:
            for answer in received:
                if "picture" in answer:
                    yield Judged.from_data(answer["picture"])
                elif "note" in answer:
                    note(str(answer["note"]))
                elif "error" in answer:
                    raise Refused(str(answer["error"]), os.EX_NOINPUT)
                elif not answer["found"]["isolation"]:
                    note(not_isolated("WARNING: the process that holds the pictures"))
        except ChildFailed as failed:
            raise Refused(f"the recording cannot be tried: {failed}") from None


def line(picture: Judged) -> dict[str, Any]:
    """Return a picture as a line of JSON; those of a recording are the same each time."""
    data: dict[str, Any] = {"source": picture.source, "at_s": round(picture.at_s, 3)}
    if picture.left_out:
        data["left_out"] = picture.left_out
    else:
        data |= {"label": picture.label, "score": round(picture.score, 4)}
        data["top"] = [{"label": label, "score": round(score, 4)} for label, score in picture.top]
    return data | {"decision": picture.decision, "news": list(picture.news)}


class Sum:
    """The sum of a trial.

    Args:
        noun: what a sample is called.
    """

    def __init__(self, noun: str = "picture") -> None:
        self._noun = noun
        self._pictures = self._left_out = 0
        self._until_s = 0.0
        self._decided: Counter[str] = Counter()
        self._news: Counter[str] = Counter()

    def add(self, picture: Judged) -> None:
        """Take a picture."""
        self._pictures += 1
        self._until_s = picture.at_s
        self._decided[picture.decision] += 1
        self._left_out += bool(picture.left_out)
        self._news.update(picture.news)

    @property
    def empty(self) -> bool:
        """Return whether there was no picture."""
        return not self._pictures

    def lines(self) -> list[str]:
        """Return it for people, in two lines."""
        count = f"{self._pictures} {self._noun}{'' if self._pictures == 1 else 's'}"
        over = f" over {self._until_s:.1f} s" if self._until_s else ""
        decided = ", ".join(f"{label} {number}" for label, number in self._decided.most_common())
        news = ", ".join(f"{kind} {self._news[kind]}" for kind in ("start", "change", "end"))
        left_out = f"; left out {self._left_out}" if self._left_out else ""
        return [f"{count}{over}: {decided}{left_out}", f"news: {news}"]


def expected(path: Path) -> list[tuple[str, str]]:
    """Return what a file expects: the name of each picture, and the decision after it.

    Raises:
        Refused: it cannot be read, or has another form.
    """
    try:
        with open_regular(path) as file:
            text = file.read(_MOST_EXPECTED).decode()
    except OSError as error:
        raise Refused(f"--expect {path}: {(error.strerror or str(error)).lower()}", os.EX_NOINPUT) from None
    except UnicodeDecodeError:
        raise Refused(f"--expect {path}: it is not UTF-8 text", os.EX_DATAERR) from None
    found = []
    for number, each in enumerate(text.splitlines(), 1):
        if not each.strip() or each.lstrip().startswith("#"):
            continue
        try:
            data = json.loads(each)
            pair = data["source"], data["decision"]
        except (ValueError, KeyError, TypeError, RecursionError):
            pair = None, None
        if not all(isinstance(text, str) for text in pair):
            raise Refused(f"--expect {path}:{number}: {_HOW_TO_EXPECT}", os.EX_DATAERR)
        found.append(pair)
    return found


def differences(wanted: Sequence[tuple[str, str]], seen: Sequence[tuple[str, str]]) -> list[str]:
    """Return what differs, as a diff: ``-`` what was expected, ``+`` what was decided, in order.

    Args:
        wanted: as :func:`expected` returns it.
        seen: the pictures that were judged, in the same form.
    """
    old, new = ([f"{source}: {decision}" for source, decision in pairs] for pairs in (wanted, seen))
    lines = difflib.unified_diff(old, new, "expected", "decided", n=0, lineterm="")
    return [each for each in lines if not each.startswith("@@")]
