"""``edged try``: a demonstration of camera and model, without a configuration or a broker.

It shows a live table on a terminal, lines elsewhere, or JSON for programs. With ``-c`` it judges a recording
as a pipeline of the configuration does, a line for each picture.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from edged.cli import broker_login, model_options, terminal
from edged.cli.progress import Notes
from edged.errors import Refused
from edged.system.isolation import suffices

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

    from edged.events import Event
    from edged.ipc.replay_request import Judged
    from edged.ipc.worker_messages import Outcome
    from edged.supervisor import PipelineStatus

NAME = "try"
HELP = (
    "show what the model sees or hears in a camera, folder, video or sound; with -c, what a pipeline decides"
)
NEEDS_NO_CONFIG = ("model", "labels", "broker")  # options that -c does not go with
NAME_WIDTH, LABEL_WIDTH = 22, 24  # columns
BAR = 32  # characters of a score bar
REFRESH_HZ = 8


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--source",
        metavar="SOURCE",
        help="a photograph, a folder, a video, /dev/videoN, rtsp://…, camera, photos or synthetic; with a "
        "model of sound, a .wav file or microphone (default: the first camera, else the bundled photographs)",
    )
    parser.add_argument(
        "--model",
        metavar="F.tflite",
        type=Path,
        help="or the name of an installed model, or the folder of a taught one; default: the bundled "
        "classifier of 1000 everyday things",
    )
    parser.add_argument(
        "--labels", metavar="F.txt", type=Path, help="one label a line (default: those packed in the model)"
    )
    parser.add_argument(
        "--count", metavar="N", type=_count, help="stop after N inferences; files are repeated until then"
    )
    parser.add_argument("--json", action="store_true", help="print one event of type result per line")
    terminal.add_config_option(
        parser,
        "try a pipeline of this configuration on the recording that --source names: its crop, mask, "
        "model and decision, in the recording's own time",
        default=None,
    )
    parser.add_argument("--pipeline", metavar="P", help="with -c: the pipeline (default: the only one)")
    parser.add_argument(
        "--expect",
        metavar="FILE",
        type=Path,
        help="with -c: compare the decisions with this file of lines that --json printed; exit status 1 "
        "and a diff where they differ",
    )
    model_options.configure(parser)
    broker_login.configure(parser, "also publish to this MQTT broker")
    parser.add_argument(
        "--runtime", choices=("auto", "litert", "tflite-runtime"), default="auto", help="default auto"
    )


def run(arguments: argparse.Namespace) -> int:
    """Classify and show the results until the source ends, N are shown, or Ctrl-C."""
    if arguments.config is not None:
        return _recorded(arguments)
    for option in ("pipeline", "expect"):
        if getattr(arguments, option) is not None:
            arguments.parser.error(f"--{option} needs -c")
    from edged.tools import try_

    options = try_.Options(
        source=arguments.source,
        model=arguments.model,
        labels=arguments.labels,
        count=arguments.count,
        broker=broker_login.section(arguments),
        model_keys=model_options.keys(arguments),
        runtime=arguments.runtime,
        live=sys.stdout.isatty() and not arguments.json,
    )
    with LiveTable() if options.live else Lines(json=arguments.json) as view:
        return try_.run_trial(options, view)


def _recorded(arguments: argparse.Namespace) -> int:
    """Judge a recording as a pipeline does; return 1 where another decision was expected."""
    from edged.tools.try_ import recorded

    _refuse_what_is_configured(arguments)
    wanted = None if arguments.expect is None else recorded.expected(arguments.expect)
    trial = recorded.choose(Path(arguments.config), arguments.pipeline, arguments.source)
    for note in trial.notes:
        terminal.print_error(note)
    total, seen = recorded.Sum(trial.noun), []
    for picture in recorded.judge(trial, arguments.count, terminal.print_error):
        total.add(picture)
        seen.append((picture.source, picture.decision))
        if arguments.json:
            terminal.print_json(recorded.line(picture))
        elif wanted is None:
            terminal.print_line(_judged(picture))
    if total.empty:
        raise Refused(f"the recording holds no {trial.noun} that can be read", os.EX_NOINPUT)
    found = [] if wanted is None else recorded.differences(wanted, seen)
    for line in found:
        terminal.print_line(line, stderr=arguments.json)
    if not arguments.json:
        terminal.print_document("".join(f"{line}\n" for line in total.lines()))
    return int(bool(found))


def _refuse_what_is_configured(arguments: argparse.Namespace) -> None:
    for option in NEEDS_NO_CONFIG:
        if getattr(arguments, option) is not None:
            arguments.parser.error(f"-c and --{option} do not go together: the configuration has that")
    if model_options.keys(arguments) or arguments.runtime != "auto":
        arguments.parser.error("with -c the configuration says how the model runs")


def _judged(picture: Judged) -> str:
    """Return a line for people: ``file  label score → decision``."""
    news = f" ({', '.join(picture.news)})" if picture.news else ""
    seen = f"left out: {picture.left_out}" if picture.left_out else picture.label
    score = "    " if picture.left_out else f"{picture.score:.2f}"
    name = f"{_cut(picture.source, NAME_WIDTH):<{NAME_WIDTH}}"
    return f"{name}  {_cut(seen, LABEL_WIDTH):<{LABEL_WIDTH}} {score} → {picture.decision}{news}"


def _cut(text: str, width: int) -> str:
    """Return a text that fits into a column of a terminal; programs get all of it."""
    if len(text) <= width or not sys.stdout.isatty():
        return text
    return f"{text[: width - 1]}…"


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a number of at least 1")
    return int(text)


class Lines(Notes):
    """One line per inference: text, or an event as JSON. Notes go to standard error."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self._source = ""

    def begin(self, source: str) -> None:
        """Keep the source's description for the heading."""
        self._source = source

    def result(self, event: Event, outcome: Outcome, status: PipelineStatus) -> None:
        """Print the inference, the first one below a heading."""
        if self._json:
            terminal.print_line(event.to_json().decode())
            return
        if self._source:
            terminal.print_line(f"{self._source}: {_engine(event, status)}")
            terminal.print_line(f"isolation: {_isolation(status)}")
            self._source = ""
        best, *others = event.top or ()
        rest = ", ".join(f"{finding.label} {finding.score:.2f}" for finding in others)
        times = f"capture {outcome.capture_ms:.1f} ms, inference {outcome.invoke_ms:.1f} ms"
        terminal.print_line(f"{best.label:<28} {best.score:.2f}  {times}{f'  (then {rest})' if rest else ''}")


