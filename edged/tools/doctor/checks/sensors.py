"""Checks the configured sensors: opens and reads each of them once, or asks the daemon that reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edged.tools.doctor.probe import Unanswered, ask
from edged.tools.doctor.verdict import Verdict, absent, error, ok, skipped, together, warning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edged.sensors import SensorConfig
    from edged.tools.doctor.probe import Ask
    from edged.tools.doctor.subject import Subject

LONGEST_S = 60.0  # for all of them
_SILENT = "wait, if it sends seldom; else compare baud and pattern with what it sends"


def sensors(subject: Subject, asked: Ask = ask) -> Verdict:
    """Judge the sensors of the configuration."""
    if subject.config is None:
        return skipped(subject.why_not)
    configs = subject.config.sensors
    if not configs:
        return absent("no sensor is configured")
    running = subject.daemon.get("sensors", {})
    verdicts = [_running(name, running[name]) for name in configs if _runs(running.get(name, {}))]
    rest = {name: config for name, config in configs.items() if not _runs(running.get(name, {}))}
    if rest:
        try:
            found = asked(
                "readings", json.dumps({name: _keys(c) for name, c in rest.items()}), seconds=LONGEST_S
            )
        except Unanswered as why:
            verdicts.append(
                error(f"{', '.join(rest)}: {why}", "leave sensors out until it works, to find which")
            )
        else:
            verdicts += [_read(name, config, found[name]) for name, config in rest.items()]
    return together(verdicts)


def _keys(config: SensorConfig) -> dict[str, Any]:
    return {**config.model_dump(mode="json", exclude_defaults=True), "kind": config.kind}


def _runs(daemon_says: Mapping[str, Any]) -> bool:
    return daemon_says.get("state") == "running"


def _running(name: str, daemon_says: Mapping[str, Any]) -> Verdict:
    return _of(name, daemon_says.get("readings", ()), "the daemon reads it")


def _read(name: str, config: SensorConfig, found: Mapping[str, Any]) -> Verdict:
    """Judge one that was read, or could not be."""
    if "problem" in found:
        return error(f"{name}: {found['problem']}", config.remedy if found["absent"] else "")
    return _of(name, found["readings"], "")


def _of(name: str, readings: Sequence[Mapping[str, Any]], aside: str) -> Verdict:
    """Judge a sensor's readings."""
    good = [_text(reading) for reading in readings if reading["quality"] == "good"]
    bad = [reading for reading in readings if reading["quality"] != "good"]
    more = f" ({aside})" if aside else ""
    if bad:
        reason = bad[0].get("reason") or bad[0]["quality"]
        return warning(f"{name}: {', '.join([*good, reason])}{more}")
    if not good:
        return ok(f"{name}: {aside}") if aside else warning(f"{name}: it is open, and sent nothing", _SILENT)
    return ok(f"{name}: {', '.join(good)}{more}")


def _text(reading: Mapping[str, Any]) -> str:
    value = reading["value"]
    number = ("off", "on")[value] if isinstance(value, bool) else f"{value:g}"
    return " ".join(part for part in (reading["channel"], number, reading.get("unit", "")) if part)
