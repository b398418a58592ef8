"""``edged status``: what the running daemon is doing, from the file in its run directory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edged.cli import terminal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import RenderableType

NAME = "status"
HELP = "say what the running daemon is doing"
WIDTH = 200
_COLOURS = {"ok": "green", "degraded": "yellow", "problem": "red"}
_STATES = {
    "running": "green",
    "ended": "green",
    "waiting": "red",
    "hung": "red",
    "failed": "red",
    "starting": "yellow",
    "disabled": "dim",
}


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
    from edged.daemon import status_file

    found = status_file.read(_run_dir(arguments.config))
    if found.data and arguments.json:
        print(json.dumps(found.data, ensure_ascii=False))
    elif not found.trouble:
        _show(found.data)
    if found.trouble:
        elsewhere = "" if found.data or arguments.config else " (another run_dir: edged status -c FILE)"
        terminal.complain([f"{found.trouble}{elsewhere}"])
        return terminal.UNAVAILABLE
    return 0


def _run_dir(config: str | None) -> Path:
    """Return where the daemon writes; a file that is wrong just now must not hide one that runs."""
    from edged.config import loader, root
    from edged.errors import ConfigError

    if config is not None:
        try:
            return loader.load(config).run_dir
        except ConfigError as error:
            terminal.complain([*error.problems, f"so this looks in {root.run_dir()}"])
    return root.run_dir()


def _show(data: Mapping[str, Any]) -> None:
    console = terminal.console(WIDTH)
    console.print(_summary(data), soft_wrap=True)
    console.print(_pipelines(data["pipelines"]))
    if data["sensors"]:
        console.print(_sensors(data["sensors"]))
    for problem in data["problems"]:
        console.print(f"[yellow]![/] {_plain(problem)}", soft_wrap=True)


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
        f"walls   {_walls(data['pipelines'])}",
        f"memory  {sum(resident.values()):.0f} MB resident in {len(resident)} processes",
    ]
    return "\n".join(lines)


def _pipelines(pipelines: Mapping[str, Any]) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("pipeline", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for column in ("fps", "inference", "frames", "dropped", "restarts"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("model", overflow="ellipsis", no_wrap=True)
    for name, p in pipelines.items():
        invoke, model = p["invoke_ms"], p["model"]
        table.add_row(
            name,
            f"[{_STATES.get(p['state'], 'white')}]{p['state']}[/]",
            "" if p["fps"] is None else f"{p['fps']:.1f}",
            "" if invoke["p50"] is None else f"{invoke['p50']:.1f} ms",
            str(p["frames"]),
            str(sum(p["dropped"].values())),
            str(p["restarts"]),
            f"{_plain(model['name'])} ({p['accelerator']}, {p['runtime']})" if model else "",
        )
    return table


def _sensors(sensors: Mapping[str, Any]) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("sensor", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("faults", justify="right", no_wrap=True)
    table.add_column("the latest")
    for name, sensor in sensors.items():
        state = f"[{_STATES.get(sensor['state'], 'white')}]{sensor['state']}[/]"
        table.add_row(name, state, str(sensor["faults"]), _plain(sensor["last_error"]))
    return table


def _walls(pipelines: Mapping[str, Any]) -> str:
    """Say what keeps the workers from the network: once where it is the same for all."""
    walls: dict[str, list[str]] = {}
    for name, p in pipelines.items():
        if p["state"] == "running":
            held = ", ".join(p["isolation"]) or ("a route to its camera" if p["network"] else "none")
            walls.setdefault(held, []).append(name)
    if len(walls) == 1:
        return f"{next(iter(walls))} (all workers)"
    return "; ".join(f"{held} ({', '.join(names)})" for held, names in walls.items()) or "no worker runs"


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
