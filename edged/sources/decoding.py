"""Notes which file is being decoded, where main still sees it when the process dies of it.

```
 worker 1: decoding.begins(mark) ──▶ [ heartbeat ]     dies
 main:                               [ heartbeat ] ──▶ the mark ──▶ worker 2's order
 worker 2: open(): that file is among mine: it is left out, and named
```

A file with a header in order may still end its decoder: a bomb, or an attack. A worker that begins with the
same file again would never get beyond it.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

log = logging.getLogger(__name__)

_MARK_BYTES = 6
_NAMED = 3  # files that a sentence names


def mark_of(name: str, modified_ns: int, size_bytes: int) -> int:
    """Return the mark of a file: another one as soon as the file is replaced; never 0."""
    about = f"{modified_ns} {size_bytes} {name}".encode(errors="surrogateescape")
    return int.from_bytes(hashlib.blake2b(about, digest_size=_MARK_BYTES).digest(), "big") or 1


class Decoding:
    """The place where a source notes what it decodes.

    Args:
        note: takes the mark of what is being decoded from now on; 0: nothing.
        fatal: marks of files that ended an earlier worker.
        left_out: takes a sentence that names the files that are left out for this.
    """

    def __init__(
        self,
        note: Callable[[int], object] = lambda _mark: None,
        fatal: Collection[int] = (),
        left_out: Callable[[str], object] = log.warning,
    ) -> None:
        self._note = note
        self.left_out = left_out
        self.fatal = frozenset(fatal)

    def begins(self, mark: int) -> None:
        """Note that a file is being decoded."""
        self._note(mark)

    def ends(self) -> None:
        """Note that nothing is being decoded."""
        self._note(0)

    def leave_out(self, files: Sequence[str]) -> None:
        """Report files that a source leaves out because they ended an earlier worker."""
        if not files:
            return
        more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
        them = "them" if len(files) > 1 else "it"
        names = ", ".join(files[:_NAMED])  # last: a sentence that is too long is cut
        self.left_out(f"left out, since decoding {them} ended an earlier worker: {names}{more}")
