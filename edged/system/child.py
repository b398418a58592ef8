"""Runs modules of edged in processes of their own.

::

    start    a process that lives as long as this one: the fork server, the sensor process
    answers  one request, and lines of JSON until the process ends: a measurement of bench, a probe of doctor,
             the check at a reload; serve is the other side

Whatever crashes or hangs there costs the caller one sentence (:class:`ChildFailed`).
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from edged.system import kernel, namespaces
from edged.system.ending import Ending
from edged.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence

    from edged.system.needs import Needs

    Tell = Callable[[Mapping[str, Any]], None]

_CHUNK = 1 << 16
_BY_SIGNAL = 128  # added to the number of a signal, in an exit status of bubblewrap or a shell
_INIT = 1  # the parent of a process in a PID namespace of its own
_GONE_S = 3.0  # for a killed process to be gone
_LONGEST = 300  # characters of the last line that a process printed before it died


def interpreter(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of edged in another Python, and no code that a worker can write.

    The service's main is isolated (``-I``), and so are its children. Where a person started main without it,
    the children keep that person's ``PYTHONPATH``, but read neither the user's site directory nor the current
    folder.
    """
    flags = ["-I"] if sys.flags.isolated else ["-s", "-P"]
    return [sys.executable, *flags, "-m", module, *arguments]


def start(
    command: Sequence[str],
    *,
    output: int,
    environment: Mapping[str, str],
    pass_fds: Collection[int] = (),
    process_group: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process that lives as long as this one.

    Args:
        command: its command line, such as :func:`interpreter` returns it.
        output: the descriptor for its standard output and standard error.
        environment: all its variables.
        pass_fds: the descriptors that it inherits.
        process_group: 0 gives it a process group of its own.

    Raises:
        OSError: no process can be started.
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=pass_fds,
        process_group=process_group,
        env=environment,
    )


class ChildFailed(Exception):  # noqa: N818 - the state of a process rather than an error of ours
    """The process hung, crashed or could not be started; one sentence."""


def answers(
    module: str,
    request: bytes,
    patience_s: float,
    needs: Needs | None = None,
    *,
    output: IO[bytes] | None = None,
    pass_fds: Sequence[int] = (),
) -> Generator[dict[str, Any], None, None]:
    """Run a module that calls :func:`serve`, and yield its answers until it ends.

    Closing the iterator ends the process, and so does the end of this process.

    Args:
        module: its name, such as ``edged.worker.bench``.
        request: its standard input.
        patience_s: the longest silence: without an answer for this long, the process counts as hung.
        needs: run it in namespaces of its own, where it reaches these files and devices alone, if
            bubblewrap can make them here; None: run it as it is.
        output: a file for what it prints; None: only its last line is wanted, and only where it fails.
        pass_fds: further descriptors that it inherits, under the same numbers.

    Raises:
        ChildFailed: it did not end in order.
    """
    read, write = os.pipe()
    bwrap = None if needs is None else namespaces.bubblewrap()
    with contextlib.ExitStack() as stack:
        answers = stack.enter_context(os.fdopen(read, "rb", buffering=0))
        printed = output or stack.enter_context(tempfile.TemporaryFile())
        try:
            process = _start(module, request, (write, *pass_fds), printed, needs if bwrap else None)
        finally:
            os.close(write)
        try:
            yield from map(json.loads, _lines(answers, patience_s))
            status = process.wait(patience_s)
        except subprocess.TimeoutExpired:
            raise _hung(patience_s) from None
        finally:
            _end(process)
        if bwrap is not None and status > _BY_SIGNAL:
            status = _BY_SIGNAL - status  # bubblewrap's word for the signal that ended its child
        if status:
            raise ChildFailed(_sentence(Ending(status), printed))


def serve(answer: Callable[[bytes, Tell], object]) -> None:
    """Be the process on the other side of :func:`answers`: read the request, answer it, die with the caller.

    Args:
        answer: gets the request, and a function that sends one answer: a dictionary for JSON.
    """
    descriptor, caller = map(int, sys.argv[1:])
    kernel.die_with_parent(caller)
    with os.fdopen(descriptor, "wb") as file:

        def tell(data: Mapping[str, Any]) -> None:
            file.write(json.dumps(data).encode() + b"\n")
            file.flush()

        answer(sys.stdin.buffer.read(), tell)


def _start(
    module: str, request: bytes, fds: Sequence[int], printed: IO[bytes], needs: Needs | None
) -> subprocess.Popen[bytes]:
    bwrap = None if needs is None else namespaces.bubblewrap()
    caller = os.getpid() if bwrap is None else _INIT
    command, environment = interpreter(module, str(fds[0]), str(caller)), os.environ | namespaces.ENVIRONMENT
    if needs is not None and bwrap is not None:
        command = namespaces.command(command, needs, bwrap=bwrap, folder=str(Path.cwd()))
    with tempfile.TemporaryFile() as given:
        given.write(request)
        given.seek(0)
        try:
            return subprocess.Popen(
                command,
                stdin=given,
                stdout=printed,
                stderr=printed,
                pass_fds=fds,
                start_new_session=True,  # Ctrl-C is for main, and no terminal is this process's own
                env=environment,
            )
        except OSError as error:
            raise ChildFailed(f"no process can be started: {error}") from None


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


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process. Raises ``ChildFailed`` where it stays: its driver hangs in the kernel."""
    process.kill()
    try:
        process.wait(_GONE_S)
    except subprocess.TimeoutExpired:
        raise ChildFailed(
            "its process stays in the kernel, where no signal reaches it: reboot the board; dmesg says more"
        ) from None


def _hung(patience_s: float) -> ChildFailed:
    return ChildFailed(f"its process hung: no answer within {patience_s:g} s")


def _sentence(how: Ending, printed: IO[bytes]) -> str:
    """Return how a process ended, with the last line that it printed."""
    sentence = f"its process {how}"
    if how.signal == signal.SIGKILL:
        sentence += ", perhaps for lack of memory"
    size = printed.seek(0, os.SEEK_END)
    printed.seek(max(0, size - 4 * _LONGEST))
    lines = [line for line in printed.read().decode(errors="replace").splitlines() if line.strip()]
    last = printable(lines[-1].strip()) if lines else ""
    return f"{sentence}: {last[:_LONGEST]}" if last else sentence
