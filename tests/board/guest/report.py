"""What the guest says to the machine outside: one JSON line for each thing shown."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PORT = Path("/dev/virtio-ports/edged.board")


class Skipped(Exception):  # noqa: N818 - it is no error
    """This board cannot show it, and why."""


class Report:
    """Runs what is to be shown and writes down what came of it."""

    def __init__(self) -> None:
        self._out = PORT.open("w", encoding="utf-8")

    def show(self, name: str, action: Callable[[], str]) -> bool:
        """Run one thing; a failure does not keep the others from running."""
        since = time.monotonic()
        try:
            status, detail = "ok", action()
        except Skipped as why:
            status, detail = "skipped", str(why)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told and the next one is shown
            status, detail = "failed", f"{type(error).__name__}: {error}"
        seconds = round(time.monotonic() - since, 1)
        self._write({"name": name, "status": status, "detail": detail, "seconds": seconds})
        return status == "ok"

    def end(self) -> None:
        self._write({"end": True})
        self._out.close()

    def _write(self, line: dict[str, Any]) -> None:
        self._out.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._out.flush()
