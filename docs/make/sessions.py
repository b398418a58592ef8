"""docs/terminal.md: what each verb shows on a terminal of 80 columns, from real runs in a folder."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ
from typing import TYPE_CHECKING, NamedTuple

from edged.config.root import host_node
from edged.models import bundled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COLUMNS, LINES = 80, 40
PATIENCE_S = 90.0
_HEAD = """\
<!-- Made by `python docs/make --sessions` from real runs; do not edit. -->
# Every verb on a terminal

On a terminal of 80 columns, on a machine without a camera; `night/` holds three photographs. Figures are of
one run. `edged VERB --help` and the manual page (`edged completion man`) have all options. `edged convert` is
shown in [models](models.md#convert-a-model), `edged aim` and `edged page` in
[operation](operation.md#aim-and-focus-a-camera).
"""
_CONFIG = """\
node: porch-pi
state_dir: state
run_dir: run
{mqtt}sensors:
  board: {{kind: system, what: [memory], interval_s: 1}}
pipelines:
  porch:
    source: {{kind: folder, path: night, interval_s: 0.5}}
"""
_WRONG = """\
mqtt: {host: broker.lan, passwort: hunter2}
pipelines:
  porch:
    source: {kind: v4l2, interval_s: often}
    decision: {threshold: 0.3, ignore: [catt]}
    attach: [lux]
  yard:
    source: {kind: webcam}
"""
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\][^\x07]*\x07")


class Session(NamedTuple):
    """One command.

    Attributes:
        verb: the verb that it shows.
        about: a sentence above it.
        words: the command line, without the first word.
        until: interrupt it once this was shown; empty: it ends by itself.
        most: lines that are shown; the others become a `…`.
        steady: it shows the same words on each machine, whatever the figures.
    """

    verb: str
    about: str
    words: tuple[str, ...]
    until: str = ""
    most: int = 30
    steady: bool = True


ALONE = (
    Session(
        "try",
        "What the model sees, live; with `--json` for programs.",
        ("try", "--source", "night", "--count", "3"),
        steady=False,
    ),
    Session(
        "try -c",
        "What a pipeline would have decided ([recordings](operation.md#try-a-configuration-on-recordings)).",
        ("try", "-c", "edged.yaml", "--source", "night"),
    ),
    Session("labels", "What a model can say.", ("labels", "cat", "-c", "edged.yaml"), most=10),
    Session(
        "init",
        "A configuration for this machine; without `--minimal`, with all keys.",
        ("init", "--minimal"),
        steady=False,
    ),
    Session("check", "All mistakes at once, with the line and what to write.", ("check", "-c", "wrong.yaml")),
    Session(
        "bench",
        "Speed and size; with `--images DIR/LABEL/*.jpg` accuracy, too.",
        ("bench", "--seconds", "0.3"),
        steady=False,
    ),
    Session("models", "Public models, to install by name.", ("models",), most=14, steady=False),
    Session(
        "teach",
        "A model of your own labels from a few photographs ([teach](models.md#teach-your-own-labels)).",
        ("teach", "things", "--images", "labelled", "-c", "edged.yaml"),
    ),
    Session(
        "run",
        "The daemon; on a terminal without a broker it writes sentences, with `-v` each inference.",
        ("run", "-v", "-c", "edged.yaml"),
        until="sees tripod",
        steady=False,
    ),
)
BESIDE = (
    Session("status", "What the running daemon is doing.", ("status", "-c", "edged.yaml"), steady=False),
    Session("log", "What was decided, and for how long.", ("log", "-c", "edged.yaml"), most=10, steady=False),
    Session("audit", "Where each accepted event is.", ("audit", "-c", "edged.yaml")),
    Session("fleet", "All nodes that the broker has heard of.", ("fleet", "-c", "edged.yaml")),
    Session(
        "doctor",
        "What this machine can do, and how to mend the rest.",
        ("doctor", "-c", "edged.yaml"),
        steady=False,
    ),
    Session(
        "support-bundle",
        "A file for whoever helps you, without names and secrets; it lists what is in it first.",
        ("support-bundle", "-c", "edged.yaml", "-o", "bundle.tar.gz", "--yes"),
        steady=False,
    ),
)


def wrapped(text: str) -> str:
    """Return a page with what its commands show wrapped as the terminal does it, also within a word."""
    lines, shown = [], False
    for line in text.splitlines():
        shown = line != "```" and (shown or line == "```console")
        parts = [line[at : at + COLUMNS].rstrip() for at in range(0, len(line), COLUMNS)] if shown else [line]
        lines += parts or [""]
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the text of the page, not wrapped; mosquitto must be installed."""
    with tempfile.TemporaryDirectory(prefix="edged-") as name:
        return "\n".join([_HEAD, *_sections(Path(name))])


def plain(text: str) -> list[str]:
    """Return the words of a page that are the same in each run and on each machine."""
    kept, steady = [], True
    for line in text.splitlines():
        if line.startswith("## "):
            steady = line.removeprefix("## edged ") not in {s.verb for s in (*ALONE, *BESIDE) if not s.steady}
        if steady:
            kept += re.sub(r"[\d.,:~<]+|[█░─]+|\b(ms|s|min|MB|so far)\b|…", " ", line).split()
    return kept


def _sections(folder: Path) -> Iterator[str]:
    _furnish(folder)
    for session in ALONE:
        yield _section(session, _shown(folder, session))
    with _broker() as port:
        _configure(folder, f"mqtt: {{host: 127.0.0.1, port: {port}}}\n")
        with _daemon(folder):
            for session in BESIDE:
                shown = _shown(folder, session).replace(f"127.0.0.1:{port}", "broker.lan:1883")
                yield _section(session, shown.replace("127.0.0.1", "broker.lan"))


def _section(session: Session, shown: str) -> str:
    lines = shown.splitlines()
    if len(lines) > session.most:
        lines = [*lines[: session.most - 1], "…"]
    return (
        f"## edged {session.verb}\n\n{session.about}\n\n"
        "<!-- test: elsewhere tests/integration/test_terminal_sessions.py: it runs all of them -->\n"
        "```console\n" + "\n".join([f"$ edged {' '.join(session.words)}", *lines]) + "\n```\n"
    )


def _furnish(folder: Path) -> None:
    photos = sorted(bundled.PHOTOS.glob("*.jpg"))
    (folder / "night").mkdir()
    for photo in photos:
        shutil.copy(photo, folder / "night")
        label = photo.stem.split("-", maxsplit=1)[1]
        (folder / "labelled" / label).mkdir(parents=True)
        shutil.copy(photo, folder / "labelled" / label)
    (folder / "wrong.yaml").write_text(_WRONG)
    _configure(folder, "")


def _configure(folder: Path, mqtt: str) -> None:
    (folder / "edged.yaml").write_text(_CONFIG.format(mqtt=mqtt))
    (folder / "edged.yaml").chmod(0o600)


def _environment(folder: Path) -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    return kept | {
        "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")])),
        "HOME": str(folder),
        "TERM": "dumb",
        "COLUMNS": str(COLUMNS),
        "LINES": str(LINES),
        "LC_ALL": "C.UTF-8",
        "XDG_RUNTIME_DIR": str(folder / "runtime"),
        "TZ": "UTC",
    }


