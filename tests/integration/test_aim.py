"""``edged aim`` on a terminal of its own, as a person sees it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import cv2
import detector_model
import numpy as np
import pytest
from commandline import EDGED, call
from crew import children, ignore_strangers
from terminal_double import Screen

from edged.daemon.status_file import StatusFile
from edged.models import bundled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAIT_S = 40.0
PHOTO = str(bundled.PHOTO)


class Person:
    """Somebody at a terminal, who runs ``edged aim`` there.

    Attributes:
        process: edged.
        screen: what the person sees.
        seen: the bytes that came.
    """

    def __init__(self, *argv: str, terminal: str = "xterm-256color", **environment: str) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.modes = termios.tcgetattr(theirs)
        self.name = os.ttyname(theirs)
        self.screen, self.seen = Screen(), b""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("SSH", "COLORTERM"))
        }
        self.process = subprocess.Popen(
            [*EDGED, "aim", *argv],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=kept | {"TERM": terminal} | environment,
            start_new_session=True,
        )
        self.theirs = theirs
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)

    def until(self, done: Callable[[], object], what: str = "") -> None:
        """Read what comes until something is so."""
        end = time.monotonic() + WAIT_S
        while not done():
            assert time.monotonic() < end, f"{what}: {self.screen.text()} {self.seen[-300:]!r}"
            self.read(0.1)

    def read(self, wait_s: float) -> None:
        if select.select([self.ours], [], [], wait_s)[0]:
            data = os.read(self.ours, 1 << 16)
            self.seen += data
            self._rest += data
            # A sequence may come in two parts; the double takes whole ones.
            cut = self._rest.rfind(b"\x1b[?2026l")
            if cut >= 0:
                self.screen.feed(self._rest[:cut])
                self._rest = self._rest[cut:]

    def looks(self) -> None:
        """Wait until the picture and the answer of the model are there."""
        self.until(lambda: "sees  " in self.screen.line(23), "a picture")

    def ends(self) -> int:
        """Read to the end; return the exit status."""
        self.until(lambda: self.process.poll() is not None, "its end")
        with contextlib.suppress(OSError):
            while select.select([self.ours], [], [], 0.1)[0]:
                self.seen += os.read(self.ours, 1 << 16)
        return self.process.returncode

    def worker(self) -> int:
        """The process that draws."""
        ours = children(self.process.pid)
        return next(pid for pid, name in ours.items() if name.endswith("edged-aim"))


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    ignore_strangers()
    yield
    assert children() == {}


def picture(person: Person, rows: int = 40) -> Any:
    return person.screen.pixels[:rows, :, ::-1].astype(int)


def test_the_picture_of_a_photograph_and_what_the_model_sees() -> None:
    with Person("--source", PHOTO, "--draw", "24bit") as person:
        person.looks()
        photo = cv2.resize(cv2.imread(PHOTO), (60, 40), interpolation=cv2.INTER_AREA)
        assert np.abs(picture(person)[:, :60] - photo).mean() < 12
        assert "Egyptian cat 0.77" in person.screen.line(23)
        assert "224x224 (stretch)" in person.screen.line(20)
        assert re.match(r"sharp █+░* +\d+% of the best", person.screen.line(21))
        assert re.match(r"light +\d+%", person.screen.line(22))
        assert (person.screen.alternate, person.screen.cursor) == (True, False)
        assert all(len(person.screen.line(row)) < 80 for row in range(20, 24))
        os.write(person.ours, b"q")
        assert person.ends() == 0
        assert b"nothing was written" in person.seen


def test_the_picture_reaches_the_terminal_and_nothing_else() -> None:
    """Main has no picture and no way that one could take; the process that draws can do nothing but write."""
    with Person("--source", "synthetic", "--draw", "256") as person:
        person.looks()
        worker = person.worker()
        for package in ("cv2", "numpy", "litert"):
            assert package not in Path(f"/proc/{person.process.pid}/maps").read_text()
        kinds = sorted(_kind(worker, fd) for fd in os.listdir(f"/proc/{worker}/fd"))  # noqa: PTH208 - names
        assert kinds.count(f"{person.name} write") == 1
        assert not [kind for kind in kinds if "socket" in kind or kind == f"{person.name} read"]
        assert Path(f"/proc/{worker}/status").read_text().count("Seccomp:\t2") == 1
        session = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
        assert session[3] != str(person.process.pid), (
            "another session than main's, so it has no terminal to type on"
        )
        assert session[4] == "0", "no controlling terminal"
        os.kill(person.process.pid, signal.SIGSTOP)  # main cannot run, and pictures go on
        person.read(0.2)
        before = len(person.seen)
        person.until(lambda: len(person.seen) > before + 20_000, "more pictures")
        os.kill(person.process.pid, signal.SIGCONT)


def _kind(pid: int, fd: str) -> str:
    path = os.readlink(f"/proc/{pid}/fd/{fd}")  # noqa: PTH115 - its text
    flags = int(re.search(r"flags:\t(\d+)", Path(f"/proc/{pid}/fdinfo/{fd}").read_text())[1], 8)  # type: ignore[index]  # it is there
    return f"{path} {'write' if flags & os.O_ACCMODE == os.O_WRONLY else 'read'}"


@pytest.mark.parametrize("how", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_gives_the_terminal_back_as_it_was(how: signal.Signals) -> None:
    with Person("--source", "synthetic", "--draw", "256") as person:
        person.looks()
        assert termios.tcgetattr(person.theirs)[3] & (termios.ECHO | termios.ICANON) == 0
        person.process.send_signal(how)
        assert person.ends() == 128 + how
        person.screen.feed(person.seen[person.seen.rfind(b"\x1b[?2026l") :])
        assert (person.screen.alternate, person.screen.cursor) == (False, True)
        assert termios.tcgetattr(person.theirs) == person.modes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "picture"),
    [
        (b"\x1b_Gi=31;OK\x1b\\\x1b[?62;c", b"\x1b_Ga=T,f=100"),
        (b"\x1b[?63;1;2;4;6;9;15;16;22;28c", b"\x1bP0;1q"),
    ],
    ids=["kitty", "xterm as a VT340"],
)
def test_a_terminal_that_says_that_it_takes_pictures_gets_them(answer: bytes, picture: bytes) -> None:
    with Person("--source", PHOTO) as person:
        person.until(lambda: b"\x1b[c" in person.seen, "the question")
        os.write(person.ours, answer)
        person.until(lambda: picture in person.seen, "a picture")
        os.write(person.ours, b"q")
        assert person.ends() == 0


@pytest.mark.slow
def test_crop_mask_and_keys_of_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "edged.yaml"
    path.write_text(
        f"run_dir: {tmp_path}/run\nstate_dir: {tmp_path}/state\npipelines:\n  yard:\n"
        f"    source: {{kind: folder, path: {PHOTO}, crop: [225, 0, 226, 300],\n"
        "             mask: [[[0, 0], [0.2, 0], [0.2, 1], [0, 1]]]}\n    motion: {area: 0.02}\n"
    )
    with Person("-c", str(path), "--draw", "24bit") as person:
        person.looks()
        seen = picture(person)
        dark = seen[:, :11].max(axis=2)
        assert dark.max() <= 48, "masked, and hatched darkly beside the crop"
        assert seen[5:35, 13:28].mean() < 0.6 * seen[5:35, 33:58].mean(), "beside the crop it is dimmed"
        assert (np.abs(seen[3:37, 30] - (0, 220, 255)).max(axis=1) < 9).all(), "an outline"
        assert "of 2.0%" in person.screen.line(22)
        os.write(person.ours, b"e")
        person.until(lambda: np.abs(picture(person)[3:37, 30] - (0, 220, 255)).max() > 60, "exactly")
        os.write(person.ours, b"xq")
        assert person.ends() == 0


@pytest.mark.slow
def test_zones_and_found_objects_are_drawn_where_they_are(tmp_path: Path) -> None:
    model, labels = detector_model.write(tmp_path)
    things = np.zeros((400, 400, 3), np.uint8)
    things[200:, 200:] = detector_model.picture([("red", 2, 4)], width=200, height=200)[:, :, ::-1]
    cv2.imwrite(str(tmp_path / "things.png"), things)
    path = tmp_path / "edged.yaml"
    path.write_text(
        f"run_dir: {tmp_path}/run\nstate_dir: {tmp_path}/state\npipelines:\n  yard:\n"
        f"    source: {{kind: folder, path: {tmp_path}/things.png, crop: [200, 200, 200, 200]}}\n"
        f"    model: {{file: {model}, labels: {labels}}}\n"
        "    task: {kind: detect, zones: {door: [[0.1, 0.1], [0.3, 0.1], [0.3, 0.4], [0.1, 0.4]]}}\n"
    )
    with Person("-c", str(path), "--draw", "24bit") as person:
        person.looks()
        assert "red 0.9" in person.screen.line(23)
        seen = picture(person)
        assert np.abs(seen[4, 4:12] - (255, 160, 40)).max() < 9, "the zone, of the whole picture"
        # The cell 2, 4 of the crop: from 0.625 and 0.75 of the whole, a sixteenth wide.
        assert np.abs(seen[30, 25:27] - 255).max() < 9
        os.write(person.ours, b"q")
        assert person.ends() == 0


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads what belongs to others")
def test_with_sudo_a_model_that_only_the_service_may_read_is_used(tmp_path: Path) -> None:
    owned = tmp_path / "owned"
    owned.mkdir()
    for file in (bundled.MODEL, bundled.LABELS):
        (owned / file.name).write_bytes(file.read_bytes())
    for path in (*owned.iterdir(), owned):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.chown(path, 12345, 12345)
    path = tmp_path / "edged.yaml"
    path.write_text(
        f"run_dir: {tmp_path}/run\nstate_dir: {tmp_path}/state\npipelines:\n  yard:\n"
        f"    source: {{kind: folder, path: {PHOTO}}}\n"
        f"    model: {{file: {owned}/{bundled.MODEL.name}, labels: {owned}/{bundled.LABELS.name}}}\n"
    )
    with Person("-c", str(path)) as person:
        person.looks()
        assert "Egyptian cat" in person.screen.line(23)
        os.write(person.ours, b"q")
        assert person.ends() == 0


@pytest.mark.slow
def test_only_when_asked_the_last_picture_is_written(tmp_path: Path) -> None:
    out = tmp_path / "aim.jpg"
    with Person("--source", PHOTO, "--count", "1", "--out", str(out)) as person:
        assert person.ends() == 0
        said = person.seen.decode()
    assert f"the last picture, 451x300, is in {out}, and nowhere else" in said.replace("\r\n", "")
    assert out.stat().st_mode & 0o777 == 0o600
    written = cv2.imread(str(out))
    assert np.abs(written.astype(int) - cv2.imread(PHOTO)).mean() < 3
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.slow
def test_a_file_that_cannot_be_written_is_said_first(tmp_path: Path) -> None:
    for out, what in (
        (tmp_path / "a.png", "write a name such as a.jpg"),
        (tmp_path / "no/a.jpg", "no such file"),
    ):
        with Person("--source", PHOTO, "--out", str(out)) as person:
            assert person.ends() != 0
            assert what in person.seen.decode()
            assert b"?1049h" not in person.seen


@pytest.mark.slow
def test_a_slow_line_is_sent_no_more_than_it_takes() -> None:
    """1 Mbit/s: the picture changes all over all the time, and pictures stay as they are sent."""
    with Person("--source", "synthetic", SSH_CONNECTION="10.0.0.1 1 10.0.0.2 22") as person:
        person.looks()
        began, before = time.monotonic(), len(person.seen)
        while time.monotonic() - began < 3:
            person.read(0.05)
        rate = (len(person.seen) - before) / (time.monotonic() - began)
        assert 0 < rate < 110_000
        assert b"\x1b_G" not in person.seen, "characters, which spare such a line"


def test_a_camera_that_the_service_holds_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "edged.yaml"
    path.write_text(
        f"run_dir: {tmp_path}\npipelines: {{yard: {{source: {{kind: v4l2, device: /dev/video0}}}}}}\n"
    )
    StatusFile(tmp_path).write({"pipelines": {"yard": {"enabled": True}}})
    status = tmp_path / "status.json"
    status.write_text(re.sub(r'"pid":\d+', f'"pid":{os.getpid()}', status.read_text()))
    with Person("-c", str(path)) as person:
        assert person.ends() != 0
        assert b"the running service holds the camera of yard" in person.seen
        assert b"sudo systemctl stop edged" in person.seen


def test_without_a_terminal_there_is_no_picture() -> None:
    done = call("aim", "--source", PHOTO)
    assert done.returncode == os.EX_USAGE
    assert "standard output is not one" in done.stderr
    assert not done.stdout
    with Person("--source", PHOTO, terminal="dumb") as person:
        assert person.ends() == os.EX_USAGE
        assert b"TERM=dumb" in person.seen


@pytest.mark.slow
def test_a_source_that_is_not_there_is_told_below_the_shell(tmp_path: Path) -> None:
    with Person("--source", str(tmp_path / "no.mp4")) as person:
        assert person.ends() == os.EX_NOINPUT
    half = tmp_path / "half.jpg"
    half.write_bytes(bundled.PHOTO.read_bytes()[:5000])
    with Person("--source", str(half)) as person:
        assert person.ends() != 0
        assert b"half.jpg cannot be read" in person.seen[person.seen.rfind(b"?1049l") :]
