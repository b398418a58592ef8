"""Boots an image in an emulator, prints what the guest shows as it comes, and ends the emulator."""

from __future__ import annotations

import argparse
import json
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

# What an emulator need not do: against its caches nothing needs mitigation, and nobody logs in (a getty would
# hang up whoever prints on the console).
LEFT_OUT = (
    *(
        "serial-getty@ttyS0.service",
        "getty.target",
        "systemd-logind.service",
        "systemd-user-sessions.service",
    ),
    *("sys-kernel-debug.mount", "sys-kernel-tracing.mount", "dev-hugepages.mount", "dev-mqueue.mount"),
    *("modprobe@drm.service", "modprobe@efi_pstore.service", "modprobe@fuse.service", "timers.target"),
)
KERNEL_LINE = " ".join(
    ["root=/dev/vda rw console=ttyS0 quiet mitigations=off", *(f"systemd.mask={unit}" for unit in LEFT_OUT)]
)
ESCAPES = re.compile(r"\x1b(\[[0-9;?!:]*[A-Za-z]|.)")
MARKS = {"ok": "ok     ", "failed": "FAILED ", "skipped": "skipped"}
SAY_EVERY_S = 15


class Board:
    """The emulator and what comes out of it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.console = options.work / "console.log"
        self.results = options.work / "results"
        self.results.write_bytes(b"")
        self._read = 0
        command = [
            # It ends with this process, even where that is killed.
            *("setpriv", "--pdeathsig", "KILL", options.emulator),
            *("-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "1024", "-nodefaults", "-display", "none"),
            *("-no-reboot", "-serial", f"file:{self.console}"),
            *(
                "-kernel",
                options.kernel,
                "-initrd",
                options.initrd,
                "-append",
                f"{KERNEL_LINE} edged.just={options.just}",
            ),
            *("-drive", f"file={options.image},format=raw,if=virtio,snapshot=on"),
            *("-device", "virtio-rng-pci", "-device", "virtio-serial"),
            *("-chardev", f"file,id=results,path={self.results}"),
            *("-device", "virtserialport,chardev=results,name=edged.board"),
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def running(self) -> bool:
        return self._process.poll() is None

    def news(self) -> list[dict[str, Any]]:
        """Return what the guest has reported since the last call."""
        data = self.results.read_bytes()
        whole = data[self._read : data.rfind(b"\n") + 1]
        self._read += len(whole)
        return [json.loads(line) for line in whole.splitlines() if line.strip()]

    def says(self, lines: int) -> list[str]:
        """Return the last lines of the console."""
        if not self.console.exists():
            return []
        text = ESCAPES.sub("", self.console.read_bytes().decode("utf-8", "replace").replace("\r", ""))
        printable = ["".join(c for c in line if c.isprintable()) for line in text.splitlines()]
        return [line for line in printable if line.strip()][-lines:]

    def end(self) -> None:
        if self.running():
            self._process.kill()
        self._process.wait()


def watch(board: Board, limit_s: float) -> tuple[list[dict[str, Any]], str]:
    """Return what the guest reported, and why that is not all of it, or ""."""
    since = said = time.monotonic()
    found: list[dict[str, Any]] = []
    while True:
        ended = not board.running()
        for line in board.news():
            if line.get("end"):
                return found, ""
            found.append(line)
            said = time.monotonic()
            print(
                f"    {MARKS[line['status']]} {line['seconds']:5.1f} s  {line['name']}: {line['detail']}",
                flush=True,
            )
        if ended:
            return found, "the board went off before it had shown everything"
        now = time.monotonic()
        if now - since > limit_s:
            return found, f"the board took longer than {limit_s:.0f} s"
        if now - said > SAY_EVERY_S:
            said = now
            print(f"    … {now - since:.0f} s: {''.join(board.says(1))[:100]}", flush=True)
        time.sleep(0.3)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("emulator", "image", "kernel", "initrd"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--limit", type=float, required=True)
    parser.add_argument("--just", default="")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def stop(number: int, frame: FrameType | None) -> None:
    del frame
    sys.exit(128 + number)  # through `finally`, which ends the emulator


def main() -> int:
    given = options()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    since = time.monotonic()
    board = Board(given)
    try:
        found, trouble = watch(board, given.limit)
    finally:
        board.end()
    seconds = round(time.monotonic() - since, 1)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = trouble and used.ru_utime + used.ru_stime < seconds / 2
    trouble += "; it had less than half a processor, so try --limit or a quieter hour" if busy else ""
    counts = {status: sum(line["status"] == status for line in found) for status in MARKS}
    passed = not trouble and not counts["failed"] and counts["ok"] > 0
    if not passed:
        print(
            "    the end of the console:",
            *(f"    | {line}" for line in board.says(60)),
            sep="\n",
            file=sys.stderr,
        )
    verdict = {
        "board": "x86-64",
        "passed": passed,
        "trouble": trouble,
        "seconds": seconds,
        "processor_s": round(used.ru_utime + used.ru_stime, 1),
        **counts,
        "checks": found,
    }
    if given.json:
        given.json.write_text(json.dumps(verdict, ensure_ascii=False, indent=1) + "\n", "utf-8")
    print(json.dumps({key: value for key, value in verdict.items() if key != "checks"}, ensure_ascii=False))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
