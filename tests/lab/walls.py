"""Code that an attacker runs in a worker tries every way out: which of them leads anywhere.

::

    python tests/lab/walls.py [--nobody] [--no-landlock]
    python tests/lab/walls.py --control

The attempts are those of tests/drivers/edged_attempts.py. What they aim at belongs to the user that runs
edged, so only walls are in the way. None may succeed, and nothing may arrive at the listeners. The control
takes the walls away, and must find the ways open.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import errno
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from crew import Crew, offer_lab_driver, section, synthetic
from targets import Place
from verdict import verdict

NOBODY = 65534
LANDLOCK = (444, 445, 446)
NO_WALLS = """
from edged.system import sandbox
sandbox.confine = lambda needs: sandbox.Walls((), ())
"""


def without_landlock() -> None:
    """Answer Landlock's system calls as Raspberry Pi OS's kernel does, here and in all that is started."""
    import pyseccomp

    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for number in LANDLOCK:
        rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), number)
    rules.load()


def without_walls(folder: Path) -> None:
    """Let the fork server start without bubblewrap, and workers add nothing."""
    modules = folder / "modules"
    modules.mkdir()
    (modules / "sitecustomize.py").write_text(NO_WALLS)
    os.environ["PYTHONPATH"] = os.pathsep.join((str(modules), os.environ.get("PYTHONPATH", "")))
    os.environ["PATH"] = "/nowhere"


def as_nobody() -> None:
    """Give up every right, and the way to get one back."""
    setpriv = str(shutil.which("setpriv"))
    told = ["--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    again = [sys.executable, "-B", *(word for word in sys.argv if word != "--nobody")]
    os.execv(setpriv, [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", *told, *again])  # noqa: S606 - no shell is wanted


async def attack(place: Place, *, control: bool) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return what became of each attempt, and which walls hold."""
    lab = {"kind": "lab", "do": "attack", "file": str(place.found), "cue": str(place.cue)}
    pipelines = {"porch": section(lab, attach=["hall/lux"]), "sibling": section(synthetic())}
    async with Crew(pipelines, isolation="optional" if control else "required") as crew:
        await crew.running()
        forkserver = crew.supervisor.forkserver.pid
        place.tell({"main": os.getpid(), "fork server": forkserver or 1, "sibling": crew.pid("sibling")})
        await crew.until(place.answered)
        return place.results(), crew.status("porch").isolation


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nobody", action="store_true", help="as a user without rights")
    parser.add_argument("--no-landlock", action="store_true", help="as on a kernel without Landlock")
    parser.add_argument("--control", action="store_true", help="without walls")
    options = parser.parse_args()
    if options.nobody:
        as_nobody()
    os.environ["EDGED_TEST_SECRET"] = "secret"  # noqa: S105 - nobody's
    with tempfile.TemporaryDirectory(prefix="edged-walls-") as name:
        offer_lab_driver()
        if options.control:
            without_walls(Path(name))
        if options.no_landlock:
            ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
            without_landlock()
        place = Place(Path(name))
        found, walls = asyncio.run(attack(place, control=options.control))
        arrived = place.arrived()
    succeeded = sorted(attempt for attempt, what in found.items() if what == "done")
    refused = sorted(f"{attempt} {what}" for attempt, what in found.items() if what != "done")
    case = "walls control" if options.control else f"walls as {'root' if os.getuid() == 0 else 'nobody'}"
    case += " without landlock" if options.no_landlock else ""
    figures: dict[str, Any] = {"attempts": len(found), "walls": "+".join(walls), "arrived": arrived}
    figures["succeeded"] = len(succeeded) if options.control else succeeded
    if options.control:
        figures["refused_all_the_same"] = refused
    return verdict(case, not succeeded and not arrived, **figures)


if __name__ == "__main__":
    sys.exit(main())
