"""One check of ``edged doctor`` with real processes, as the command makes it among others."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

from crew import stretched

from edged.tools.doctor.subject import Subject, subject
from edged.tools.doctor.worker_runs import Workers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edged.tools.doctor.verdict import Verdict


def judged(path: Path, check: Callable[[Subject, Workers], Awaitable[Verdict]]) -> Verdict:
    """Return the verdict of a check on a configuration."""

    async def life() -> Verdict:
        workers = Workers(Path("/"))
        workers.prepare()
        try:
            return await check(subject(path, Path("/"), given=True), workers)
        finally:
            await workers.stop()

    began = time.monotonic()
    verdict = asyncio.run(life())
    assert time.monotonic() - began < stretched(20)
    return verdict
