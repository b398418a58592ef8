"""``edged audit``: an account of every accepted event, from the spool's file.

Row numbers in the file grow by one with every accepted event, while acknowledged and dropped events are
counted separately, so the two sides come from different data and can disagree. The file is copied and the
copy is read, so the daemon may be running or dead.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from edged.spool.database import Sqlite
from edged.spool.disk import NAME
from edged.spool.store import Store, beside, snapshot
from edged.system.files import open_regular
from edged.text import printable

_LARGEST = 1_000_000_000  # bytes, of a spool whose bound was lowered since


def audit(state_dir: Path, max_mb: float = 0) -> dict[str, Any]:
    """Return the account of the spool in a state directory.

    Args:
        state_dir: the directory.
        max_mb: what the spool may take; a file that is much larger is not edged's, and is not copied.

    Returns:
        ``accepted``, ``acknowledged``, ``queued``, ``dropped`` by reason; ``balanced``: whether the first is
        the sum of the others, None where this user may not read the spool; ``problem``: a sentence, "" if
        there is none; ``node`` and ``epoch`` of the ids; ``last``: the last sequence number of that epoch;
        ``set_aside``: the number of damaged files that were kept.
    """
    found: dict[str, Any] = {
        "accepted": 0,
        "acknowledged": 0,
        "queued": 0,
        "dropped": {},
        "balanced": True,
        "problem": "",
        "node": "",
        "epoch": "",
        "last": 0,
        "set_aside": 0,
    }
    path = state_dir / NAME
    try:
        aside = [p for p in state_dir.glob(f"{NAME}.damaged-*") if not p.name.endswith("-wal")]
        found["set_aside"] = len(aside)
        denied = _denied(path)
        if denied is None:
            found["problem"] = f"there is no spool in {state_dir}: no event has been written there"
        elif denied:
            hint = "run it as root or as the user of the service"
            found |= {"balanced": None, "problem": f"{path} cannot be read by this user: {hint}"}
        else:
            with tempfile.TemporaryDirectory(prefix="edged-audit-") as folder:
                snapshot(path, Path(folder) / NAME, max(_LARGEST, int(2_000_000 * max_mb)))
                found |= _read(Path(folder) / NAME)
    except OSError as error:
        found |= {"balanced": False, "problem": f"{path}: {error}"}
    return found


def text(found: dict[str, Any]) -> str:
    """Return an account as text, for a terminal."""
    if not found["node"] and found["balanced"] is not False:  # no spool, or no permission to read it
        kept = f"; damaged files kept: {found['set_aside']}" if found["set_aside"] else ""
        return printable(found["problem"]) + kept
    dropped = found["dropped"]
    reasons = "".join(f"\n    {printable(reason):<13} {count}" for reason, count in sorted(dropped.items()))
    lines = [
        f"accepted        {found['accepted']}",
        f"acknowledged    {found['acknowledged']}",
        f"queued          {found['queued']}",
        f"dropped         {sum(dropped.values())}{reasons}",
    ]
    if found["set_aside"]:
        lines.append(f"damaged files   {found['set_aside']}, kept next to the spool")
    if found["problem"]:
        lines.append(printable(found["problem"]))
    lines.append("it adds up" if found["balanced"] else "it does NOT add up")
    return "\n".join(lines)


def _denied(path: Path) -> bool | None:
    """Return whether this user may not read a spool; None where there is no spool."""
    try:
        for file in (path, beside(path, "-wal")):
            if file == path or file.exists():
                open_regular(file).close()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        return True
    return False


def _read(path: Path) -> dict[str, Any]:
    store = Store(Sqlite(path))
    try:
        store.check()
        ledger = store.ledger()
        rows = store.scan()
    finally:
        store.close()
    last = max(ledger.last, rows.last)
    accepted = last - ledger.base
    accounted = ledger.acknowledged + len(rows) + ledger.dropped.total()
    return {
        "accepted": accepted,
        "acknowledged": ledger.acknowledged,
        "queued": len(rows),
        "dropped": dict(ledger.dropped),
        "balanced": accepted == accounted,
        "problem": "" if accepted == accounted else _difference(accepted - accounted),
        "node": ledger.node,
        "epoch": ledger.epoch,
        "last": max(0, last - ledger.epoch_from + 1),
    }


def _difference(events: int) -> str:
    if events > 0:
        return f"accepted events not accounted for: {events}"
    return f"events counted more often than they were accepted: {-events}"
