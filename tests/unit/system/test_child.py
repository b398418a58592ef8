"""The ends that a child process can come to, and what its caller learns of them."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from edged.system import child
from edged.system.child import ChildFailed, answers

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "import json, os, signal, sys, threading\nout = os.fdopen(int(sys.argv[1]), 'w')\n"


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def received(modules: Path, body: str, patience_s: float = 20.0) -> list[dict[str, object]]:
    (modules / "asked.py").write_text(HEAD + body)
    return list(answers("asked", b'{"n": 2}', patience_s))


def test_it_reads_the_question_and_answers_in_lines(modules: Path) -> None:
    body = "q = json.load(sys.stdin)\nfor n in range(q['n']): out.write(json.dumps({'n': n}) + '\\n')\n"
    assert received(modules, body) == [{"n": 0}, {"n": 1}]


def test_a_long_answer_comes_whole(modules: Path) -> None:
    [answer] = received(modules, "out.write(json.dumps({'long': 'x' * 300_000}) + '\\n')\n")
    assert len(str(answer["long"])) == 300_000


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", r"^its process was ended by SIGSEGV$"),
        ("os.kill(os.getpid(), signal.SIGKILL)", r"SIGKILL, perhaps for lack of memory$"),
        ("print('mutex: bad thing', file=sys.stderr, flush=True); os.abort()", r"SIGABRT: mutex: bad thing$"),
        ("sys.exit(3)", r"^its process ended with exit status 3$"),
        ("raise ValueError('a defect')", r"exit status 1: ValueError: a defect$"),
        ("os.write(2, b'x' * 5000); os.abort()", r"SIGABRT: x{300}$"),
    ],
)
def test_a_process_that_ends_badly_is_put_into_words(modules: Path, body: str, sentence: str) -> None:
    with pytest.raises(ChildFailed, match=sentence):
        received(modules, body)


def test_a_process_that_hangs_is_ended(modules: Path) -> None:
    body = "out.write(json.dumps({'pid': os.getpid()}) + '\\n'); out.flush()\nwhile True: signal.pause()\n"
    (modules / "asked.py").write_text(HEAD + body)
    asked = answers("asked", b"", 5.0)
    pid = next(asked)["pid"]
    with pytest.raises(ChildFailed, match="its process hung: no answer within 5 s"):
        next(asked)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_a_process_that_hangs_at_its_end_is_ended_too(modules: Path) -> None:
    with pytest.raises(ChildFailed, match="its process hung"):
        received(modules, "out.close()\nwhile True: signal.pause()\n", 2.0)


def test_a_process_that_no_signal_ends_is_left_to_the_kernel(
    modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a camera whose cable came loose; here, the signal is not sent."""
    left: list[subprocess.Popen[bytes]] = []

    def kill(process: subprocess.Popen[bytes]) -> None:
        left.append(process)

    monkeypatch.setattr(child, "_GONE_S", 0.05)
    with monkeypatch.context() as context:
        context.setattr(subprocess.Popen, "kill", kill)
        with pytest.raises(ChildFailed, match=r"stays in the kernel.*reboot the board"):
            received(modules, "threading.Event().wait(60)\n", patience_s=0.5)
    for process in left:
        process.kill()
        process.wait()


def test_leaving_the_answers_ends_the_process(modules: Path) -> None:
    body = "out.write(json.dumps({'pid': os.getpid()}) + '\\n'); out.flush()\nwhile True: signal.pause()\n"
    (modules / "asked.py").write_text(HEAD + body)
    asked = answers("asked", b"", 20.0)
    pid = next(asked)["pid"]
    asked.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
