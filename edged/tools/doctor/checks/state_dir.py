"""Checks the state directory: write permission, free space, and whether the spool adds up."""

from __future__ import annotations

import os
import pwd
import subprocess
from typing import TYPE_CHECKING

from edged.spool.disk import NAME
from edged.system import mounts
from edged.tools import audit
from edged.tools.doctor.checks import service
from edged.tools.doctor.verdict import Verdict, error, ok, skipped, together, warning

if TYPE_CHECKING:
    from pathlib import Path

    from edged.config.outputs import SpoolSection
    from edged.tools.doctor.subject import Subject

_TEST_S = 5.0
_WRITES = 0o300  # its owner's: write, search


def state_dir(subject: Subject) -> Verdict:
    """Judge the configured directory."""
    if subject.config is None:
        return skipped(subject.why_not)
    path = subject.config.state_dir
    user = service.user(subject.unit) or service.me()
    there = next(folder for folder in (path, *path.parents) if os.path.exists(folder))  # noqa: PTH110 - Path raises where it has no permission
    if there != path and subject.unit is not None and subject.unit.get("LoadState") == "loaded":
        return ok(f"{path} does not exist yet; systemd creates it when the service starts")
    verdicts = [_writable(there, user)]
    if there != path and verdicts[0].status == "ok":
        verdicts[0] = ok(f"{path} does not exist yet, and {user} can create it")
    elif there != path:
        verdicts[0] = error(f"{path} does not exist, and {user} cannot create it", _make(path, user))
    verdicts.append(room(there, path / NAME, subject.config.spool))
    verdicts += lasting(there)
    if there == path:
        verdicts.append(balance(path, subject.config.spool.max_mb))
    return together(verdicts)


def lasting(folder: Path) -> list[Verdict]:
    """Judge whether a reboot empties the folder."""
    kind = mounts.in_memory(folder)
    if not kind:
        return []
    what = f"{folder} is in memory ({kind}): a reboot or a power cut loses queued events"
    return [warning(what, "write a state_dir on a disk or card, or turn the overlay file system off")]


def _writable(folder: Path, user: str) -> Verdict:
    may = can_write(folder, user)
    if may is None:
        what = f"{service.me()} cannot see whether {user} can write {folder}"
        return skipped(what, "run edged doctor as root, or as the user of the service")
    if not may:
        return error(f"{user} cannot write {folder}", _remedy(folder, user))
    return ok(f"{user} can write {folder}")


def _remedy(folder: Path, user: str) -> str:
    """Return what to do about a folder; it keeps its owner where a person runs edged without a service."""
    if user == service.me() and os.geteuid() != 0:
        return "write a state_dir and a run_dir of your own: `edged init` does"
    return f"sudo chown {user}: {folder} && sudo chmod u+rwx {folder}, or write another state_dir"


def can_write(folder: Path, user: str) -> bool | None:
    """Return whether a user can create files in a folder; None where the current user cannot see that."""
    if user == service.me():
        return os.access(folder, os.W_OK | os.X_OK)
    try:
        entry = pwd.getpwnam(user)
    except KeyError:  # one that systemd creates for the service
        return None
    if os.geteuid() == 0:
        groups = os.getgrouplist(user, entry.pw_gid)
        command = ["test", "-w", str(folder), "-a", "-x", str(folder)]
        done = subprocess.run(
            command,
            user=entry.pw_uid,
            group=entry.pw_gid,
            extra_groups=groups,
            timeout=_TEST_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode == 0
    status = folder.stat()
    if status.st_uid == entry.pw_uid:
        return status.st_mode & _WRITES == _WRITES
    return None


def room(folder: Path, spool: Path, section: SpoolSection) -> Verdict:
    """Judge the free space against the spool's limits."""
    status = os.statvfs(folder)
    free_mb = status.f_bavail * status.f_frsize / 1e6
    try:
        has_mb = spool.stat().st_size / 1e6
    except OSError:
        has_mb = 0.0
    detail = f"{free_mb:,.0f} MB free"
    if free_mb < section.min_free_mb:
        fix = "free space on this disk, or write a smaller spool.min_free_mb"
        return error(
            f"{detail}, less than spool.min_free_mb ({section.min_free_mb:g}): the queue cannot grow", fix
        )
    if free_mb - section.min_free_mb + has_mb < section.max_mb:
        fix = "free space on this disk, or write a smaller spool.max_mb"
        return warning(f"{detail}, too little for a queue of spool.max_mb ({section.max_mb:g})", fix)
    return ok(detail)


def balance(state_dir: Path, max_mb: float = 0) -> Verdict:
    """Judge whether every accepted event is accounted for; ``max_mb`` is the spool's limit."""
    found = audit.audit(state_dir, max_mb)
    aside = f", {found['set_aside']} damaged files kept" if found["set_aside"] else ""
    if found["balanced"] is None:
        return skipped(found["problem"], "run edged doctor as root, or as the user of the service")
    if not found["balanced"]:
        return error(
            f"the spool: {found['problem']}{aside}", "run edged audit for details, and please report it"
        )
    if not found["node"]:
        return ok(f"no event was queued yet{aside}")
    return ok(f"{found['accepted']} events accepted, all accounted for, {found['queued']} queued{aside}")


def _make(path: Path, user: str) -> str:
    return f"sudo install -d -o {user} -m 700 {path}"
