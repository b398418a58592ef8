"""Judges a converted model: what would be wrong without a word is refused here, with the reason."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from edged.errors import Refused
from edged.ipc.convert_request import WHOLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edged.models.tflite.file import ModelFile
    from edged.models.tflite.operators import Step

    Row = Sequence[float]

LEAST_AGREEMENT = {"none": 0.99, "float16": 0.98, "dynamic": 0.95, "int8": 0.95, "uint8": 0.95}
_OFF = 0.1  # of the range of the pixels, by which the range of a quantised input may differ
_FLAT = 0.02  # of the range of the pixels: the least standard deviation of photographs
_BETTER, _LEAST_TRIED = 0.2, 20
_SAME = 1e-4  # a difference of scores that is no difference


@dataclass(frozen=True)
class Agreement:
    """How well two models agree.

    Attributes:
        n: photographs.
        top1: the share of those whose best class is the same.
        difference: the greatest difference of two scores.
        accuracy: the share that the second one names rightly; None where nobody knows what is right.
    """

    n: int
    top1: float
    difference: float
    accuracy: float | None = None

    def to_data(self) -> dict[str, Any]:
        """Return it as data for JSON."""
        return {key: round(v, 6) if isinstance(v, float) else v for key, v in asdict(self).items()}


def compare(
    source: Mapping[int, Row], made: Mapping[int, Row], answers: Sequence[Sequence[int]] = ()
) -> Agreement:
    """Compare the scores of two models.

    Args:
        source: a row of scores of the source for each photograph, by its number.
        made: the same of the result.
        answers: for each photograph the classes that are right; empty: nobody knows.

    Raises:
        Refused: they gave rows of other lengths, or not for the same photographs.
    """
    if source.keys() != made.keys():
        raise Refused(f"the source answered {len(source)} photographs and the result {len(made)}")
    if any(len(source[number]) != len(made[number]) for number in source):
        raise Refused("the result has another number of scores than its source")
    if not source:
        raise Refused("no photograph can be read", os.EX_NOINPUT)
    same = sum(_agree(source[number], made[number]) for number in source)
    difference = max(abs(a - b) for n in source for a, b in zip(source[n], made[n], strict=True))
    return Agreement(len(source), same / len(source), difference, accuracy(made, answers))


def accuracy(rows: Mapping[int, Row], answers: Sequence[Sequence[int]]) -> float | None:
    """Return the share of photographs that are named rightly; None where nobody knows what is right."""
    right = [best(row) in answers[n] for n, row in rows.items() if n < len(answers) and answers[n]]
    return sum(right) / len(right) if right else None


def best(row: Row) -> int:
    """Return the number of the best class; a single score is that of the second of two."""
    if len(row) == 1:
        return int(row[0] >= 0.5)
    return max(range(len(row)), key=row.__getitem__)


def _agree(source: Row, made: Row) -> bool:
    """Return whether the best class is the same, or as good for the source."""
    if len(source) == 1:
        return best(source) == best(made) or abs(source[0] - made[0]) <= _SAME
    return max(source) - source[best(made)] <= _SAME


def check_values(
    source: Mapping[str, Any], mode: str, tried: Mapping[str, float], n: int, own: float | None
) -> None:
    """Refuse values for pixels that are not what the model was trained with, as far as that shows.

    Args:
        source: what the process told of the source.
        mode: the mode.
        tried: the accuracy with each of the usual values.
        n: on how many photographs.
        own: the accuracy with the values that are used.

    Raises:
        Refused: with the values to write.
    """
    if tried and own is not None and n >= _LEAST_TRIED:
        name, top1 = max(tried.items(), key=lambda item: item[1])
        if top1 > own + _BETTER:
            raise Refused(
                f"the source names {100 * own:.0f} % of the photographs rightly with {source['values']}, and "
                f"{100 * top1:.0f} % with {name}: write --normalize {name}",
                os.EX_DATAERR,
            )
    if mode in WHOLE and source["origin"] == "assumed":
        raise Refused(
            "nothing tells which values the source wants for pixels, and a quantised model keeps them for "
            "good: write --normalize, such as -1..1, 0..1, 0..255 or imagenet",
            os.EX_USAGE,
        )


def check_given(given: str | None, found: str) -> None:
    """Refuse values for pixels other than those that the first steps of the graph show.

    Args:
        given: the values of the command line, in words; None: none.
        found: what the graph shows; empty: nothing.

    Raises:
        Refused: they differ.
    """
    if given is not None and found and given != found:
        raise Refused(
            f"the first steps of the source scale pixels themselves, so it wants {found} and not {given}: "
            f"write --normalize {found}",
            os.EX_USAGE,
        )


def check_calibration(seen: Mapping[str, Any], source: Mapping[str, Any]) -> None:
    """Refuse photographs that quantisation cannot be calibrated with.

    Raises:
        Refused: they are too few, or all the same flat colour.
    """
    width = float(source["high"]) - float(source["low"])
    if not seen["n"]:
        raise Refused("no photograph of --images can be read, so nothing is quantised", os.EX_NOINPUT)
    if seen["spread"] < _FLAT * width:
        raise Refused(
            f"the {seen['n']} photographs of --images are nearly all of one colour, such as black: a model "
            "that is quantised with them is wrong on others; take photographs as the camera will see them",
            os.EX_DATAERR,
        )


def check_file(model: ModelFile, steps: Sequence[Step], mode: str, source: Mapping[str, Any]) -> None:
    """Refuse a file that is not what the mode promises.

    Args:
        model: the result.
        steps: its operators.
        mode: the mode.
        source: what the process told of the source.

    Raises:
        Refused: with the reason.
    """
    tensors = (*model.inputs, *model.outputs)
    if mode not in WHOLE:
        if any(not tensor.is_float for tensor in tensors):
            raise Refused(
                "its input or output is quantised, which the mode does not promise: use int8 or uint8"
            )
        kept = {v.dtype for step in steps for v in (*step.inputs, *step.outputs) if v.constant}
        wanted = {"float16": "float16", "dynamic": "int8"}.get(mode)
        if wanted is not None and wanted not in kept:
            raise Refused(f"nothing of it became {wanted}: its layers are too small; use --quantize none")
        return
    for tensor in tensors:
        if tensor.dtype != mode:
            raise Refused(
                f"TensorFlow gave a {tensor.dtype} model and not an {mode} one, without a word: the "
                "photographs of --images did not reach it"
            )
    real = sorted({step.name for step in steps if step.is_real})
    if real:
        raise Refused(f"it is not quantised throughout: {', '.join(real)} still work on real numbers")
    _check_range(model, source)


def _check_range(model: ModelFile, source: Mapping[str, Any]) -> None:
    low, high = model.inputs[0].range
    wanted_low, wanted_high = float(source["low"]), float(source["high"])
    slack = _OFF * (wanted_high - wanted_low)
    if abs(low - wanted_low) > slack or abs(high - wanted_high) > slack:
        raise Refused(
            f"the input of the result takes {low:.3g} to {high:.3g}, but pixels become {wanted_low:.3g} "
            f"to {wanted_high:.3g} with {source['values']}: the photographs of --images are too dark, "
            "too bright or too much alike; add others"
        )


def check_agreement(runtime: str, found: Agreement, least: float, mode: str) -> None:
    """Refuse a result that does not do what its source does.

    Raises:
        Refused: they agree on too few photographs.
    """
    if found.top1 < least:
        advice = "; use more varied photographs, or --quantize dynamic or float16" if mode in WHOLE else ""
        raise Refused(
            f"in {runtime} the result agrees with its source on {100 * found.top1:.1f} % of {found.n} "
            f"photographs, less than {100 * least:g} % (--min-agreement){advice}",
            os.EX_DATAERR,
        )
