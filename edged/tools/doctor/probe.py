"""Gets answers from :mod:`edged.worker.probe`, which runs in a process of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edged.system.child import ChildFailed, answers
from edged.system.patience import within

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Ask = Callable[..., Mapping[str, Any]]

QUESTION_S = 20.0  # imports take 10 s on a slow board


class Unanswered(Exception):  # noqa: N818 - its sentence says what is wrong
    """There is no answer, or one that reports a problem.

    Attributes:
        told: whether the process reported the problem; otherwise it hung or crashed.
    """

    def __init__(self, sentence: str, *, told: bool = False) -> None:
        super().__init__(sentence)
        self.told = told


def ask(*words: str, seconds: float = QUESTION_S) -> dict[str, Any]:
    """Return the answer to a question.

    Args:
        words: the question and its arguments; see :mod:`edged.worker.probe`.
        seconds: the longest time to wait.

    Raises:
        Unanswered: the process hung, crashed, or reported a problem.
    """
    question = " ".join(words)
    try:
        received = list(answers("edged.worker.probe", json.dumps(words).encode(), seconds))
    except ChildFailed as failed:
        raise Unanswered(f"{question}: {failed}") from None
    if not received:
        raise Unanswered(f"{question}: its process ended without an answer")
    if "problem" in received[0]:
        raise Unanswered(str(received[0]["problem"]), told=True)
    return received[0]


async def answer(asked: Ask, *words: str) -> Mapping[str, Any]:
    """Return the answer while other tasks run. Raises like :func:`ask`."""
    return await within(2 * QUESTION_S, lambda: asked(*words))