class LiveTable:
    """The newest inference as score bars, redrawn in place."""

    def __init__(self) -> None:
        from rich.live import Live

        self._source = ""
        self._newest: tuple[Event, Outcome, PipelineStatus] | None = None
        self._count = 0
        self._ended = False
        self._live = Live(
            console=terminal.console(), get_renderable=self.render, refresh_per_second=REFRESH_HZ
        )

    def begin(self, source: str) -> None:
        """Show the source that is being opened."""
        self._source = source

    def result(self, event: Event, outcome: Outcome, status: PipelineStatus) -> None:
        """Keep the inference for the next refresh."""
        self._count += 1
        self._newest = (event, outcome, status)

    def note(self, sentence: str) -> None:
        """Print a note above the table."""
        self._live.console.print(f"[bold yellow]{terminal.escape(sentence)}[/]")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._live.stop()

    def render(self) -> Group:
        """Return the table as it is now."""
        from rich.console import Group
        from rich.text import Text

        if self._newest is None:
            return Group(Text(f"opening {self._source} …" if self._source else "", style="dim"))
        event, outcome, status = self._newest
        head = Text.assemble(("edged try", "bold"), f"  {self._source}")
        head.append(f"\n{_engine(event, status)}\n", style="dim")
        dropped = sum(status.dropped.values())
        foot = Text(
            f"\ncapture {outcome.capture_ms:.1f} ms   inference {outcome.invoke_ms:.1f} ms   "
            f"{status.fps:.1f} fps   {self._count} shown   {dropped} dropped"
        )
        style = "green" if suffices(status.isolation) else "bold yellow"
        foot.append(f"\nisolation: {_isolation(status)}", style=style)
        if not self._ended:
            foot.append("\nstop with Ctrl-C", style="dim")
        return Group(head, *(_bar(f.label, f.score, first=not n) for n, f in enumerate(event.top)), foot)


def _bar(label: str, score: float, *, first: bool) -> Text:
    from rich.text import Text

    full = round(score * BAR)
    return Text.assemble(
        (f"{label[:30]:<31}", "bold" if first else ""),
        ("█" * full, "green" if first else "blue"),
        ("░" * (BAR - full), "dim"),
        (f"  {score:.2f}", "bold" if first else ""),
    )


def _engine(event: Event, status: PipelineStatus) -> str:
    model = f"{event.model.name} ({event.model.sha256})"
    return f"{model} on {event.accelerator} with {status.runtime}" + (" (degraded)" if event.degraded else "")


def _isolation(status: PipelineStatus) -> str:
    if status.network:
        return "the process with the pictures keeps a route to its network camera"
    if not status.isolation:
        return "NONE: the process with the pictures can reach the network"
    held = ", ".join(status.isolation)
    if suffices(status.isolation):
        return f"no network, no files but its own, no other processes ({held})"
    return f"the process with the pictures has only {held}: sudo apt install bubblewrap"
