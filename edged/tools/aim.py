"""``edged aim``: what a pipeline's model sees, on the terminal of the person who aims the camera.

This process holds the terminal, and never a picture: another one, behind the walls of a worker, draws on it.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import tempfile
import termios
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from edged.config import needs
from edged.config.root import Accelerator
from edged.errors import Refused
from edged.ipc.aim_request import END, EXACT, FORGET, AimRequest, Way
from edged.models.runtimes import default_threads
from edged.supervisor.model_cache import sealed_copy
from edged.system.child import ChildFailed, answers
from edged.system.isolation import not_isolated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from edged.config.pipeline import PipelineSection
    from edged.tools.page import Subject

_MODULE = "edged.worker.aim"
_PATIENCE_S = 90.0  # without a sign of life: slow boards import for 10 s, and a terminal can be stopped
_END_S = 3  # for the process to close the camera when the person ends it
_SLOW, _FAST = 90_000, 4_000_000  # bytes a second: over ssh, three quarters of 1 Mbit/s; and here
_ANSWER_S = 0.5  # for the terminal to tell what it can
_ENTER = b"\x1b[?1049h\x1b[?25l\x1b[2J"
# Ends what was being drawn, deletes kitty's pictures; then colours, the cursor, and the text before.
_LEAVE = b"\x1b\\\x1b_Ga=d,q=2\x1b\\\x1b[?2026l\x1b[0m\x1b[?25h\x1b[?1049l"
_ASK = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[c"  # by kitty's protocol, and then DA1
_ATTRIBUTES = re.compile(rb"\x1b\[\?([\d;]*)c")
_KEYS = {b"r": FORGET, b"e": EXACT, b"q": END}
_JPEG = (".jpg", ".jpeg")


@dataclass(frozen=True)
class Options:
    """The way in which a person looks.

    Attributes:
        way: how pictures are drawn; None: as the terminal takes them.
        kbit_per_s: that the terminal is sent at most; None: what fits the line.
        count: end after this many pictures; None: when the person ends it.
        exact: begin with the picture in the model's own pixels.
        out: a file for the last picture; None: nothing is written.
    """

    way: Way | None = None
    kbit_per_s: int | None = None
    count: int | None = None
    exact: bool = False
    out: Path | None = None


class Terminal:
    """The person's terminal: while it is entered, it shows another page, and what is typed stays unseen.

    Args:
        source, target: descriptors: what is typed, and what is shown.
        environment: of this process.

    Raises:
        Refused: there is no terminal, or it cannot place a cursor.
    """

    def __init__(self, source: int, target: int, environment: Mapping[str, str]) -> None:
        if not os.isatty(target):
            raise Refused(
                "aim shows the camera's picture on a terminal, and standard output is not one", os.EX_USAGE
            )
        kind = environment.get("TERM", "")
        if kind in ("", "dumb", "unknown"):
            raise Refused(f"this terminal (TERM={kind or 'unset'}) cannot place a cursor", os.EX_USAGE)
        self._source = source if os.isatty(source) else -1
        self._target = target
        self._kind = kind
        self._many_colours = environment.get("COLORTERM", "") in ("truecolor", "24bit") or "direct" in kind
        self._remote = any(name in environment for name in ("SSH_CONNECTION", "SSH_TTY"))
        self._saved: list[Any] | None = None

    def __enter__(self) -> Self:
        if self._source >= 0:
            self._saved = termios.tcgetattr(self._source)
            quiet = termios.tcgetattr(self._source)
            quiet[3] &= ~(termios.ICANON | termios.ECHO)
            quiet[6][termios.VMIN], quiet[6][termios.VTIME] = 1, 0
            quiet[6][termios.VSUSP] = b"\0"  # a picture must not be drawn over a shell
            termios.tcsetattr(self._source, termios.TCSADRAIN, quiet)
        os.write(self._target, _ENTER)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError, termios.error):  # the terminal may be gone
            termios.tcflow(self._target, termios.TCOON)  # it may be stopped, by Ctrl-S
            os.write(self._target, _LEAVE)
        if self._saved is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._source, termios.TCSAFLUSH, self._saved)

    @property
    def bytes_per_s(self) -> int:
        """Return how much the line to it takes, as far as that is known."""
        return _SLOW if self._remote else _FAST

    def way(self) -> Way:
        """Return how it takes pictures best: with characters over a slow line, which they spare."""
        blocks: Way = "24bit" if self._many_colours else "256"
        if self._remote or self._source < 0:
            return blocks
        os.write(self._target, _ASK)
        answer = self._answer()
        if b"\x1b_Gi=31;OK" in answer:
            return "kitty"
        found = _ATTRIBUTES.search(answer)
        return "sixel" if found is not None and b"4" in found[1].split(b";")[1:] else blocks

    def _answer(self) -> bytes:
        """Return what the terminal tells about itself; most answer at once, and some never do."""
        until, answer = time.monotonic() + _ANSWER_S, b""
        while not _ATTRIBUTES.search(answer):
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._source], [], [], left)[0]:
                break
            answer += os.read(self._source, 1024)
        return answer

    @contextlib.contextmanager
    def for_writing(self) -> Iterator[int]:
        """Give a descriptor by which the terminal can be written and not read."""
        try:
            descriptor = os.open(os.ttyname(self._target), os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            raise Refused(f"the terminal cannot be opened: {(error.strerror or '').lower()}") from None
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def keys(self) -> Iterator[tuple[int, Callable[[], object]]]:
        """Give a pipe with the keys that mean something, and what ends it: until then, keys are read."""
        read, write = os.pipe()
        over = threading.Event()

        def end() -> None:
            with contextlib.suppress(OSError):
                os.write(write, END)

        def listen() -> None:
            while not over.is_set():
                if select.select([self._source], [], [], 0.1)[0]:
                    typed = os.read(self._source, 64)
                    meant = b"".join(_KEYS.get(typed[n : n + 1], b"") for n in range(len(typed)))
                    with contextlib.suppress(OSError):
                        os.write(write, meant)
                    if not typed:
                        return

        listener = threading.Thread(target=listen, name="keys", daemon=True)
        if self._source >= 0:
            listener.start()
        try:
            yield read, end
        finally:
            over.set()
            if self._source >= 0:
                listener.join()
            os.close(read)
            os.close(write)


class _Signals:
    """Ends the process that draws at a first signal, and this one at a second or where that hangs."""

    def __init__(self, end: Callable[[], object]) -> None:
        self._end = end
        self._before: dict[int, Any] = {}
        self.received = 0

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
            self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        signal.alarm(0)
        for number, before in self._before.items():
            signal.signal(number, before)

    def _take(self, number: int, _frame: object) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = number
        self._end()
        signal.alarm(_END_S)


def section_of(subject: Subject) -> PipelineSection:
    """Return the pipeline to look at, on the CPU.

    Raises:
        Refused: it has a model for the Edge TPU alone.
    """
    section = subject.section
    model = section.model
    if section.accelerator.kind == "edgetpu" and not (model.file or model.name or model.taught):
        raise Refused(f"{subject.name} has only edgetpu_file: aim runs on the CPU, which needs file")
    return section.model_copy(update={"accelerator": Accelerator(), "then": None})


def look(subject: Subject, options: Options, terminal: Terminal, note: Callable[[str], None]) -> int:
    """Show what the model sees until the person ends it; return the exit status.

    Args:
        subject: the pipeline.
        options: how the person looks.
        terminal: theirs.
        note: takes what there is to say afterwards.

    Raises:
        Refused: the model or the camera cannot be used, or the file cannot be written.
    """
    section = section_of(subject)
    with _file(options.out) as (out, keep), contextlib.ExitStack() as files:
        model, labels = (_copied(path, files) for path in (section.model_file(), section.labels_file))
        limit = options.kbit_per_s
        with terminal:
            request = AimRequest(
                subject.name,
                section.model_dump(mode="json"),
                subject.source,
                model=model,
                labels=labels,
                out=out,
                way=options.way or terminal.way(),  # before keys are read, which its answers are not
                bytes_per_s=limit * 125 if limit is not None else terminal.bytes_per_s,
                threads=default_threads(1),
                count=options.count,
                exact=options.exact,
            )
            with terminal.for_writing() as target, terminal.keys() as (keys, end), _Signals(end) as signals:
                found = _drawn(replace(request, terminal=target, keys=keys), section)
        for sentence in _sentences(found, options.out if keep(found) else None):
            note(sentence)
    if needs.of_pipelines([section]).network:
        note("the process with the pictures had a route to its network camera")
    return 128 + signals.received if signals.received else 0


def _drawn(request: AimRequest, section: PipelineSection) -> Mapping[str, Any]:
    """Let the other process draw, and return what it found."""
    mine = (request.terminal, request.keys, request.model, request.labels, request.out)
    fds = [descriptor for descriptor in mine if descriptor >= 0]
    needed = needs.of_pipelines([section])
    received = answers(_MODULE, request.to_json(), _PATIENCE_S, needed, pass_fds=fds)
    with contextlib.closing(received):
        try:
            for answer in received:
                if "error" in answer:
                    raise Refused(str(answer["error"]))
                if isinstance(answer.get("found"), dict):
                    return dict(answer["found"])
        except ChildFailed as failed:
            raise Refused(f"nothing can be shown: {failed}") from None
    raise Refused("nothing can be shown: its process ended without an answer")


def _copied(path: Path | None, files: contextlib.ExitStack) -> int:
    """Return a copy of a file in memory, or -1: with sudo, this process alone may read the file."""
    if path is None:
        return -1
    try:
        copy = sealed_copy(path)
    except OSError as error:
        raise Refused(f"{path}: {(error.strerror or str(error)).lower()}", os.EX_NOINPUT) from None
    files.callback(os.close, copy)
    return copy


@contextlib.contextmanager
def _file(path: Path | None) -> Iterator[tuple[int, Callable[[Mapping[str, Any]], bool]]]:
    """Give the descriptor of a new file, or -1, and what puts it in its place once a picture is in it."""
    if path is None:
        yield -1, lambda _found: False
        return
    if path.suffix.lower() not in _JPEG:
        raise Refused(
            f"--out {path}: the picture is a JPEG: write a name such as {path.stem}.jpg", os.EX_USAGE
        )
    try:
        descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=".edged-aim-")
    except OSError as error:
        raise Refused(f"--out {path}: {(error.strerror or str(error)).lower()}", os.EX_CANTCREAT) from None

    def keep(found: Mapping[str, Any]) -> bool:
        if "saved" not in found:
            return False
        try:
            Path(new).replace(path)
        except OSError as error:
            raise Refused(
                f"--out {path}: {(error.strerror or str(error)).lower()}", os.EX_CANTCREAT
            ) from None
        return True

    try:
        yield descriptor, keep
    finally:
        os.close(descriptor)
        Path(new).unlink(missing_ok=True)


def _sentences(found: Mapping[str, Any], out: Path | None) -> Iterator[str]:
    try:
        drawn, sent = int(found["drawn"]), int(found["sent"])
        saved = [int(number) for number in found.get("saved", ())]
    except (KeyError, TypeError, ValueError):
        raise Refused("its process sent something that is not a result") from None
    shown = f"{drawn} picture{'' if drawn == 1 else 's'} drawn, {sent / 1000:.0f} kB sent to this terminal"
    if out is not None and len(saved) == 3:
        yield f"{shown}; the last picture, {saved[0]}x{saved[1]}, is in {out}, and nowhere else"
    else:
        yield f"{shown}; nothing was written"
    if not found.get("isolation", True):
        yield not_isolated("WARNING: the process that held the pictures")