def _start(folder: Path, words: tuple[str, ...]) -> tuple[subprocess.Popen[bytes], int]:
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    process = subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-m", "edged", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=_environment(folder),
    )
    os.close(theirs)
    return process, ours


def _shown(folder: Path, session: Session) -> str:
    """Return what a command shows, as a person sees it at the end."""
    process, ours = _start(folder, session.words)
    shown, deadline = "", time.monotonic() + PATIENCE_S
    while True:
        if not select.select([ours], [], [], max(0.0, deadline - time.monotonic()))[0]:
            process.kill()
            raise RuntimeError(f"edged {' '.join(session.words)}: no end: {shown}")
        try:
            data = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not data:
            break
        shown += data.decode(errors="replace")
        if session.until and session.until in shown:
            process.send_signal(signal.SIGINT)
    process.wait(PATIENCE_S)
    os.close(ours)
    text = _ESCAPES.sub("", shown).replace("\r\n", "\n").replace("^C", "")
    for own, shown_as in (
        (str(folder), "/home/pi"),
        (str(bundled.PHOTOS), "/opt/edged/photos"),
        (host_node(), "porch-pi"),
    ):
        text = text.replace(own, shown_as)
    return "\n".join(line.rpartition("\r")[2].rstrip() for line in text.splitlines()).strip("\n")


@contextlib.contextmanager
def _daemon(folder: Path) -> Iterator[None]:
    """Run the daemon beside, until the broker and the pipeline work and something was decided."""
    process, ours = _start(folder, ("run", "-c", "edged.yaml"))
    try:
        _until(lambda: '"connected"' in _status(folder) and '"since"' in _status(folder))
        time.sleep(3)
        yield
    finally:
        process.terminate()
        process.wait(20)
        os.close(ours)


def _status(folder: Path) -> str:
    try:
        return (folder / "run" / "status.json").read_text("utf-8")
    except OSError:
        return ""


@contextlib.contextmanager
def _broker() -> Iterator[int]:
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise RuntimeError("mosquitto is not installed: sudo apt install mosquitto")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    process = subprocess.Popen(
        [program, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError("the daemon did not start")
        time.sleep(0.1)
