"""docs/images/try.svg: the last screen of a real run of ``edged try`` on a terminal."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys

COUNT = 13  # inferences: the last one is of the first photograph again, and there is a rate by then
WIDTH = 100  # columns
_CLEARED = "\x1b[2K"  # rich clears each line of the old table, then draws the new one
_FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
  <title>edged try, on a terminal</title>
  <style>
    .{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
      font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
    {styles}
  </style>
  <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
    </clipPath>
    {lines}
  </defs>
  {chrome}
  <g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">
    {matrix}
    </g>
  </g>
</svg>
"""


def run(*, count: int) -> str:
    """Return the last screen of ``edged try`` over the bundled photographs, as ANSI text."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "edged", "try", "--source", "photos", "--count", str(count)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": str(WIDTH), "LINES": "30"},
    )
    os.close(theirs)
    shown = _read_all(ours)
    os.close(ours)
    if process.wait(60):
        raise RuntimeError(f"edged try ended with {process.returncode}: {shown}")
    screen = shown.rpartition(_CLEARED)[2].replace("\r", "")
    return re.sub(r"\x1b\[\?\d+[hl]", "", screen).rstrip()


def svg(screen: str) -> str:
    """Return the screen as an SVG that needs no font from elsewhere."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ edged try", style="bold"))
    console.print(Text.from_ansi(screen))
    drawn = console.export_svg(title="edged try", code_format=_FORMAT, unique_id="try")
    return "\n".join(line.rstrip() for line in drawn.splitlines()) + "\n"


def words(picture: str) -> str:
    """Return the text that an SVG of :func:`svg` shows."""
    from html import unescape

    shown = re.findall(r"<text [^>]*>(.*?)</text>", picture)
    return unescape(" ".join(shown)).replace("\xa0", " ")


def _read_all(fd: int) -> str:
    parts: list[bytes] = []
    while True:
        try:
            data = os.read(fd, 65536)
        except OSError:  # the other side is closed
            data = b""
        if not data:
            return b"".join(parts).decode()
        parts.append(data)
