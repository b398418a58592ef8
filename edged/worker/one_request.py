"""What the processes share that answer one request about files of others: the walls first, then the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2

from edged.errors import DriverError, ModelError, Unavailable
from edged.system import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.system.child import Tell
    from edged.system.needs import Needs


def answer(needs: Needs, work: Callable[[], dict[str, Any]], tell: Tell) -> None:
    """Give up everything else, then tell what was found, or the error that ended it.

    Args:
        needs: what the work reaches.
        work: returns what was found.
        tell: takes what goes back.
    """
    walls = sandbox.confine(needs)
    cv2.setNumThreads(1)  # as in the workers
    try:
        tell({"found": work() | {"isolation": walls.holds}})
    except (ModelError, DriverError, Unavailable) as error:
        tell({"error": str(error)})
