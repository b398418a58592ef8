"""``edged status``: the state of the running daemon, from the file in its run directory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from edged.cli import terminal
from edged.cli.fitting_table import Column, fitting_table
from edged.cli.times import duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import RenderableType

NAME = "status"
HELP = "show the state of the running daemon"
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

_PIPELINE_COLUMNS = (
    Column("pipeline", shrinks=True),
    Column("state", colours=_STATES),
    Column("decision", order=1, shrinks=True),
    Column("fps", order=2, right=True),
    Column("inference", order=3, right=True),
    Column("frames", order=6, right=True),
    Column("dropped", order=5, right=True),
    Column("restarts", order=4, right=True),
    Column("model", order=7, shrinks=True),
)
_SENSOR_COLUMNS = (
    Column("sensor", shrinks=True),
    Column("state", colours=_STATES),
    Column("reading", order=1, shrinks=True),
    Column("faults", order=2, right=True),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    terminal.add_config_option(
        parser,
        "read run_dir from this file (default: $RUNTIME_DIRECTORY, else /run/edged)",
        default=None,
    )
    parser.add_argument("--json", action="store_true", help="print the status as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Show the status, or the reason why there is none."""
    from edged.daemon import status_file

    found = status_file.read(_run_dir(arguments.config))
    if found.data and arguments.json:
        terminal.print_json(found.data)
    elif not found.trouble:
        _show(found.data)
    if found.trouble:
        hint = "" if found.data or arguments.config else " (for another run_dir: edged status -c FILE)"
        terminal.print_error(f"{found.trouble}{hint}")
        return terminal.UNAVAILABLE
    return 0


def _run_dir(config: str | None) -> Path:
    """Return the daemon's run directory. An invalid configuration must not hide a running daemon."""
    from edged.config import loader, root
    from edged.errors import ConfigError

    if config is not None:
        try:
            return loader.run_dir(config)
        except ConfigError as error:
            terminal.print_error(*error.problems, f"using the default run directory, {root.run_dir()}")
    return root.run_dir()


def _show(data: Mapping[str, Any]) -> None:
    console = terminal.console(WIDTH)
    console.print(_summary(data), soft_wrap=True)
    if data["pipelines"]:
        console.print(_pipelines(data["pipelines"], console.width))
    if data["sensors"]:
        console.print(_sensors(data["sensors"], console.width))
    for camera, names in _cameras(data["pipelines"]).items():
        console.print(
            f"camera     {terminal.escape(camera)}: {terminal.escape(', '.join(names))}", soft_wrap=True
        )
    for name, pipeline in data["pipelines"].items():
        if motion := pipeline.get("motion"):
            console.print(f"motion     {terminal.escape(name)} {_moving(motion)}", soft_wrap=True)
        if view := pipeline.get("view"):
            console.print(f"view       {terminal.escape(name)} {_shown(view)}", soft_wrap=True)
    for problem in [*data["problems"], *_earlier(data)]:
        console.print(f"[yellow]![/] {terminal.escape(problem)}", soft_wrap=True)
    for note in data.get("notes", ()):
        console.print(f"[dim]note:[/] {terminal.escape(note)}", soft_wrap=True)


def _earlier(data: Mapping[str, Any]) -> list[str]:
    """Return the last errors of what works again."""
    return [
        f"{name}: earlier: {error}"
        for section in ("pipelines", "sensors")
        for name, each in data[section].items()
        if (error := each["last_error"]) and not any(p.startswith(f"{name}: ") for p in data["problems"])
    ]


def _summary(data: Mapping[str, Any]) -> str:
    broker, events = data["broker"], data["events"]
    dropped = ", ".join(f"{n} dropped ({reason})" for reason, n in events["dropped"].items())
    # Pipelines that share a worker name the same process.
    resident = {p["pid"]: p["rss_mb"] for p in data["processes"].values()}
    program = f"edged {data['version']}, process {data['pid']}, up {duration(data['uptime_s'])}"
    count = f"{events['accepted']} accepted, {events['acknowledged']} acknowledged, {data['queue']} queued"
    clock = terminal.escape(f"clock {data['clock']}")
    status = f"[{_COLOURS.get(data['status'], 'red')}]{terminal.escape(data['status'])}[/]"
    lines = [
        f"[bold]{terminal.escape(data['node'])}[/]  {status}  {terminal.escape(program)}, {clock}",
        f"broker     {terminal.escape(broker['state'])}: {terminal.escape(broker['detail'])}",
        f"events     {terminal.escape(count)}{f', {terminal.escape(dropped)}' if dropped else ''}",
        f"isolation  {terminal.escape(_isolation(data['pipelines']))}",
        f"memory     {sum(resident.values()):.0f} MB resident in {len(resident)} processes",
    ]
    return "\n".join(lines)


