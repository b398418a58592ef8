"""Several processes and several Edge TPUs on an emulated USB, with a stand-in that resets what it opens.

The stand-in counts sticks as libedgetpu does, loads firmware, and takes a device from the process that has
it, which aborts. What edged does about that is seen by the processes that live.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import delegates
import pytest
from crew import stretched

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(bool(delegates.missing_tools()), reason=delegates.missing_tools() or "none")
BY_EDGED = """
import sys
from pathlib import Path
from edged.errors import Unavailable
from edged.inference import edgetpu
library, device, root = sys.argv[1:]
try:
    delegate = edgetpu.open_delegate("auto", library, device, root=Path(root))
except Unavailable as error:
    sys.exit(f"{error.reason}: {error}")
print("open", flush=True)
sys.stdin.readline()
del delegate
"""
BY_THE_RUNTIME = """
import sys
from edged.inference import runtime
library, device, _ = sys.argv[1:]
delegate = runtime.load_delegate("auto", library, {"device": device})
print("open", flush=True)
sys.stdin.readline()
del delegate
"""


class Opener:
    """A process that opens an Edge TPU, and holds it until it is told to end."""

    def __init__(self, library: Path, device: str, root: Path, program: str = BY_EDGED) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, str(library), device, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def opens(self) -> bool:
        """Wait until it has opened its device, or has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline() == "open\n"

    def end(self) -> tuple[int, str]:
        """Let it end; return its exit status, and what it printed to standard error."""
        _, errors = self.process.communicate("\n", timeout=stretched(20))
        return self.process.returncode, errors

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return delegates.on_bus(tmp_path / "libedgetpu.so.1", tmp_path)


@pytest.mark.parametrize("program", [BY_THE_RUNTIME, BY_EDGED])
def test_a_second_process_does_not_take_a_device_from_the_first(
    tmp_path: Path, library: Path, program: str
) -> None:
    delegates.plug(tmp_path, "2-1", 4)
    with Opener(library, "usb", tmp_path, program) as first:
        assert first.opens()
        with Opener(library, "usb", tmp_path, program) as second:
            opened = second.opens()
            status, errors = first.end()
            if program == BY_EDGED:
                assert (opened, status) == (False, 0)
                assert "busy: another process uses the Edge TPU" in second.end()[1]
            else:  # as 0.1.0 did: the stand-in is as unkind as libedgetpu
                assert (opened, status) == (True, -signal.SIGABRT)
                assert "reset under process" in second.end()[1]
            assert ("the device was closed" in errors) is (program == BY_EDGED)


@pytest.mark.parametrize(("program", "status"), [(BY_THE_RUNTIME, -signal.SIGABRT), (BY_EDGED, 0)])
def test_a_stick_that_is_plugged_in_later_leaves_the_numbers_of_the_others(
    tmp_path: Path, library: Path, program: str, status: int
) -> None:
    first = delegates.plug(tmp_path, "1-1", 4)
    with Opener(library, "usb:0", tmp_path, program) as one:
        assert one.opens()
        second = delegates.plug(tmp_path, "1-2", 5)  # without firmware, so the library counts it as the first
        with Opener(library, "usb:1", tmp_path, program) as other:
            assert other.opens()
            assert one.end()[0] == status
            assert (second / "owner").exists() is (program == BY_EDGED)
        assert (first / "idVendor").read_text() == "18d1\n"


def test_two_that_are_opened_at_once_get_different_sticks(tmp_path: Path, library: Path) -> None:
    places = [delegates.plug(tmp_path, f"1-{n}", n) for n in (1, 2, 3)]
    with ExitStack() as stack:
        openers = [stack.enter_context(Opener(library, f"usb:{n}", tmp_path)) for n in (2, 0, 1)]
        assert all(opener.opens() for opener in openers)  # they were all started above
        owners = [int((place / "owner").read_text()) for place in places]
        assert owners == [openers[n].process.pid for n in (1, 2, 0)]
        assert [opener.end()[0] for opener in openers] == [0, 0, 0]
