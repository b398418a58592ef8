"""How a long task goes, on standard error: a bar on a terminal, and notes everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from edged.cli import terminal

if TYPE_CHECKING:
    from rich.progress import ProgressColumn


class Notes:
    """Prints notes, and no progress."""

    def note(self, sentence: str) -> None:
        """Print a note to standard error."""
        terminal.print_error(sentence)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Bar(Notes):
    """A progress bar, which goes when it is left.

    Args:
        columns: those of rich, from left to right.
        expand: the bar takes the whole line.
    """

    def __init__(self, *columns: ProgressColumn, expand: bool = False) -> None:
        from rich.progress import Progress

        self._progress = Progress(
            *columns, expand=expand, console=terminal.console(stderr=True), transient=True
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
