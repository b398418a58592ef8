"""Runs every case of the laboratory, shows how it goes, and keeps the table RESULTS.md.

Each row is what a case said in its verdict, with the command that gives it again. A run replaces the rows of
the commands that it ran and leaves the others, so that the long ones can be run one by one.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LAB = Path(__file__).resolve().parent
TABLE = LAB / "RESULTS.md"
PROGRESS_S = 30.0
_FOLDER = re.compile(r"(?<![\w.…])/[^\s'\"]*/")
COLUMNS = ("case", "seed", "command", "what was done", "figures", "verdict", "when", "machine")
HEAD = """# What the laboratory found

Made by `tests/lab/run`: each row is the verdict of one run of the command beside it; nothing was written by
hand. A control is a run that must fail, or the one above it would show nothing.

"""


@dataclass(frozen=True)
class Case:
    """One command.

    Attributes:
        script: without ``.py``.
        does: in words.
        short, long: its arguments.
        limit_s: of the long run; the short one has a quarter of it, and five minutes at least.
        control: it must fail.
    """

    script: str
    does: str
    short: str
    long: str
    limit_s: float = 3600
    control: bool = False


CASES = (
    Case(
        "kill_everything",
        "kill -9 of main, workers, fork server and broker at random moments under a real daemon",
        "--kills 10 --seed 3",
        "--kills 1000 --seed 1 --seconds 1400",
    ),
    Case(
        "outages",
        "the broker away for some seconds, and back: until it acknowledges an event",
        "--outages 3 --nodes 2",
        "--outages 3 3 3 3 3 20 20 20 35 35 35 --nodes 3",
    ),
    Case("outages", "the broker away for five minutes", "--outages 5 --nodes 1", "--outages 300 --nodes 3"),
    Case(
        "broker_away",
        "events while the broker is away: memory of main, bytes written, delivery afterwards",
        "--events 5000",
        "--events 100000",
    ),
    Case(
        "log_volume",
        "hung, crashing and unplugged cameras, a bad model and no broker at once",
        "--seconds 15",
        "--seconds 240",
    ),
    Case(
        "peers",
        "edged, a script with paho, and bridging mosquittos through the same kills and outages",
        "--kills 3 --outage 5",
        "--kills 25 --outage 60 --rate 20",
    ),
    Case(
        "peers",
        "the same, and killed while the broker is away after it was killed",
        "--kills 3 --outage 5 --together",
        "--kills 25 --outage 60 --rate 20 --together",
    ),
    Case("kill_spool", "kill -9 of a process that accepts as fast as it can", "--kills 15", "--kills 1000"),
    Case("power_cut", "modelled power cuts, synchronous=FULL", "--cuts 400", "--cuts 20000"),
    Case(
        "power_cut",
        "the same with synchronous=NORMAL",
        "--cuts 400 --synchronous NORMAL",
        "--cuts 20000 --synchronous NORMAL",
        control=True,
    ),
    Case("damage", "spools cut, zeroed, flipped, replaced, locked", "--cases 30 --rows 3000", "--cases 200"),
    Case("disk_away", "a disk that is full, read-only, or answers with errors", "", ""),
    Case(
        "network", "nine faults of the network and the broker in turns", "--faults 5 --seed 5", "--faults 100"
    ),
    Case(
        "kill_workers",
        "random signals to workers and their fork server",
        "--rounds 8 --seed 8",
        "--rounds 1000 --seed 7",
    ),
    Case(
        "cluster",
        "three nats-server with JetStream as one cluster, its nodes killed under 200 events/s",
        "--kind nats --seconds 45",
        "--kind nats --seconds 300",
    ),
    Case(
        "cluster",
        "three RabbitMQ with mirrored queues as one cluster, its nodes killed under 200 events/s",
        "--kind rabbitmq --seconds 60",
        "--kind rabbitmq --seconds 300",
    ),
    Case(
        "fleet_reading",
        "a thousand nodes at a cluster of three nats-server, and edged fleet reading all",
        "--nodes 20 --kind nats",
        "--nodes 1000 --kind nats",
    ),
    Case(
        "fleet_reading",
        "a thousand nodes at a mosquitto, and edged fleet reading all",
        "--nodes 50 --kind mosquitto",
        "--nodes 1000 --kind mosquitto",
    ),
    Case("walls", "code in a worker tries every way out, with edged started by hand", "", ""),
    Case("walls", "the same, as nobody, who may gain no privileges", "--nobody", "--nobody"),
    Case("walls", "the same, on a kernel without Landlock", "--no-landlock", "--no-landlock"),
    Case("walls", "both", "--nobody --no-landlock", "--nobody --no-landlock"),
    Case("walls", "the same without walls", "--control", "--control", control=True),
    Case("walls_units", "the same under the service's units, in a booted container", "", "container"),
    Case("walls_units", "the same on the virtual board, beside a camera", "", "board"),
    Case("restart_storm", "a worker killed again and again", "--respawns 50", "--respawns 1000"),
    Case("cameras", "cameras that hang, crash, vanish, freeze, go black, give garbage", "", ""),
    Case("edgetpu", "every failure of an Edge TPU's library", '"abort invoke" "fail open"', ""),
    Case("clock_jumps", "the wall clock jumps by years", "--jumps 4", "--jumps 40 --seed 3"),
    Case(
        "mayhem",
        "switches, reloads, signals and a fickle Edge TPU together",
        "--seconds 5 --seed 2",
        "--seconds 60 --seed 3",
    ),
)


def run(case: Case, arguments: str, limit_s: float) -> Iterator[dict[str, Any]]:
    """Run a case and give its verdicts; a case without one has failed."""
    command = [sys.executable, str(LAB / f"{case.script}.py"), *shlex.split(arguments)]
    began = time.monotonic()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            while (left := began + limit_s - time.monotonic()) > 0:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    out, complaints = process.communicate(timeout=min(left, PROGRESS_S))
                    break
                print(f"  {time.monotonic() - began:6.0f} s  …", file=sys.stderr, flush=True)
            else:
                yield {"case": case.script, "ok": False, "died": f"no verdict in {limit_s:g} s"}
                return
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # brokers and daemons too
    found = [json.loads(line) for line in out.splitlines() if line.startswith('{"case"')]
    yield from found
    if not found:
        last = (complaints.strip().splitlines() or ["nothing was said"])[-1]
        yield {"case": case.script, "ok": False, "died": last[:200]}


def machine() -> str:
    """Return this machine in general words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = platform.python_version()
    what = f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, Python {python}"
    return f"{what}; load {os.getloadavg()[1]:.0f}"


