"""``edged convert``: makes a .tflite file of a model that TensorFlow saved, and checks it in the runtimes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.cli import model_options, terminal
from edged.ipc.convert_request import MODES
from edged.models.runtimes import RUNTIMES

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "convert"
HELP = "make a .tflite file of a model that TensorFlow saved, and compare it with its source (on a PC)"
_TAKEN = {"picture": "picture", "numbers": "row of numbers"}
_MOST_S = 86_400.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        type=Path,
        help="a SavedModel folder, .keras, .h5, a frozen .pb or .pbtxt, .meta, the prefix of a checkpoint, "
        "or a float .tflite",
    )
    parser.add_argument(
        "-o",
        dest="out",
        metavar="OUT",
        type=Path,
        required=True,
        help="OUT.tflite, or OUT.mlpackage for Core ML",
    )
    parser.add_argument(
        "--quantize", choices=MODES, default="none", help="how numbers are stored (default none: float32)"
    )
    parser.add_argument(
        "--images",
        metavar="DIR",
        type=Path,
        help="photographs to calibrate with and to compare on; DIR/LABEL/*.jpg also gives the accuracy",
    )
    parser.add_argument(
        "--labels", metavar="F", type=Path, help="the label file: for the accuracy, and packed in"
    )
    parser.add_argument("--graph", metavar="G.pb", type=Path, help="the graph of a checkpoint without .meta")
    parser.add_argument("--inputs", metavar="A", type=_names, default=(), help="the input of a graph")
    parser.add_argument("--outputs", metavar="B", type=_names, default=(), help="the output of a graph")
    parser.add_argument(
        "--shape", metavar="1,H,W,3", type=_shape, default=(), help="the input's shape, where it is left open"
    )
    model_options.configure(parser, output=False)
    parser.add_argument(
        "--target",
        metavar="RUNTIMES",
        type=_targets,
        default=tuple(RUNTIMES),
        help=f"the runtimes it is for, of which the installed ones run it (default {','.join(RUNTIMES)})",
    )
    parser.add_argument(
        "--min-agreement",
        metavar="SHARE",
        type=_share,
        help="photographs on which source and result must agree, 0 to 1 (default 0.99, quantised 0.95)",
    )
    parser.add_argument(
        "--memory-mb", metavar="MB", type=_whole, default=0, help="most memory (default: the free)"
    )
    parser.add_argument(
        "--timeout", metavar="S", type=_seconds, default=900.0, help="longest silence (default 900 s)"
    )
    parser.add_argument(
        "--layers", action="store_true", help="also show which layers quantisation changes most (int8, uint8)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON document")


def run(arguments: argparse.Namespace) -> int:
    """Convert; return 0 where the result was written."""
    from edged.tools import convert
    from edged.tools.convert import source

    options = convert.Options(
        source=source.recognise(arguments.source, arguments.graph),
        out=arguments.out.absolute(),
        mode=arguments.quantize,
        images=arguments.images,
        inputs=arguments.inputs,
        outputs=arguments.outputs,
        shape=arguments.shape,
        values=model_options.keys(arguments),
        targets=arguments.target,
        labels=arguments.labels,
        least=arguments.min_agreement,
        memory_mb=arguments.memory_mb,
        patience_s=arguments.timeout,
        layers=arguments.layers,
    )
    record = convert.Conversion(options, terminal.print_error).run()
    if arguments.json:
        terminal.print_json(record)
    else:
        _show(options.out, record)
    return 0


def _show(out: Path, record: Mapping[str, Any]) -> None:
    source, version = record["source"], record["tensorflow"]
    tensorflow = f" by TensorFlow {version}" if version else ""
    terminal.print_line(f"{out.name}: {_size(record['bytes'])}, float32 {_size(record['bytes_float32'])}")
    terminal.print_line(
        f"from {source['kind']} {Path(source['path']).name}{tensorflow} in "
        f"{record['seconds']:.1f} s and {record['peak_mb']} MB; pixels become {record['normalize']['values']}"
    )
    for name, run in record["runtimes"].items():
        accuracy = "" if run["accuracy"] is None else f", {100 * run['accuracy']:.1f} % right"
        terminal.print_line(
            f"{name} {run['version']}: agrees on {100 * run['top1']:.1f} % of {run['n']} photographs"
            f"{accuracy}; {run['invoke_ms']:.2f} ms, float32 {run['invoke_ms_float32']:.2f} ms"
        )
    if record["accuracy_of_source"] is not None:
        terminal.print_line(f"the source is right on {100 * record['accuracy_of_source']:.1f} %")
    if (package := record["core_ml"]) is not None:
        terminal.print_line(
            f"Core ML by coremltools {package['coremltools']}: it takes a {_TAKEN[package['takes']]}, and "
            f"its {package['weights']} large weights are those of the source"
        )
        return
    unmet = record["edgetpu"]
    terminal.print_line(
        f"Edge TPU: {'; '.join(unmet)}" if unmet else "it meets the documented needs of the Edge TPU"
    )


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _shape(text: str) -> tuple[int, ...]:
    parts = text.replace("x", ",").split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"{text}: write sizes above 0, such as 1,224,224,3")
    return tuple(map(int, parts))


def _targets(text: str) -> tuple[str, ...]:
    names = _names(text)
    if not names or not set(names) <= set(RUNTIMES):
        raise argparse.ArgumentTypeError(f"{text}: write one or more of {', '.join(RUNTIMES)}")
    return names


def _share(text: str) -> float:
    return _number(text, 0.0, 1.0)


def _seconds(text: str) -> float:
    return _number(text, 1.0, _MOST_S)


def _whole(text: str) -> int:
    return int(_number(text, 256, 1 << 24))


def _number(text: str, least: float, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{text}: write a number from {least:g} to {most:g}")
    return number
