"""What the checks ask, with answers that a test gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.config import loader
from edged.testing.supervisor import outcome, status
from edged.tools.doctor.probe import Unanswered
from edged.tools.doctor.subject import Subject
from edged.tools.doctor.worker_runs import Run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.config.root import PipelineSection

GOOD = "node: n\npipelines:\n  porch:\n    source: {kind: synthetic}\n"


def subject(text: str = "", folder: Path = Path("/nowhere"), **keys: Any) -> Subject:
    """A machine with that configuration; with none for no text."""
    config = loader.loads(text, "edged.yaml", folder) if text else None
    root = keys.pop("root", folder)
    why_not = "" if text else "there is no configuration: /etc/edged/edged.yaml does not exist"
    return Subject(folder / "edged.yaml", config, why_not, root=root, **keys)


class Survey:
    """Stands in for the process that answers: an answer by question; a text is a problem that is told."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = dict(answers)
        self.asked: list[str] = []

    def __call__(self, *words: str) -> Mapping[str, Any]:
        question = " ".join(words)
        self.asked.append(question)
        answer = self.answers.get(question, self.answers.get(words[0]))
        if answer is None:
            raise Unanswered(f"{question}: ended by SIGSEGV")
        if isinstance(answer, str):
            raise Unanswered(answer, told=True)
        return dict(answer)


class Ward:
    """Stands in for the workers: each pipeline does what the test says of it, else all is well."""

    def __init__(self, runs: Mapping[str, Run] | None = None) -> None:
        self.runs = dict(runs or {})
        self.sections: dict[str, PipelineSection] = {}

    async def run(
        self, sections: Mapping[str, PipelineSection], *, count: int, seconds: float
    ) -> Mapping[str, Run]:
        assert seconds > 0
        self.sections |= sections
        return {name: self.runs.get(name, good(count)) for name in sections}


def good(count: int = 10, label: str = "Egyptian cat", **changes: Any) -> Run:
    """A pipeline that made so many inferences."""
    made = [outcome(kind="result", label=label, invoke_ms=float(n)) for n in range(count)]
    return Run(made, status(**changes))


def faulty(fault: str, sentence: str, reason: str = "", **changes: Any) -> Run:
    """A pipeline that said what is wrong, or of which the supervisor did."""
    said = status(state="waiting", fault=fault, reason=reason, last_error=sentence, **changes)
    return Run([], said, said)
