"""``edged status``: what the running daemon is doing, from the file in its run directory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edged import commands

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import RenderableType

NAME = "status"
HELP = "say what the running daemon is doing"
_COLOURS = {"ok": "green", "degraded": "yellow", "problem": "red"}
_STATES = {"running": "green", "ended": "green", "waiting": "red", "starting": "yellow", "disabled": "dim"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        help="take run_dir from this file (default: $RUNTIME_DIRECTORY, /run/edged)",
    )
    parser.add_argument("--json", action="store_true", help="the file as it is")


def run(arguments: argparse.Namespace) -> int:
    """Show the file, or say why it tells nothing."""
    from edged import statusfile

    found = statusfile.read(_run_dir(arguments.config))
    if found.data and arguments.json:
        print(json.dumps(found.data, ensure_ascii=False))
    elif not found.trouble:
        _show(found.data)
    if found.trouble:
        commands.complain([found.trouble])
        return commands.UNAVAILABLE
    return 0


def _run_dir(config: str | None) -> Path:
    from edged.config import loader, models

    return models.run_dir() if config is None else loader.load(config).run_dir


def _show(data: Mapping[str, Any]) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.print(_summary(data))
    console.print(_pipelines(data["pipelines"]))
    for problem in data["problems"]:
        console.print(f"[yellow]![/] {_plain(problem)}")


def _summary(data: Mapping[str, Any]) -> str:
    broker, events = data["broker"], data["events"]
    dropped = ", ".join(f"{n} dropped ({reason})" for reason, n in events["dropped"].items())
    # Pipelines that share a worker name the same process.
    resident = {p["pid"]: p["rss_mb"] for p in data["processes"].values()}
    program = f"edged {data['version']}, process {data['pid']}, up {_duration(data['uptime_s'])}"
    count = f"{events['accepted']} accepted, {events['acknowledged']} acknowledged, {data['queue']} queued"
    status = f"[{_COLOURS[data['status']]}]{data['status']}[/]"
    lines = [
        f"[bold]{data['node']}[/]  {status}  {program}, clock {data['clock']}",
        f"broker  {broker['state']}: {_plain(broker['detail'])}",
        f"events  {count}{f', {dropped}' if dropped else ''}",
        f"memory  {sum(resident.values()):.0f} MB resident in {len(resident)} processes",
    ]
    return "\n".join(lines)


def _pipelines(pipelines: Mapping[str, Any]) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("pipeline", "state", "model", "on"):
        table.add_column(column)
    for column in ("fps", "inference p50/p95", "frames", "dropped", "restarts"):
        table.add_column(column, justify="right")
    table.add_column("isolation")
    for name, p in pipelines.items():
        invoke = p["invoke_ms"]
        table.add_row(
            name,
            f"[{_STATES.get(p['state'], 'white')}]{p['state']}[/]",
            _plain(p["model"]["name"]) if p["model"] else "",
            f"{p['accelerator']} {p['runtime']}".strip(),
            "" if p["fps"] is None else f"{p['fps']:.1f}",
            "" if invoke["p50"] is None else f"{invoke['p50']:.1f} / {invoke['p95']:.1f} ms",
            str(p["frames"]),
            str(sum(p["dropped"].values())),
            str(p["restarts"]),
            ", ".join(p["isolation"]) + (" (keeps a route to its camera)" if p["network"] else ""),
        )
    return table


def _plain(text: str) -> str:
    """Keep rich from reading a sentence as markup."""
    from rich.markup import escape

    return escape(text)


def _duration(seconds: int) -> str:
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
