"""Teaches, examines and changes models: starts the process that sees examples, and stores its result."""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edged.config.needs import of_lesson
from edged.errors import ModelError, Refused
from edged.ipc.teach_request import STRANGER, TeachRequest
from edged.models.taught import embedder, head_file
from edged.models.taught.head_file import CORRECTED, NUMBER, OTHER, Gates, HeadFile, Taught
from edged.models.taught.store import EMBEDDER, HEAD, Store
from edged.models.tflite import embedding
from edged.models.tflite import file as tflite_file
from edged.system.child import ChildFailed, answers
from edged.system.files import copy_regular
from edged.system.isolation import not_isolated
from edged.tools.teach import evaluation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from edged.tools.teach.examples import Examples

# Corrections may bring a label to this many examples, or to this many times those of the least taught label.
CORRECTIONS, SHARE = 20, 3
PATIENCE_S = 90.0  # without an answer: slow boards import for 10 s, a camera needs a while
_MODULE = "edged.worker.teach"
_DENIED = "Permission denied"
_HINT = "; put the examples where everybody may read them: the process that looks at them has no privileges"


class Watcher(Protocol):
    """Receives the progress of a lesson."""

    def progress(self, done: int, total: int) -> None:
        """Take the number of examples that were looked at."""

    def taken(self, number: int, total: int) -> None:
        """Take the number of the picture that was just taken."""

    def note(self, sentence: str) -> None:
        """Take a note for the user."""


