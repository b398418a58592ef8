"""A rich console for text that others wrote: nothing but rich itself sends control sequences through it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.segment import Segment

from edged.text import printable_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import ConsoleOptions, RenderableType


class PrintableConsole(Console):
    """Replaces what cannot be printed in every piece of text, in tables and live displays too."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render an object; segments that rich made to steer the terminal stay as they are."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(printable_lines(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """Raise ``BrokenPipeError``, which ``main`` does not treat as an error; rich would exit with 1."""
        raise BrokenPipeError
