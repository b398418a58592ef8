"""``edged try``: the camera demonstration, without configuration and broker."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

NAME = "try"
HELP = "show what a camera, a photograph or a video looks like to the model; needs no configuration"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--source",
        metavar="SOURCE",
        help="a photograph, a folder, a video, /dev/videoN, rtsp://…, camera, photos or synthetic "
        "(default: the first camera found, else the bundled photographs)",
    )
    parser.add_argument(
        "--model",
        metavar="F.tflite",
        type=Path,
        help="default: the bundled classifier of 1000 everyday things",
    )
    parser.add_argument(
        "--labels", metavar="F.txt", type=Path, help="one label a line (default: those packed in the model)"
    )
    parser.add_argument(
        "--count", metavar="N", type=_count, help="end after N inferences; files begin again until then"
    )
    parser.add_argument("--json", action="store_true", help="one event of type result a line")
    parser.add_argument("--broker", metavar="HOST[:PORT]", help="publish for real over MQTT as well")
    parser.add_argument(
        "--runtime", choices=("auto", "litert", "tflite-runtime"), default="auto", help="default auto"
    )


def run(arguments: argparse.Namespace) -> int:
    """Classify and show until the source ends, N were shown, or Ctrl-C."""
    from edged.tools import try_

    options = try_.Options(
        source=arguments.source,
        model=arguments.model,
        labels=arguments.labels,
        count=arguments.count,
        broker=arguments.broker,
        runtime=arguments.runtime,
        live=sys.stdout.isatty() and not arguments.json,
    )
    with try_.view(json=arguments.json, live=options.live) as view:
        return try_.attempt(options, view)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no count: write 1 or more")
    return int(text)
