"""Tables at the widths that terminals have."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import pytest

from edged.cli import fleet, status, terminal
from edged.cli.fitting_table import Column, fitting_table
from edged.cli.rich_console import PrintableConsole
from edged.tools.fleet import Fleet

WIDTHS = (40, 60, 80, 120, 200)
PROBLEM = "porch: there is no /dev/video0: is the camera plugged in? `edged doctor` lists what there is"


def lines(renderable: Any, width: int) -> list[str]:
    stream = io.StringIO()
    PrintableConsole(file=stream, width=width, highlight=False).print(renderable)
    return stream.getvalue().splitlines()


def shown(show: Any, width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    stream = io.StringIO()
    console = PrintableConsole(file=stream, width=width, highlight=False)
    monkeypatch.setattr(terminal, "console", lambda *_args: console)
    show()
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_column_is_there_whole_or_not_at_all(width: int) -> None:
    columns = (
        Column("name", shrinks=True),
        Column("state"),
        Column("rate", order=1, right=True),
        Column("model", order=2),
    )
    row = {"name": "a-pipeline-of-26-letters-x", "state": "running", "rate": "12.3", "model": "m" * 30}
    heading, cells = lines(fitting_table(columns, [row], width), width)
    assert len(cells) <= width
    for column in columns[1:]:
        assert (column.name in heading.split()) == (row[column.name] in cells.split()), column
    assert "running" in cells


def test_a_column_without_any_text_is_left_out() -> None:
    columns = (Column("name"), Column("model", order=1))
    assert lines(fitting_table(columns, [{"name": "a"}], 80), 80)[0].split() == ["name"]


def told(*problems: str) -> bytes:
    pipeline = {"fps": 1.5, "accelerator": "cpu"}
    message = {
        "status": "problem" if problems else "ok",
        "ts": "2026-01-01T00:00:00Z",
        "version": "0.2.0",
        "queue": 17,
        "problems": problems,
        "pipelines": {"porch": pipeline},
    }
    return json.dumps(message).encode()


@pytest.mark.parametrize("width", [60, 80])
def test_the_fleet_is_readable(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes, now = Fleet("edged"), 1767225601.0
    nodes.take("edged/barn-behind-the-house/health", told(PROBLEM), now)
    nodes.take("edged/shop/health", told(), now)
    printed = shown(lambda: fleet._show(nodes.rows(now), as_json=False), width, monkeypatch)
    assert [line.split()[:4] for line in printed[1:3]] == [
        ["barn-behind-the-house", "1", "s", "problem"],
        ["shop", "1", "s", "ok"],
    ]
    assert all("17" in line.split() for line in printed[1:3])  # the queue
    below = " ".join(line.strip() for line in printed[3:])
    assert below == f"! barn-behind-the-house: {PROBLEM}"


def test_a_node_that_is_gone_has_no_rate() -> None:
    nodes = Fleet("edged")
    nodes.take("edged/shop/health", told(), 1767225601.0)
    nodes.take("edged/shop/status", b"offline", 1767225601.0)
    (row,) = nodes.rows(1767225601.0)
    assert (row.state, row.fps) == ("offline", None)


def health(**changes: Any) -> dict[str, Any]:
    pipeline = {
        "state": "running",
        "decision": {"label": "Egyptian cat", "since": time.strftime("%Y-%m-%dT%H:%M:%S%z")},
        "fps": 1.96,
        "invoke_ms": {"p50": 12.34},
        "frames": 1234567,
        "dropped": {"newer": 12},
        "restarts": 3,
        "last_error": "",
        "model": {"name": "a_model_with_quite_a_long_name_of_44_letters"},
        "accelerator": "cpu",
        "runtime": "litert",
        "isolation": ["seccomp"],
        "network": False,
    }
    sensor = {
        "state": "running",
        "faults": 2,
        "last_error": "",
        "readings": [
            {"channel": "", "value": 4.153006721900077, "unit": "°C", "quality": "stale", "ts": ""},
        ],
    }
    return {
        "node": "porch-pi",
        "status": "ok",
        "version": "0.2.0",
        "pid": 1,
        "uptime_s": 1,
        "clock": "synced",
        "queue": 0,
        "problems": [],
        "broker": {"state": "connected", "detail": ""},
        "events": {"accepted": 1, "acknowledged": 1, "dropped": {}},
        "processes": {},
        "pipelines": {"porch": pipeline},
        "sensors": {"attic": sensor},
    } | changes


@pytest.mark.parametrize("width", [60, 80])
def test_the_status_is_readable(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = shown(lambda: status._show(health(problems=[PROBLEM])), width, monkeypatch)
    pipeline = next(line for line in printed if line.startswith("porch "))
    assert "running" in pipeline
    assert "Egyptian cat since" in pipeline
    assert "2.0" in pipeline.split()
    sensor = next(line for line in printed if line.startswith("attic "))
    assert "4.15301 °C (stale)" in sensor
    assert f"! {PROBLEM}" in printed[-1]


def test_a_model_with_a_long_name_takes_nothing_from_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = shown(lambda: status._show(health()), 80, monkeypatch)
    heading = next(line for line in printed if line.startswith("pipeline"))
    assert {"fps", "inference", "restarts"} <= set(heading.split())


def test_an_earlier_error_is_shown_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    data = health()
    data["sensors"]["attic"]["last_error"] = "no answer"
    assert "! attic: earlier: no answer" in shown(lambda: status._show(data), 80, monkeypatch)
