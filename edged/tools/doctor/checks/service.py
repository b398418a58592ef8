"""Checks ``edged.service``, as systemd reports it."""

from __future__ import annotations

import os
import pwd
import subprocess
from typing import TYPE_CHECKING

from edged.tools.doctor.verdict import Verdict, absent, error, ok, skipped, warning

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

UNIT = "edged.service"
USER = "edged"  # in the unit that edged ships
ANSWER_S = 5.0
_WORKS = ("active", "activating", "reloading")
_ASKED = (
    "LoadState",
    "UnitFileState",
    "ActiveState",
    "SubState",
    "Result",
    "NRestarts",
    "WatchdogUSec",
    "User",
)


def ask(root: Path, program: str = "systemctl") -> Mapping[str, str] | None:
    """Return the properties of the unit; None where systemd does not run or does not answer."""
    if not (root / "run/systemd/system").is_dir():
        return None
    command = [program, "show", UNIT, f"--property={','.join(_ASKED)}"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ANSWER_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def me() -> str:
    """Return the name of the current user; its number where it has none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def user(unit: Mapping[str, str] | None) -> str:
    """Return the user of the service; empty where it is not known to be another one than the current user."""
    if unit and unit.get("LoadState") == "loaded":
        return unit.get("User", "")
    try:
        return pwd.getpwnam(USER).pw_name
    except KeyError:
        return ""


def examine(unit: Mapping[str, str] | None) -> Verdict:
    """Judge whether the service is installed, runs, and is watched."""
    if unit is None:
        return skipped("systemd does not run here, or does not answer")
    if unit.get("LoadState") != "loaded":
        return absent(f"there is no {UNIT}", "deploy/README.md describes how to install it")
    boot = unit.get("UnitFileState") or "unknown"
    detail = f"{unit.get('ActiveState')} ({unit.get('SubState')}), {boot} at boot"
    if unit.get("NRestarts", "0") != "0":
        detail += f", restarted {unit['NRestarts']} times"
    if unit.get("ActiveState") == "failed" or unit.get("SubState") == "auto-restart":
        return error(f"{detail}: {unit.get('Result') or 'failed'}", f"journalctl -u {UNIT} -n 50 shows why")
    return _at_work(unit, detail)


def _at_work(unit: Mapping[str, str], detail: str) -> Verdict:
    if unit.get("ActiveState") not in _WORKS:
        return warning(detail, f"sudo systemctl enable --now {UNIT}")
    watchdog = unit.get("WatchdogUSec", "0")
    if watchdog in ("0", "infinity"):
        return warning(f"{detail}, without a watchdog", f"write WatchdogSec=30: sudo systemctl edit {UNIT}")
    if unit.get("UnitFileState") == "disabled":
        return warning(detail, f"sudo systemctl enable {UNIT}")
    return ok(f"{detail}, watchdog {watchdog}")
