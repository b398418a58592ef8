"""One conversion: from a source to files that were run, judged and written."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import importlib.util
import json
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import edged
from edged.errors import ModelError, Refused
from edged.ipc.bench_request import Answers
from edged.ipc.convert_request import WHOLE, ConvertRequest
from edged.models import labels as label_files
from edged.models import runtimes
from edged.models.normalization import Normalization
from edged.models.tflite import annotation, operators
from edged.models.tflite import file as tflite_file
from edged.models.tflite.writer import Uncopied
from edged.system.child import ChildFailed, answers
from edged.system.isolation import not_isolated
from edged.system.needs import Needs
from edged.tools.bench.target import Target
from edged.tools.convert import pictures, trial, verdict
from edged.tools.convert.core_ml import SUFFIX, PackageTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from edged.models.label_text import LabelList
    from edged.models.tflite.operators import Step
    from edged.tools.convert.source import Source

_MODULE = "edged.worker.convert"
INSTALL = "pip install 'edged[convert]'"
CALIBRATION = 200  # photographs
COMPARED = 500
_FEW = 20
_SPARE_MB = 3000  # free memory that large models need


@dataclass(frozen=True)
class Options:
    """What the command line asks for.

    Attributes:
        source: what to convert.
        out: the .tflite file to make, or the .mlpackage.
        mode: ``none``, ``float16``, ``dynamic``, ``int8`` or ``uint8``.
        images: a folder of photographs, or of a folder of them for each label; None: the bundled ones.
        inputs, outputs: names; empty: find them.
        shape: of the input; empty: the source's.
        values: the keys of ``model`` about the values of pixels.
        targets: the runtimes that the result is for.
        labels: a label file; None: none.
        least: the least share of photographs on which source and result must agree; None: by mode.
        memory_mb: for TensorFlow; 0: what is free.
        patience_s: the longest silence of TensorFlow.
        layers: measure which layers quantisation changes most.
    """

    source: Source
    out: Path
    mode: str = "none"
    images: Path | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    targets: tuple[str, ...] = tuple(runtimes.RUNTIMES)
    labels: Path | None = None
    least: float | None = None
    memory_mb: int = 0
    patience_s: float = 900.0
    layers: bool = False

    @property
    def core_ml(self) -> bool:
        """Whether the result is a Core ML package."""
        return self.out.suffix == SUFFIX


@dataclass
class _Made:
    """What the process with TensorFlow gave back."""

    source: dict[str, Any] = field(default_factory=dict)
    rows: dict[int, list[float]] = field(default_factory=dict)
    tried: dict[str, float] = field(default_factory=dict)
    n_tried: int = 0
    calibrated: dict[str, Any] | None = None
    layers: list[list[Any]] = field(default_factory=list)
    parts: dict[str, bytearray] = field(default_factory=dict)
    core_ml: dict[str, Any] | None = None
    ended: dict[str, Any] = field(default_factory=dict)

    def keep(self, answer: dict[str, Any]) -> None:
        """Keep a result."""
        if "row" in answer:
            self.rows[int(answer["of"])] = answer["row"]
        elif "tried" in answer:
            self.tried[str(answer["tried"])] = float(answer["top1"])
            self.n_tried = int(answer["n"])
        elif "calibrated" in answer:
            self.calibrated = answer["calibrated"]
        elif "part" in answer:
            self.parts.setdefault(answer["part"], bytearray()).extend(base64.b64decode(answer["data"]))
        elif "core_ml" in answer:
            self.core_ml = answer["core_ml"]
        elif "ended" in answer:
            self.ended = answer["ended"]


class Conversion:
    """One conversion.

    Args:
        options: what to do.
        note: takes a sentence for the user, such as the stage that begins.

    Raises:
        Refused: it cannot be done, as far as that shows before TensorFlow starts.
    """

    def __init__(self, options: Options, note: Callable[[str], None]) -> None:
        self._options = options
        self._note = note
        if options.source.kind == "tflite" and options.mode not in {"none", *WHOLE}:
            raise Refused(
                f"a .tflite file becomes int8 or uint8; {options.mode} is made from what it was made from",
                os.EX_USAGE,
            )
        if options.layers and options.mode not in WHOLE:
            raise Refused("--layers goes with --quantize int8 or uint8", os.EX_USAGE)
        needed = options.source.kind != "tflite" or options.mode in WHOLE
        if needed and importlib.util.find_spec("tensorflow") is None:
            raise Refused(f"this needs TensorFlow, on a PC rather than on a board: {INSTALL}")
        self._runtimes = self._targets()
        self._labels: LabelList | None = label_files.load(options.labels) if options.labels else None
        self._answers: tuple[tuple[int, ...], ...] = ()
        self._pictures, folders = pictures.chosen(options.images, COMPARED)
        if self._labels is not None and any(folders):
            self._answers = self._right(folders)
        if options.mode in WHOLE and options.images is None:
            raise Refused(
                f"--quantize {options.mode} needs --images, a folder of photographs as the camera will see "
                "them: they set the range of every layer",
                os.EX_USAGE,
            )
        if options.core_ml:
            _check_core_ml(options)
        # A package itself cannot run here: what runs is the float .tflite of the same source.
        self._mode = "none" if options.core_ml else options.mode
        self._target = PackageTarget(options.out) if options.core_ml else Target(options.out)
        self._record = Target(record_of(options.out))

    def run(self) -> dict[str, Any]:
        """Convert, run the results, and write them.

        Returns:
            What OUT.tflite.json says.

        Raises:
            Refused, ModelError: nothing was written; one sentence says why.
        """
        made = self._make()
        plain = bytes(made.parts["float"])
        result = bytes(made.parts.get("made") or plain)
        own = verdict.accuracy(made.rows, self._answers)
        verdict.check_values(made.source, self._options.mode, made.tried, made.n_tried, own)
        if made.calibrated is not None:
            verdict.check_calibration(made.calibrated, made.source)
        result = self._annotated(result, made.source)
        with tempfile.TemporaryDirectory(prefix="edged-convert-") as folder:
            steps = self._inspect(Path(folder), result, made)
            runs = self._try(Path(folder), plain, made)
        record = self._recorded(made, plain, result, steps, runs) | {"accuracy_of_source": own}
        if isinstance(self._target, PackageTarget):
            result = bytes(made.parts["package"])
            record |= {"bytes": len(result), "sha256": hashlib.sha256(result).hexdigest(), "edgetpu": None}
            self._note("the package itself runs on Apple's systems only: nothing here has run it")
        self._target.write(result)
        self._record.write((json.dumps(record, indent=2) + "\n").encode())
        return record

    def _targets(self) -> dict[str, str]:
        """Return the targets that are installed, with their versions; say which are not."""
        there = runtimes.available()
        found = {}
        for name in self._options.targets:
            try:
                found[name] = there[runtimes.choose(name)]
            except ImportError as error:
                self._note(f"not checked in {name}: {error}")
        if not found:
            raise Refused(f"none of the targets is installed here ({', '.join(self._options.targets)})")
        return found

    def _right(self, folders: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        names = list(self._labels.names) if self._labels is not None else []
        known = Answers(names)
        right = [tuple(names.index(name) for name in known.meant_by(folder)) for folder in folders]
        strange = sorted({folder for folder, classes in zip(folders, right, strict=True) if not classes})
        if strange:
            self._note(f"no label is called {', '.join(strange[:5])}: these photographs count as unknown")
        return tuple(right)

    def _make(self) -> _Made:
        """Have TensorFlow convert the source. Raises ``Refused`` or ``ModelError`` where it cannot."""
        with tempfile.NamedTemporaryFile(prefix="edged-convert-", suffix=".log", delete=False) as log:
            try:
                made = self._converted(log)
            except (Refused, ModelError) as error:
                if not log.seek(0, os.SEEK_END):
                    Path(log.name).unlink()
                    raise
                said = f"{error}; what TensorFlow printed is in {log.name}"
                raise (
                    Refused(said, error.status) if isinstance(error, Refused) else ModelError(said)
                ) from None
            except BaseException:
                Path(log.name).unlink()
                raise
        Path(log.name).unlink()
        return made

    def _converted(self, log: IO[bytes]) -> _Made:
        made, options = _Made(), self._options
        request = self._request()
        files = {str(path.parent) for path in options.source.files} | set(_folders(self._pictures))
        needs = Needs(files=(str(options.source.path.parent), *sorted(files)))
        try:
            received = answers(_MODULE, request.to_json(), options.patience_s, needs, output=log)
            with contextlib.closing(received):
                for answer in received:
                    self._take(made, answer)
        except ChildFailed as failed:
            # TensorFlow aborts where it gets no memory.
            memory = (
                f"; it may take {request.memory_mb} MB of memory (--memory-mb)"
                if "SIG" in str(failed)
                else ""
            )
            raise Refused(f"TensorFlow did not convert it: {failed}{memory}") from None
        if not made.ended:
            raise Refused("TensorFlow's process ended without a result")
        return made

    def _request(self) -> ConvertRequest:
        options, free = self._options, _free_mb()
        if 0 < free < _SPARE_MB and not options.memory_mb:
            self._note(f"only {free} MB of memory are free: large models need {_SPARE_MB}")
        return ConvertRequest(
            kind=options.source.kind,
            source=str(options.source.path),
            graph=str(options.source.graph or ""),
            inputs=options.inputs,
            outputs=options.outputs,
            shape=options.shape,
            mode=options.mode,
            pictures=self._pictures,
            calibration=CALIBRATION if options.mode in WHOLE else 0,
            answers=self._answers,
            values=options.values,
            old_runtimes="tflite-runtime" in options.targets,
            memory_mb=options.memory_mb or free,
            layers=options.layers,
            core_ml=options.core_ml,
            labels=self._labels.names if self._labels is not None else (),
        )

    def _take(self, made: _Made, answer: dict[str, Any]) -> None:
        """Take one answer of the process, and check it as soon as it can be."""
        if "error" in answer:
            raise ModelError(str(answer["error"]))
        if "stage" in answer:
            self._note(str(answer["stage"]))
        elif "source" in answer:
            made.source = answer["source"]
            self._hear(made.source)
        elif answer.get("network"):
            self._note(not_isolated("WARNING: the process with TensorFlow"))
        elif "layers" in answer:
            made.layers = answer["layers"]
            for name, error in made.layers:
                self._note(f"layer {str(name).partition(';')[0]}: off by {error:g} steps of its scale")
        else:
            made.keep(answer)

    def _hear(self, source: Mapping[str, Any]) -> None:
        options = self._options
        given = source["values"] if "normalize" in options.values else None
        verdict.check_given(given, source["graph"])
        if source["guessed"]:
            self._note(
                f"input {source['input']} and output {source['output']} were found in the graph: name others "
                "with --inputs and --outputs"
            )
        if source["origin"] == "assumed" and options.mode not in WHOLE:
            self._note(
                f"pixels are assumed to become {source['values']}: write --normalize where that is wrong"
            )
        if self._labels is not None:
            label_files.fit(self._labels, int(source["classes"]), str(options.labels))
        if options.mode in WHOLE and len(self._pictures) < _FEW:
            self._note(f"{len(self._pictures)} photographs are few: take {CALIBRATION} where you can")

    def _annotated(self, result: bytes, source: Mapping[str, Any]) -> bytes:
        """Return the result with its labels, and with the values for pixels that are more than a guess."""
        labels: tuple[str, ...] = ()
        if self._labels is not None:
            labels = label_files.fit(self._labels, int(source["classes"]), str(self._options.labels))
        values = None
        if source["origin"] != "assumed" and source["order"] == "rgb":
            values = Normalization(tuple(source["mean"]), tuple(source["std"]))
        try:
            return annotation.annotate(result, labels, values)
        except Uncopied as error:
            self._note(f"labels and values for pixels are not written into it: {error}")
            return result

    def _inspect(self, folder: Path, result: bytes, made: _Made) -> tuple[Step, ...]:
        """Check what the file promises. Raises ``Refused``."""
        file = folder / self._options.out.name
        file.write_bytes(result)
        steps = operators.read(result, str(self._options.out))
        verdict.check_file(tflite_file.read(file), steps, self._mode, made.source)
        return steps

    def _try(self, folder: Path, plain: bytes, made: _Made) -> dict[str, dict[str, Any]]:
        """Run the result in each runtime, beside the float one, and compare it with its source."""
        options, found = self._options, {}
        least = verdict.LEAST_AGREEMENT[self._mode] if options.least is None else options.least
        file, twin = folder / options.out.name, folder / "float.tflite"
        twin.write_bytes(plain)
        for name, version in self._runtimes.items():
            self._note(f"running the result in {name} {version}")
            run = trial.run(file, name, self._pictures, options.values)
            agreement = verdict.compare(made.rows, run.rows, self._answers)
            verdict.check_agreement(f"{name} {version}", agreement, least, self._mode)
            before = run if self._mode == "none" else trial.run(twin, name, self._pictures, options.values)
            found[name] = {
                "version": version,
                **agreement.to_data(),
                "invoke_ms": run.invoke_ms,
                "invoke_ms_float32": before.invoke_ms,
            }
        return found

    def _recorded(
        self,
        made: _Made,
        plain: bytes,
        result: bytes,
        steps: Sequence[Step],
        runs: Mapping[str, Mapping[str, Any]],
    ) -> dict[str, Any]:
        options = self._options
        source = options.source
        return {
            "edged": edged.__version__,
            "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "source": {
                "path": str(source.path),
                "kind": source.kind,
                "bytes": source.size,
                "sha256": source.sha256,
                **{key: made.source[key] for key in ("input", "output", "shape", "guessed")},
            },
            "quantize": options.mode,
            "normalize": {key: made.source[key] for key in ("values", "origin")},
            "calibrated_with": made.calibrated,
            "photographs": {"folder": str(options.images or "bundled"), "n": len(made.rows)},
            "labels": str(options.labels) if options.labels else None,
            "tensorflow": made.ended["tensorflow"],
            "file": options.out.name,
            "bytes": len(result),
            "bytes_float32": len(plain),
            "sha256": hashlib.sha256(result).hexdigest(),
            "operators": operators.versions(steps),
            "runtimes": dict(runs),
            "not_checked_in": sorted(set(options.targets) - set(runs)),
            "core_ml": made.core_ml,
            "worst_layers": made.layers,
            "edgetpu": operators.against_edgetpu(steps),
            "seconds": made.ended["seconds"],
            "peak_mb": made.ended["peak_mb"],
        }


def _check_core_ml(options: Options) -> None:
    """Refuse what no Core ML package can be made of here."""
    if options.mode not in {"none", "float16"}:
        raise Refused(
            f"a Core ML package is made with --quantize none or float16, not {options.mode}", os.EX_USAGE
        )
    if options.source.kind == "tflite":
        raise Refused(
            "a Core ML package is made of what TensorFlow saved, not of a .tflite file", os.EX_USAGE
        )
    if importlib.util.find_spec("coremltools") is None:
        raise Refused("this needs coremltools: pip install 'edged[convert,coreml]'")


def record_of(out: Path) -> Path:
    """Return the file that says how a model was made."""
    return out.with_name(f"{out.name}.json")


def _folders(files: Sequence[str]) -> Iterator[str]:
    for file in files:
        yield str(Path(file).parent)
        yield os.path.dirname(os.path.realpath(file))  # noqa: PTH120 - text


def _free_mb() -> int:
    """Return the memory that is free, in MB; 0 where the kernel does not say it."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) // 1024
    return 0
