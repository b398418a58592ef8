"""What ``edged try`` shows: a live table on a terminal, lines elsewhere, or JSON for programs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

    from edged.events import Event
    from edged.ipc.worker_messages import Outcome
    from edged.supervisor import PipelineStatus

BAR = 32  # characters of a score bar
REFRESH_HZ = 8
_WALLS = {"seccomp": "no internet sockets (seccomp)", "netns": "an empty network (netns)"}


class View(Protocol):
    """Shows inferences. It is entered before the first and left after the last."""

    def begin(self, source: str) -> None:
        """Say what is looked at."""

    def result(self, event: Event, outcome: Outcome, status: PipelineStatus) -> None:
        """Show one inference. Raises ``BrokenPipeError`` where nobody reads."""

    def note(self, sentence: str) -> None:
        """Say something beside it."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(self, *_: object) -> None:
        """Leave the output in order."""


def view(*, json: bool, live: bool) -> View:
    """Return the view for whoever looks."""
    return Table() if live and not json else Lines(json=json)


class Lines:
    """One line an inference: to read, or for programs an event as JSON; the rest on standard error."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self._source = ""

    def begin(self, source: str) -> None:
        """Keep it for the first line."""
        self._source = source

    def result(self, event: Event, outcome: Outcome, status: PipelineStatus) -> None:
        """Write the line."""
        line = event.to_json().decode() if self._json else self._readable(event, outcome, status)
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def note(self, sentence: str) -> None:
        """Write it to standard error."""
        sys.stderr.write(f"edged: {sentence}\n")
        sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _readable(self, event: Event, outcome: Outcome, status: PipelineStatus) -> str:
        source, self._source = self._source, ""
        head = f"{source}: {_engine(event, status)}\nisolation: {_isolation(status)}\n" if source else ""
        best, *others = event.top or ()
        rest = ", ".join(f"{finding.label} {finding.score:.2f}" for finding in others)
        times = f"capture {outcome.capture_ms:.1f} ms, inference {outcome.invoke_ms:.1f} ms"
        return f"{head}{best.label:<28} {best.score:.2f}  {times}{f'  (then {rest})' if rest else ''}"


class Table:
    """A picture of the latest inference that is drawn anew in place."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._source = ""
        self._latest: tuple[Event, Outcome, PipelineStatus] | None = None
        self._count = 0
        self._over = False
        self._live = Live(
            console=Console(highlight=False),
            get_renderable=self._drawn,
            refresh_per_second=REFRESH_HZ,
        )

    def begin(self, source: str) -> None:
        """Show what is being opened."""
        self._source = source

    def result(self, event: Event, outcome: Outcome, status: PipelineStatus) -> None:
        """Keep it for the next refresh."""
        self._count += 1
        self._latest = (event, outcome, status)

    def note(self, sentence: str) -> None:
        """Print it above the picture."""
        from rich.markup import escape

        self._live.console.print(f"[bold yellow]{escape(sentence)}[/]")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._live.stop()

    def _drawn(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        if self._latest is None:
            return Group(Text(f"looking at {self._source} …" if self._source else "", style="dim"))
        event, outcome, status = self._latest
        head = Text.assemble(("edged try", "bold"), f"  {self._source}")
        head.append(f"\n{_engine(event, status)}\n", style="dim")
        dropped = sum(status.dropped.values())
        figures = (
            f"\ncapture {outcome.capture_ms:.1f} ms   inference {outcome.invoke_ms:.1f} ms   "
            f"{status.fps:.1f} fps   {self._count} shown   {dropped} dropped"
        )
        foot = Text(figures)
        foot.append(
            f"\nisolation: {_isolation(status)}", style="green" if status.isolation else "bold yellow"
        )
        if not self._over:
            foot.append("\nCtrl-C ends", style="dim")
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
        return "what holds the pictures keeps a route to its network camera"
    if not status.isolation:
        return "NONE: what holds the pictures can reach the network"
    return "what holds the pictures has " + ", ".join(_WALLS.get(w, w) for w in status.isolation)