class Teacher:
    """Teaches and examines the taught models of a state directory.

    Args:
        state_dir: the state directory.
        watcher: receives the progress.
        fit: how pictures are fitted to the embedder's input.
        values: the keys of ``model`` about the values of pixels, such as ``normalize``.
        runtime: ``auto``, ``litert`` or ``tflite-runtime``.
    """

    def __init__(
        self,
        state_dir: Path,
        watcher: Watcher,
        *,
        fit: str = "stretch",
        values: Mapping[str, Any] | None = None,
        runtime: str = "auto",
    ) -> None:
        self.store = Store(state_dir)
        self._watcher = watcher
        self._fit, self._values, self._runtime = fit, dict(values or {}), runtime

    def teach(self, name: str, examples: Examples, model: Path) -> dict[str, Any]:
        """Teach a model these examples; make it where it does not exist.

        Args:
            name: the model.
            examples: what to show it.
            model: the classifier or embedder that a new model gets its features from.

        Returns:
            What leaving each example out tells, with ``version`` and ``seconds``.

        Raises:
            Refused: it cannot be stored, or another process teaches it.
            ModelError: the model or the examples cannot be used.
        """
        began = time.monotonic()
        before = self.store.read(name)
        if before is not None and before.gives != examples.gives:
            raise Refused(f"{name} was taught with {before.gives}s; choose another name", os.EX_USAGE)
        labels = tuple(dict.fromkeys((*(before.labels if before else ()), *examples.labels)))
        if len(labels) > head_file.MAX_LABELS:
            raise Refused(f"{name}: at most {head_file.MAX_LABELS} labels", os.EX_USAGE)
        with self.store.writing(name) as folder:
            request = self._request(folder, labels, before, examples)
            if examples.gives == "picture":
                file, sha256 = self._embedder(folder, before, model)
                request = replace(request, embedder=str(file), sha256=sha256)
            found = self._shown(folder, request, examples) if examples.keep else self._ask(request)
            report = _report(labels, found, began)
            old = before.counts if before is not None else {}
            more = {label: report["examples"].get(label, 0) - old.get(label, 0) for label in examples.labels}
            lessons = [Taught(time.time(), "taught", label, count) for label, count in more.items()]
            self._put(folder, request, before, found, lessons)
        return report | {"version": before.version + 1 if before else 1}

    def correct(self, name: str, label: str, row: bytes) -> dict[str, Any]:
        """Teach a model one example that a worker has the features of.

        Args:
            name: the model.
            label: one of its labels, or ``other``.
            row: the features, float16.

        Returns:
            As :meth:`teach`.

        Raises:
            Refused: there is no such model or label, or it has its share of the examples already.
            ModelError: the features do not fit the model.
        """
        began = time.monotonic()
        before = self._existing(name)
        if label not in (*before.labels, OTHER):
            raise Refused("its model has no such label; edged teach adds one on the device", os.EX_USAGE)
        if before.gives != "picture" or len(row) != NUMBER * before.features:
            raise ModelError("these are not features of its model")
        _refuse_more(before.counts, label)
        labels = tuple(dict.fromkeys((*before.labels, label)))
        with self.store.writing(name) as folder:
            request = TeachRequest(
                labels,
                head=str(folder / HEAD),
                row=base64.b64encode(row).decode(),
                answer=labels.index(label),
            )
            found = self._ask(request)
            report = _report(labels, found, began)
            self._put(folder, request, before, found, [Taught(time.time(), CORRECTED, label, 1)])
        return report | {"version": before.version + 1}

    def take_back(self, name: str) -> HeadFile:
        """Take back the last lesson, if it is one of :meth:`correct`; return the head before it.

        Raises:
            Refused: it is another one.
        """
        before = self._existing(name)
        if not before.history or before.history[-1].what != CORRECTED:
            raise Refused("the last lesson did not come over MQTT; edged teach NAME --undo takes it back")
        return self.store.undo(name)

    def forget(self, name: str, label: str) -> dict[str, Any]:
        """Take a label and its examples out of a model.

        Raises:
            Refused: it does not have that label, or no other one.
        """
        began = time.monotonic()
        before = self._existing(name)
        if label not in before.labels:
            raise Refused(f"{name} has no label '{label}'; it has {', '.join(before.labels)}", os.EX_USAGE)
        labels = tuple(one for one in before.labels if one != label)
        if not labels:
            raise Refused(f"{name} has no other label: edged teach {name} remove", os.EX_USAGE)
        with self.store.writing(name) as folder:
            request = TeachRequest(labels, head=str(folder / HEAD))
            found = self._ask(request)
            lesson = Taught(time.time(), "forgot", label, before.counts[label])
            self._put(folder, request, before, found, [lesson])
            self.store.drop_pictures(folder, label)
        return _report(labels, found, began) | {"version": before.version + 1}

    def examine(self, name: str, examples: Examples | None) -> dict[str, Any]:
        """Examine a model, with examples that it was not taught, or by leaving each of its own out.

        Args:
            name: the model.
            examples: with their right labels; labels that it does not know are strangers. None: its own.

        Raises:
            Refused: there is no such model, or the examples are of another kind.
        """
        began = time.monotonic()
        head = self._existing(name)
        folder = self.store.folder(name)
        request = TeachRequest(head.labels, head=str(folder / HEAD), examine=True)
        if examples is not None:
            if head.gives != examples.gives:
                raise Refused(f"{name} was taught with {head.gives}s", os.EX_USAGE)
            request = replace(self._request(folder, head.labels, head, examples), examine=True)
            if head.gives == "picture":
                request = replace(request, embedder=str(folder / EMBEDDER), sha256=head.embedder)
        found = self._ask(request)
        report: dict[str, Any] = {"top1": None} | _report(head.labels, found, began)
        if examples is not None:
            report |= _checked(evaluation.of_pictures, head.labels, found)
        noun = "photograph" if head.gives == "picture" else "sentence"
        report["pairs"] = evaluation.pairs(report["confusion"])
        report["next"] = evaluation.advice(head.counts, report["labels"], report["confusion"], noun)
        return report

    def _shown(self, folder: Path, request: TeachRequest, examples: Examples) -> dict[str, Any]:
        """Have a camera show the examples, and keep the pictures."""
        with self.store.keeping(folder, examples.label, examples.count) as (kept, files):
            found = self._ask(replace(request, keep=tuple(files)))
            self._watcher.note(f"{examples.count} pictures are kept in {kept}, for their owner alone")
        return found

    def _existing(self, name: str) -> HeadFile:
        head = self.store.read(name)
        if head is None:
            known = ", ".join(self.store.names()) or "none"
            raise Refused(f"there is no taught model {name}; there are: {known}", os.EX_NOINPUT)
        return head

    def _request(
        self, folder: Path, labels: tuple[str, ...], before: HeadFile | None, examples: Examples
    ) -> TeachRequest:
        known = {label: number for number, label in enumerate(labels)}
        return TeachRequest(
            labels=labels,
            head=str(folder / HEAD) if before is not None else "",
            files=tuple(str(path) for path, _ in examples.files),
            answers=tuple(known.get(label, STRANGER) for _, label in examples.files),
            camera=examples.camera,
            count=examples.count,
            interval_s=examples.interval_s,
            answer=known.get(examples.label, 0),
            fit=self._fit,
            values=self._values,
            runtime=self._runtime,
        )

    def _embedder(self, folder: Path, before: HeadFile | None, model: Path) -> tuple[Path, str]:
        """Return the embedder of a model and its checksum; cut it out of a classifier where there is none."""
        if before is not None:
            return folder / EMBEDDER, before.embedder
        whole = tflite_file.read(model, edgetpu=None)
        if whole.for_edgetpu:
            raise ModelError(
                f"{model}: it is compiled for the Edge TPU; teach with its twin for the CPU, and write the "
                "compiled one as model.edgetpu_file"
            )
        cut = embedding.cut(whole)
        file = self.store.put_embedder(folder, whole.content[:] if cut is None else cut)
        if cut is not None and whole.normalization is not None and not self._values:
            self._watcher.note(
                f"{model}: what its metadata say of pixels is lost; write it as normalize of the pipeline "
                "that uses the model, and teach with -c"
            )
        made = tflite_file.read(file)
        embedder.spec(made)
        return file, made.sha256

    def _put(
        self,
        folder: Path,
        request: TeachRequest,
        before: HeadFile | None,
        found: dict[str, Any],
        lessons: Sequence[Taught],
    ) -> None:
        """Check what the process sent, as if others had made it, and store it."""
        try:
            weights, bias, examples = (
                base64.b64decode(found[part], validate=True) for part in ("weights", "bias", "examples")
            )
            head = HeadFile(
                version=before.version + 1 if before else 1,
                gives=before.gives if before else "picture" if request.embedder else "text",
                embedder=before.embedder if before else request.sha256,
                features=int(found["features"]),
                labels=request.labels,
                answers=tuple(map(int, found["answers"])),
                gates=Gates(*map(float, found["gates"])),
                weights=weights,
                bias=bias,
                examples=examples,
                history=(*(before.history if before else ()), *lessons),
            )
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise ModelError(
                f"its process sent something that is not a head ({type(error).__name__})"
            ) from None
        head_file.read(folder / HEAD, head.to_bytes())
        self.store.put(folder, head)

    def _ask(self, request: TeachRequest) -> dict[str, Any]:
        """Have a process of its own look at the examples. Raises ``Refused`` where it fails."""
        with _readable(request) as own:
            return self._answered(own)

    def _answered(self, request: TeachRequest) -> dict[str, Any]:
        needs = of_lesson(request)
        reached = answers(_MODULE, request.to_json(), PATIENCE_S, needs, pass_fds=request.keep)
        try:
            with contextlib.closing(reached) as received:
                for answer in received:
                    if "error" in answer:
                        raise Refused(str(answer["error"]))
                    if "found" in answer:
                        return self._found(answer["found"])
                    if "taken" in answer:
                        self._watcher.taken(int(answer["taken"]), request.count)
                    else:
                        self._watcher.progress(int(answer["done"]), len(request.files))
        except ChildFailed as failed:
            raise Refused(f"{failed}{_HINT if _DENIED in str(failed) else ''}") from None
        raise Refused("its process ended without an answer")

    def _found(self, found: dict[str, Any]) -> dict[str, Any]:
        for path in found.get("unreadable", ()):
            self._watcher.note(f"{path} is left out: it cannot be read as a whole")
        if not found.get("isolation", True):
            self._watcher.note(not_isolated("WARNING: the process that sees the examples"))
        return found


