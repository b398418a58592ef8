"""A table that fits the terminal: the least important columns go first, and figures are never cut short."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.cli import terminal
from edged.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

_GAP = 2  # columns between two cells: rich pads one on either side
_NAME = 24  # columns that a text keeps which may be cut


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        name: its heading, and the key of its cells.
        order: columns with the highest number go first where the terminal is narrow; 0: this one never goes.
        right: figures, aligned to the right.
        shrinks: its texts may be cut at the end once no other column can go.
        colours: the colour of a cell, by its text.
    """

    name: str
    order: int = 0
    right: bool = False
    shrinks: bool = False
    colours: Mapping[str, str] | None = None


def fitting_table(columns: Sequence[Column], rows: Sequence[Mapping[str, object]], width: int) -> Table:
    """Return a table of at most ``width`` columns of the terminal, if the columns of order 0 fit into it.

    Args:
        columns: from left to right.
        rows: the text of each cell, by the name of its column; a column without any text is left out.
        width: that of the terminal.
    """
    from rich.table import Table

    texts = [{name: printable(str(value)) for name, value in row.items()} for row in rows]
    chosen = [c for c in columns if c.order == 0 or any(text.get(c.name) for text in texts)]
    widths = {c.name: _width(c, texts) for c in chosen}
    while sum(_least(c, widths) + _GAP for c in chosen) - _GAP > width and any(c.order for c in chosen):
        chosen.remove(max(chosen, key=lambda c: c.order))
    spare = width - sum(_least(c, widths) + _GAP for c in chosen) + _GAP
    table = Table(box=None, pad_edge=False, header_style="bold")
    for c in chosen:
        # What is left over goes to the texts that are cut, from the left.
        more = max(0, min(spare, widths[c.name] - _least(c, widths)))
        spare -= more
        fitted = _least(c, widths) + more
        table.add_column(
            c.name, no_wrap=True, justify="right" if c.right else "left", width=None if spare < 0 else fitted
        )
    for text in texts:
        table.add_row(*(_cell(c, text.get(c.name, "")) for c in chosen))
    return table


def _width(column: Column, texts: Sequence[Mapping[str, str]]) -> int:
    from rich.cells import cell_len

    return max(cell_len(text) for text in (column.name, *(t.get(column.name, "") for t in texts)))


def _least(column: Column, widths: Mapping[str, int]) -> int:
    return min(widths[column.name], _NAME) if column.shrinks else widths[column.name]


def _cell(column: Column, text: str) -> str:
    escaped = terminal.escape(text)
    if column.colours is None:
        return escaped
    return f"[{column.colours.get(text, 'red')}]{escaped}[/]"
