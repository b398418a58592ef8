"""Everything that is printed for a person passes one door, which lets no control sequence through."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edged.cli import fleet, status, terminal
from edged.cli.rich_console import PrintableConsole
from edged.tools.fleet import Fleet

if TYPE_CHECKING:
    from collections.abc import Callable

ATTACK = "x\x1b]0;owned\x07\x1b[2J\x9b1A\u202e[bold]y"
# What a terminal may get besides text: rich's colours, and where a live display is drawn.
_RICH = re.compile(r"\r?\x1b\[(?:[\d;]*m|\?25[lh]|\d*[AK]|2K)")


def steers(shown: str) -> bool:
    return any(not c.isprintable() and c != "\n" for c in _RICH.sub("", shown))


def test_a_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_line(f"{ATTACK}\nok: good: 1 pipeline")
    terminal.print_error(f"{ATTACK}\nedged: fine")
    out, err = capsys.readouterr()
    assert out == "x?]0;owned??[2J?1A?[bold]y?ok: good: 1 pipeline\n"
    assert err == "edged: x?]0;owned??[2J?1A?[bold]y?edged: fine\n"


def test_a_document_keeps_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_document("one\n\ttwo\x1b[2J\n")
    assert capsys.readouterr().out == "one\n\ttwo?[2J\n"


def test_json_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_json({"label": ATTACK, "plain": "Käfer"})
    out = capsys.readouterr().out
    assert not steers(out)
    assert json.loads(out) == {"label": ATTACK, "plain": "Käfer"}


def test_json_keeps_letters_readable(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_json({"plain": "Käfer"})
    assert capsys.readouterr().out == '{"plain": "Käfer"}\n'


def _console(*, is_terminal: bool) -> tuple[PrintableConsole, io.StringIO]:
    stream = io.StringIO()
    return PrintableConsole(file=stream, force_terminal=is_terminal, width=200, highlight=False), stream


def _in_a_table(console: PrintableConsole) -> None:
    table = Table()
    table.add_column(ATTACK)
    table.add_row(terminal.escape(ATTACK))
    table.add_row(Text(ATTACK))
    console.print(table)


def _live(console: PrintableConsole) -> None:
    with Live(Text(ATTACK), console=console, auto_refresh=False) as live:
        console.print(f"[bold]{terminal.escape(ATTACK)}[/]")
        live.update(Text(ATTACK + ATTACK), refresh=True)


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("show", [_in_a_table, _live])
def test_tables_and_live_displays_steer_nothing(
    show: Callable[[PrintableConsole], None], *, is_terminal: bool
) -> None:
    console, stream = _console(is_terminal=is_terminal)
    show(console)
    assert "owned" in stream.getvalue()
    assert not steers(stream.getvalue())


HEALTH: dict[str, Any] = {
    "v": 1,
    "ts": "2026-01-01T00:00:00Z",
    "status": ATTACK,
    "version": ATTACK,
    "queue": 0,
    "problems": [ATTACK, f"{ATTACK}\nporch-pi  0 s  ok"],
    "pipelines": {"porch": {"fps": 1.0, "accelerator": ATTACK}},
}


def test_another_node_does_not_steer_the_terminal_of_fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = Fleet("edged")
    nodes.take(f"edged/{ATTACK}/health", json.dumps(HEALTH).encode(), 0.0)
    console, stream = _console(is_terminal=True)
    monkeypatch.setattr(terminal, "console", lambda *_args: console)
    fleet._show(nodes.rows(0.0), as_json=False)
    assert "owned" in stream.getvalue()
    assert not steers(stream.getvalue())
    beginnings = [line.split()[0] for line in re.sub(_RICH, "", stream.getvalue()).splitlines()]
    assert len(beginnings) == 4  # the heading, one row and two problems: no line was forged
    assert beginnings[2:] == ["!", "!"]


def test_a_status_file_does_not_steer_the_terminal_of_status(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = {
        "state": ATTACK,
        "decision": {"label": ATTACK, "since": ATTACK},
        "last_error": ATTACK,
        "fps": None,
        "invoke_ms": {"p50": None},
        "frames": ATTACK,
        "dropped": {},
        "restarts": 0,
        "model": {"name": ATTACK},
        "accelerator": ATTACK,
        "runtime": ATTACK,
        "isolation": [ATTACK],
        "network": False,
    }
    data = {
        "node": ATTACK,
        "status": ATTACK,
        "version": ATTACK,
        "pid": 1,
        "uptime_s": 1,
        "clock": ATTACK,
        "queue": 0,
        "problems": [ATTACK],
        "broker": {"state": ATTACK, "detail": ATTACK},
        "events": {"accepted": ATTACK, "acknowledged": 0, "dropped": {ATTACK: 1}},
        "processes": {},
        "pipelines": {ATTACK: pipeline},
        "sensors": {
            ATTACK: {
                "state": ATTACK,
                "faults": ATTACK,
                "last_error": ATTACK,
                "readings": [{"channel": ATTACK, "value": 1.0, "unit": ATTACK, "quality": ATTACK}],
            }
        },
    }
    console, stream = _console(is_terminal=True)
    monkeypatch.setattr(terminal, "console", lambda *_args: console)
    status._show(data)
    assert "owned" in stream.getvalue()
    assert "[bold]" in stream.getvalue()  # shown, not obeyed
    assert not steers(stream.getvalue())


class _Closed(io.StringIO):
    def flush(self) -> None:
        raise BrokenPipeError


def test_a_console_reports_a_reader_that_left_and_does_not_exit() -> None:
    console = PrintableConsole(file=_Closed())
    with pytest.raises(BrokenPipeError):
        console.print("a line")