def _refuse_more(counts: Mapping[str, int], label: str) -> None:
    """Refuse another correction of a label that has many more examples than another one."""
    others = {other: count for other, count in counts.items() if other != label}
    fewest = min(others, key=others.__getitem__, default="")
    most = max(CORRECTIONS, SHARE * others.get(fewest, 0))
    if counts.get(label, 0) >= most:
        has = f"that label has {counts[label]} examples and another one {others.get(fewest, 0)}"
        raise Refused(f"{has}: teach that first")


def _report(labels: Sequence[str], found: dict[str, Any], began: float) -> dict[str, Any]:
    return _checked(evaluation.of_examples, labels, found) | {"seconds": round(time.monotonic() - began, 3)}


def _checked(
    make: Callable[[Sequence[str], dict[str, Any]], dict[str, Any]],
    labels: Sequence[str],
    found: dict[str, Any],
) -> dict[str, Any]:
    """Return a report. Raises ``ModelError`` where the process sent what no report can be made of."""
    try:
        return make(labels, found)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ModelError(
            f"its process sent something that is not a result ({type(error).__name__})"
        ) from None


@contextlib.contextmanager
def _readable(request: TeachRequest) -> Iterator[TeachRequest]:
    """Let the process read embedder and head.

    Started by root it has no privileges, and both are the service's: so root hands over copies of its own.
    """
    named = {"embedder": request.embedder, "head": request.head}
    if os.geteuid() != 0 or not any(named.values()):
        yield request
        return
    with tempfile.TemporaryDirectory(prefix="edged-teach-") as folder:
        copies = {key: str(Path(folder, key)) if path else "" for key, path in named.items()}
        for key, path in named.items():
            if path:
                copy_regular(Path(path), Path(copies[key]), tflite_file.MAX_BYTES)
        yield replace(request, embedder=copies["embedder"], head=copies["head"])