def figures(verdict: dict[str, Any]) -> str:
    """Return the figures of a verdict for people, without what is empty and without the folders of a run."""
    hidden = {"case", "ok", "seed"}
    said = {key: _figure(value) for key, value in verdict.items() if key not in hidden}
    return ", ".join(f"{key} {text}" for key, text in said.items() if text)


def _figure(value: Any) -> str:
    if isinstance(value, dict):
        inside = ", ".join(f"{key} {_figure(inner)}" for key, inner in value.items())
        return f"({inside})" if inside else ""
    if isinstance(value, list):
        return "; ".join(_figure(inner) for inner in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else _FOLDER.sub("…/", str(value))


def row(case: Case, arguments: str, verdict: dict[str, Any], took_s: float) -> tuple[str, ...]:
    """Return a row of the table."""
    if "skipped" in verdict:
        outcome = "skipped"
    elif case.control and "died" not in verdict:
        outcome = "control: **does not fail**" if verdict["ok"] else "control: fails, as it must"
    else:
        outcome = "holds" if verdict["ok"] else "**does not hold**"
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, took {took_s:.0f} s"
    seed = str(verdict.get("seed", "-"))
    command = f"`{case.script}.py {arguments}`".replace(" `", "`")
    what = (case.does, figures(verdict), outcome, when, machine())
    cells = (str(verdict["case"]), seed, command, *what)
    return tuple(cell.replace("|", "/") for cell in cells)


def keep(rows: Sequence[tuple[str, ...]]) -> None:
    """Put rows into the table, in the place of those with the same case and command."""
    lock = os.open(LAB, os.O_RDONLY)  # two runs may go on at a time
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = dict[tuple[str, str], tuple[str, ...]]()
        with contextlib.suppress(FileNotFoundError):
            for line in TABLE.read_text("utf-8").splitlines():
                if line.startswith("| ") and not line.startswith((f"| {COLUMNS[0]} ", "| ---")):
                    cells = tuple(line.removeprefix("| ").removesuffix(" |").split(" | "))
                    known[cells[0], cells[2]] = cells
        known |= {(cells[0], cells[2]): cells for cells in rows}
        lines = [" | ".join(cells) for cells in (COLUMNS, ("---",) * len(COLUMNS), *sorted(known.values()))]
        TABLE.write_text(HEAD + "".join(f"| {line} |\n" for line in lines), "utf-8")
    finally:
        os.close(lock)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/lab/run", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="case", help="default: all")
    parser.add_argument("--long", action="store_true", help="the long runs")
    options = parser.parse_args()
    if unknown := set(options.cases) - {case.script for case in CASES}:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    if shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin") is None:
        parser.error("mosquitto is not installed: apt install mosquitto")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what it started ends too
    failed = 0
    for case in CASES:
        if options.cases and case.script not in options.cases:
            continue
        arguments = case.long if options.long else case.short
        print(f"… {case.script} {arguments}", file=sys.stderr, flush=True)
        began = time.monotonic()
        limit_s = case.limit_s if options.long else max(300.0, case.limit_s / 4)
        for verdict in list(run(case, arguments, limit_s)):
            took_s = time.monotonic() - began
            cells = row(case, arguments, verdict, took_s)
            keep([cells])
            failed += "**" in cells[5]
            print(f"  {took_s:6.0f} s  {cells[0]}: {cells[5]}", file=sys.stderr, flush=True)
            print(json.dumps(verdict), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
