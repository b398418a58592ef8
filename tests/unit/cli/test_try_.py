"""The output of ``edged try``, without a worker."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from edged.cli.try_ import Lines, LiveTable
from edged.daemon.publisher import EventMaker
from edged.testing.supervisor import outcome, status

if TYPE_CHECKING:
    from edged.supervisor import PipelineStatus
    from edged.tools.try_ import View


def show(shown: View, now: PipelineStatus, times: int = 1) -> None:
    result = outcome("try", "result")
    shown.begin("HD Webcam")
    for _ in range(times):
        shown.result(EventMaker("n", synced=lambda: True).event(result, now, numbered=False), result, now)


def test_json_output_is_only_the_event(capsys: pytest.CaptureFixture[str]) -> None:
    with Lines(json=True) as shown:
        show(shown, status("try"))
        shown.note("the camera is away")
    out, err = capsys.readouterr()
    assert json.loads(out)["top"][1] == {"label": "dog", "score": 0.1}
    assert err == "edged: the camera is away\n"


def test_lines_have_one_heading(capsys: pytest.CaptureFixture[str]) -> None:
    with Lines(json=False) as shown:
        show(shown, status("try"), times=2)
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert first == "HD Webcam: efficientnet_lite0_uint8 (35e8e20b) on cpu with litert"
    assert (
        second
        == "isolation: no network, no files but its own, no other processes (seccomp, netns, mountns, pidns)"
    )
    line = "cat                          0.75  capture 2.0 ms, inference 10.0 ms  (then dog 0.10)"
    assert rest == [line, line]


def drawn(table: LiveTable) -> str:
    console = Console(file=io.StringIO(), width=110, color_system=None)
    console.print(table.render())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_live_table() -> None:
    table = LiveTable()
    table.begin("HD Webcam")
    assert drawn(table) == "opening HD Webcam …\n"
    show(table, status("try", fps=29.9, dropped={"skipped": 3, "black": 1}), times=7)
    head, engine, _, best, second, _, figures, walls, foot = drawn(table).splitlines()
    assert "HD Webcam" in head
    assert "on cpu with litert" in engine
    assert best.split() == ["cat", "█" * 24 + "░" * 8, "0.75"]
    assert second.split() == ["dog", "█" * 3 + "░" * 29, "0.10"]
    assert figures == "capture 2.0 ms   inference 10.0 ms   29.9 fps   7 shown   4 dropped"
    assert "seccomp" in walls
    assert foot == "stop with Ctrl-C"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"isolation": ()}, "NONE: the process with the pictures can reach the network"),
        ({"network": True, "isolation": ()}, "keeps a route to its network camera"),
        ({"isolation": ("seccomp",)}, "the process with the pictures has only seccomp"),
    ],
)
def test_the_isolation_is_shown(changes: dict[str, object], words: str) -> None:
    table = LiveTable()
    show(table, status("try", **changes))
    assert words in drawn(table)
