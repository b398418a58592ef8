"""Options about a model that several verbs have: which values it wants, and which output has the scores."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_NORMALIZE = "--normalize"


def configure(parser: argparse.ArgumentParser, *, output: bool = True) -> None:
    """Add the options; ``output``: with the one that names the output."""
    parser.add_argument(
        _NORMALIZE,
        metavar="VALUES",
        type=_values,
        help="the values that the model wants for pixels: 0..1, -1..1, 0..255, imagenet, caffe, none, or "
        "MEAN,STD (default: what the model says, else -1..1)",
    )
    parser.add_argument(
        "--channels", choices=("rgb", "bgr"), help="the order of the colours (default rgb, for caffe bgr)"
    )
    if output:
        parser.add_argument(
            "--output",
            metavar="NAME",
            help="the output with the scores, by name or number, where there are several",
        )


def keys(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the keys of ``model`` in a configuration that the options stand for."""
    given = {
        "normalize": _inline(arguments.normalize),
        "channels": arguments.channels,
        "output": getattr(arguments, "output", None),
    }
    return {key: value for key, value in given.items() if value is not None}


def joined(words: Sequence[str]) -> list[str]:
    """Join ``--normalize`` to a value that begins with a minus, which argparse takes for an option."""
    words = list(words)
    for at in range(len(words) - 1, 0, -1):
        if words[at - 1] == _NORMALIZE and words[at][:1] == "-" and words[at][1:2].isdecimal():
            words[at - 1 : at + 1] = [f"{_NORMALIZE}={words[at]}"]
    return words


def _values(text: str) -> str | dict[str, list[float]]:
    from edged.models import normalization

    try:
        return normalization.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _inline(value: str | dict[str, list[float]] | None) -> Any:
    """Return lists of one number as that number, as the configuration has them."""
    if not isinstance(value, dict):
        return value
    return {key: numbers[0] if len(numbers) == 1 else numbers for key, numbers in value.items()}
