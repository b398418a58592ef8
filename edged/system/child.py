"""Asks a module in a process of its own, and says what became of it when it ends without an answer."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from typing import IO, TYPE_CHECKING, Any

from edged.system import signals
from edged.text import printable

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator, Mapping

# One thread for linear algebra that edged hardly does, and one heap: more of either is memory for nothing.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
_CHUNK = 1 << 16
_LONGEST = 300  # characters of what a process said before it died


def interpreter(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of edged in another Python, and no code that a worker can write.

    The service's main is isolated (``-I``), and so are its children. Where a person started main without it,
    the children keep that person's ``PYTHONPATH``, but read neither the user's site directory nor the current
    folder.
    """
    flags = ["-I"] if sys.flags.isolated else ["-s", "-P"]
    return [sys.executable, *flags, "-m", module, *arguments]


def start(
    module: str,
    *arguments: str,
    output: int,
    pass_fds: Collection[int] = (),
    process_group: int | None = None,
    environment: Mapping[str, str] = ENVIRONMENT,
) -> subprocess.Popen[bytes]:
    """Start a module as a process that lives as long as this one.

    Args:
        module: its name, such as ``edged.worker.forkserver``.
        arguments: its command line.
        output: the descriptor for its standard output and standard error.
        pass_fds: the descriptors that it inherits.
        process_group: 0 gives it a process group of its own.
        environment: variables on top of this process's own.

    Raises:
        OSError: no process can be started.
    """
    return subprocess.Popen(
        interpreter(module, *arguments),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=pass_fds,
        process_group=process_group,
        env=os.environ | environment,
    )


class Failed(Exception):  # noqa: N818 - it is what became of a process
    """There is no answer; one sentence."""


def ask(module: str, question: bytes, patience_s: float) -> Generator[dict[str, Any], None, None]:
    """Run a module and give the lines of JSON that it answers with, until it ends.

    It is called with a descriptor for its answers and with the process to die with; the question is on its
    standard input. Leaving the iterator ends it.

    Args:
        module: such as ``edged.worker.bench``.
        question: what it is asked.
        patience_s: how long it may say nothing.

    Raises:
        Failed: it did not end in order.
    """
    read, write = os.pipe()
    with os.fdopen(read, "rb", buffering=0) as answers, tempfile.TemporaryFile() as said:
        try:
            process = _start(module, question, write, said)
        finally:
            os.close(write)
        try:
            yield from map(json.loads, _lines(answers, patience_s))
            status = process.wait(patience_s)
        except subprocess.TimeoutExpired:
            raise _hung(patience_s) from None
        finally:
            process.kill()
            process.wait()
        if status:
            raise Failed(_how(status, said))


def _start(module: str, question: bytes, write: int, said: IO[bytes]) -> subprocess.Popen[bytes]:
    with tempfile.TemporaryFile() as given:
        given.write(question)
        given.seek(0)
        try:
            return subprocess.Popen(
                interpreter(module, str(write), str(os.getpid())),
                stdin=given,
                stdout=said,
                stderr=said,
                pass_fds=[write],
                process_group=0,  # Ctrl-C is for main
                env=os.environ | ENVIRONMENT,
            )
        except OSError as error:
            raise Failed(f"no process can be started: {error}") from None


def _lines(answers: IO[bytes], patience_s: float) -> Iterator[bytes]:
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(answers, selectors.EVENT_READ)
        while True:
            if not selector.select(patience_s):
                raise _hung(patience_s)
            data = answers.read(_CHUNK)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            yield from lines


def _hung(patience_s: float) -> Failed:
    return Failed(f"its process hung: nothing for {patience_s:g} s")


def _how(status: int, said: IO[bytes]) -> str:
    """Return how a process ended, with the last that it said."""
    if status > 0:
        how = f"its process ended with exit status {status}"
    else:
        how = f"its process was ended by {signals.name(-status)}"
        if -status == signal.SIGKILL:
            how += ", perhaps for want of memory"
    size = said.seek(0, os.SEEK_END)
    said.seek(max(0, size - 4 * _LONGEST))
    lines = [line for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    last = printable(lines[-1].strip()) if lines else ""
    return f"{how}: {last[:_LONGEST]}" if last else how
