"""Asks :mod:`edged.worker.probe`, which answers in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from edged.system import signals
from edged.system.child import ENVIRONMENT, interpreter
from edged.system.patience import within

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Ask = Callable[..., Mapping[str, Any]]

QUESTION_S = 20.0  # imports take 10 s on a slow board


class Unanswered(Exception):  # noqa: N818 - what is wrong is said in its sentence
    """There is no answer, or one that says what is wrong.

    Attributes:
        told: it was an answer; otherwise the process hung or crashed.
    """

    def __init__(self, sentence: str, *, told: bool = False) -> None:
        super().__init__(sentence)
        self.told = told


def ask(*words: str, seconds: float = QUESTION_S) -> dict[str, Any]:
    """Return the answer to a question.

    Raises:
        Unanswered: the process hung, crashed, or has a problem to tell.
    """
    command = interpreter("edged.worker.probe", str(os.getpid()), *words)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
            env=os.environ | ENVIRONMENT,
        )
    except subprocess.TimeoutExpired:
        raise Unanswered(f"{' '.join(words)}: no answer within {seconds:g} s") from None
    if done.returncode < 0:
        raise Unanswered(f"{' '.join(words)}: ended by {signals.name(-done.returncode)}")
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"status {done.returncode}"]
        raise Unanswered(f"{' '.join(words)}: {said[-1]}") from None
    if "problem" in answer:
        raise Unanswered(str(answer["problem"]), told=True)
    return answer


async def answer(asked: Ask, *words: str) -> Mapping[str, Any]:
    """Ask while others go on. Raises like :func:`ask`."""
    return await within(2 * QUESTION_S, lambda: asked(*words))
