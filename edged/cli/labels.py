"""``edged labels``: lists or searches the labels of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edged.cli import terminal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from edged.tools.labels import Vocabulary

NAME = "labels"
HELP = "list the labels of a model, or search them for a word"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("word", metavar="WORD", nargs="?", help="only labels that contain this")
    terminal.add_config_option(
        parser,
        f"of the pipelines of this configuration (default: {terminal.DEFAULT_CONFIG} where it is, else "
        "the bundled classifier)",
        default=None,
    )
    parser.add_argument(
        "--model", metavar="F.tflite", type=Path, help="of this model, or of this folder of a taught model"
    )
    parser.add_argument(
        "--labels", metavar="F", type=Path, help="its label file (default: the labels packed in the model)"
    )
    parser.add_argument("--output", metavar="NAME", help="its output with the scores, where it has several")


def run(arguments: argparse.Namespace) -> int:
    """Print the labels, one a line; return 1 where none is found."""
    from edged.tools import labels

    if arguments.model is None and (arguments.labels is not None or arguments.output is not None):
        arguments.parser.error("--labels and --output need --model")
    if arguments.model is not None and arguments.config is not None:
        arguments.parser.error("write -c or --model, not both")
    if arguments.model is not None:
        known = [labels.of_model(arguments.model, arguments.labels, arguments.output)]
    elif arguments.config is not None or Path(terminal.DEFAULT_CONFIG).is_file():
        known = labels.of_configuration(arguments.config or terminal.DEFAULT_CONFIG)
    else:
        known = [labels.of_bundled()]
    found = known if arguments.word is None else labels.search(known, arguments.word)
    _print(found)
    if any(labels_ for _, labels_ in found):
        return 0
    word = arguments.word or ""
    hint = labels.nearest(known, word)
    terminal.print_error(f"no label contains '{word}'" + (f"; {hint}" if hint else ""))
    return 1


def _print(found: Sequence[Vocabulary]) -> None:
    """Print the labels; below the names of the pipelines where there are several."""
    for name, labels in found:
        if len(found) > 1 and labels:
            terminal.print_line(f"{name}:")
        for label in labels:
            terminal.print_line(f"  {label}" if len(found) > 1 else label)
