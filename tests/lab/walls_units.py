"""The attempts of ``walls.py`` where edged runs as a service: in a booted container, or on the virtual board.

::

    python tests/lab/walls_units.py container|board [--output FILE]

Runs ``tests/system/run`` or ``tests/board/run`` with ``--just walls``, which take some ten minutes, and gives
a verdict of what they show; with ``--output`` it reads what such a run printed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from verdict import verdict

ROOT = Path(__file__).resolve().parents[2]
RUNS = {
    "container": ["tests/system/run", "--just", "walls"],
    "board": ["tests/board/run", "--just", "walls", "--limit", "1500"],
}
SHOWN = re.compile(
    r"(\d+) attempts, ([a-z+]+): (\S.*?) succeed, (\d+) arrive \(without walls (\d+) and (\d+)\)"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("where", nargs="?", choices=RUNS)
    parser.add_argument("--output", type=Path, help="what such a run printed")
    given = parser.parse_args()
    if given.where is None:
        return verdict("walls under the units", True, skipped="only in the long run")
    if given.output is not None:
        said = given.output.read_text("utf-8", "replace")
    else:
        said = subprocess.run(RUNS[given.where], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    status = 1
    for attempts, walls, succeeded, arrived, control, heard in SHOWN.findall(said)[:1]:
        status = verdict(
            f"walls in the {given.where}",
            (succeeded, arrived) == ("0", "0"),
            attempts=int(attempts),
            walls=walls,
            succeeded=succeeded,
            arrived=int(arrived),
            without_walls={"succeeded": int(control), "arrived": int(heard)},
        )
    return status


if __name__ == "__main__":
    sys.exit(main())