def _decided(decision: Mapping[str, Any]) -> str:
    """Return what is decided, for people: each label that is there, with the count of more than one."""
    there = decision.get("present") or {decision["label"]: 1}
    shown = ", ".join(label if count == 1 else f"{label}: {count}" for label, count in there.items())
    return f"{shown} since {_hour(decision['since'])}"


def _pipelines(pipelines: Mapping[str, Any], width: int) -> RenderableType:
    rows = []
    for name, p in pipelines.items():
        invoke, model, decision = p["invoke_ms"], p["model"], p["decision"]
        rows.append(
            {
                "pipeline": name,
                "state": p["state"],
                "decision": _decided(decision) if decision else "",
                "fps": "" if p["fps"] is None else f"{p['fps']:.1f}",
                "inference": "" if invoke["p50"] is None else f"{invoke['p50']:.1f} ms",
                "frames": p["frames"],
                "dropped": sum(p["dropped"].values()),
                "restarts": p["restarts"],
                "model": f"{model['name']} ({p['accelerator']}, {p['runtime']})" if model else "",
            }
        )
    return fitting_table(_PIPELINE_COLUMNS, rows, width)


def _sensors(sensors: Mapping[str, Any], width: int) -> RenderableType:
    rows = []
    for name, sensor in sensors.items():
        readings = [reading for reading in sensor.get("readings", []) if reading["value"] is not None]
        rows.append(
            {
                "sensor": name,
                "state": sensor["state"],
                "reading": ", ".join(map(_reading, readings)),
                "faults": sensor["faults"],
            }
        )
    return fitting_table(_SENSOR_COLUMNS, rows, width)


def _reading(reading: Mapping[str, Any]) -> str:
    """Return a reading for people, such as ``temperature 21.5 °C (stale)``."""
    value = reading["value"]
    shown = f"{value:.6g}" if isinstance(value, float) else str(value).lower()
    quality = "" if reading["quality"] == "good" else f"({reading['quality']})"
    return " ".join(filter(None, (reading["channel"], shown, reading["unit"], quality)))


def _hour(when: str) -> str:
    """Return a time for people: the hour, and the day where it is not today."""
    try:
        at = datetime.fromisoformat(when).astimezone()
    except ValueError:
        return when
    today = datetime.now(tz=UTC).astimezone().date()
    return at.strftime("%H:%M" if at.date() == today else "%d %b %H:%M")


def _cameras(pipelines: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the pipelines of each camera that they share."""
    found: dict[str, list[str]] = {}
    for name, pipeline in pipelines.items():
        if camera := pipeline.get("camera"):
            found.setdefault(camera, []).append(name)
    return found


def _moving(motion: Mapping[str, Any]) -> str:
    now = "something moves" if motion["moves"] else "nothing moves"
    return f"{now}; {motion['skipped']} frames without movement were not classified"


def _shown(view: Mapping[str, float]) -> str:
    return f"shows {view['width']:.0%} of the sensor's width and {view['height']:.0%} of its height"


def _isolation(pipelines: Mapping[str, Any]) -> str:
    """Return the mechanisms that cut the workers off from the network: once where all have the same."""
    workers: dict[str, list[str]] = {}
    for name, p in pipelines.items():
        if p["state"] == "running":
            isolation = ", ".join(p["isolation"]) or ("a route to its camera" if p["network"] else "none")
            workers.setdefault(isolation, []).append(name)
    if len(workers) == 1:
        return f"{next(iter(workers))} (all workers)"
    groups = [f"{isolation} ({', '.join(names)})" for isolation, names in workers.items()]
    return "; ".join(groups) or "no worker is running"
