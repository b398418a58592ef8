"""Checks the board itself: its name, temperature, power supply, memory and clock."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

from edged.sensors.drivers import system
from edged.system import board as boards
from edged.system import clock
from edged.tools.doctor.verdict import Verdict, error, ok, together, warning

if TYPE_CHECKING:
    from pathlib import Path

    from edged.config.root import Config

HOT_C = 80.0  # at which a Raspberry Pi begins to throttle
MAIN_MB, FIRST_MB, NEXT_MB = 60, 70, 25  # main; the first pipeline with the fork server; each further one
SMALL_MB = 200  # of total memory; with less, edged does not run well


def board(root: Path) -> Verdict:
    """Judge the power supply and the temperature, as far as the board reports them."""
    cores = len(os.sched_getaffinity(0))
    verdicts = [ok(f"{boards.board(root) or 'unknown board'}, {platform.machine()}, {cores} cores")]
    says = _measured(root)
    heat = says.get("temperature")
    if heat is not None:
        hot = heat >= HOT_C
        verdicts.append(
            warning(f"{heat:.0f} °C", "cool it: a heat sink, a fan") if hot else ok(f"{heat:.0f} °C")
        )
    if says.get("undervoltage"):
        fix = "use the board's own power supply and a short cable (5.1 V; 3 A for a Pi 4, 5 A for a Pi 5)"
        verdicts.append(warning("undervoltage now", fix))
    if says.get("throttled"):
        verdicts.append(
            warning("throttled now: it runs slower than it can", "cool it, or check its power supply")
        )
    if says.get("undervoltage") is False:
        verdicts.append(ok("supply in order"))
    return together(verdicts)


def memory(root: Path, config: Config | None, *, running: bool) -> Verdict:
    """Judge whether the configured pipelines fit in the free memory; a running daemon has its memory."""
    kib = system.meminfo(root)
    total_mb, free_mb = kib["MemTotal"] * 1.024e-3, kib["MemAvailable"] * 1.024e-3
    detail = f"{free_mb:,.0f} of {total_mb:,.0f} MB available"
    if total_mb < SMALL_MB:
        return error(detail, f"edged needs a board with {SMALL_MB} MB or more")
    pipelines = sum(bool(p.enabled) for p in config.pipelines.values()) if config is not None else 1
    needs_mb = MAIN_MB + (FIRST_MB + NEXT_MB * (pipelines - 1) if pipelines else 0)
    if not running and free_mb < needs_mb:
        what = f"{detail}, and {pipelines} pipelines take about {needs_mb}"
        return warning(what, "end other programs, or run fewer pipelines")
    return ok(detail)


def clock_synced(*, synced: bool | None = None) -> Verdict:
    """Judge whether the time in events can be trusted."""
    if clock.synced() if synced is None else synced:
        return ok("synchronised")
    fix = "sudo timedatectl set-ntp true; in a container the host does it"
    return warning("not synchronised: events carry clock: unsynced, and TLS may refuse certificates", fix)


def _measured(root: Path) -> dict[str, float | bool]:
    """Return the board's own figures."""
    config = system.Config(what=("temperature", "undervoltage", "throttled"), root=root)
    sensor = system.create(config)
    sensor.open()
    try:
        return {reading.channel: reading.value for reading in sensor.read() if reading.value is not None}
    finally:
        sensor.close()
