from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.system.child import ChildFailed
from edged.tools.bench import rounds
from edged.tools.bench.plan import Candidate, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from edged.ipc.bench_request import BenchRequest


class Heard:
    """Keeps what a watcher hears."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.notes: list[str] = []
        self.count = 0

    def begin(self, steps: int) -> None:
        self.count = steps

    def step(self, words: str) -> None:
        self.steps.append(words)

    def progress(self, part: float) -> None:
        assert 0 <= part <= 1

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


class Board:
    """Stands for the processes: the n-th run of a model takes n ms; some models fail."""

    def __init__(self, **fails: int) -> None:
        self.requests: list[BenchRequest] = []
        self._fails = fails

    def answers(
        self, _module: str, data: bytes, _patience_s: float, _needs: object
    ) -> Iterator[dict[str, Any]]:
        request = rounds.BenchRequest.from_json(data)
        self.requests.append(request)
        run = sum(o.model == request.model and o.threads == request.threads for o in self.requests)
        yield {"done": 0}
        if self._fails.get(request.model) == run:
            raise ChildFailed("its process was ended by SIGSEGV")
        found: dict[str, Any] = {
            "invoke_ms": [float(run)] * 10,
            "prepare_ms": [0.5],
            "rss_mb": 70.0 + run,
            "model_mb": 5.0,
            "isolation": ["seccomp"],
        }
        if request.answers:
            found |= {"first": 1, "among": 2, "images": 3, "unreadable": ["cat/bad.jpg"]}
        yield {"found": found}


def measured(
    monkeypatch: pytest.MonkeyPatch, board: Board, *candidates: Candidate, answers: tuple[str, ...] = ()
) -> tuple[list[dict[str, Any]], Heard]:
    monkeypatch.setattr(rounds, "answers", board.answers)
    heard = Heard()
    pictures = ("cat/1.jpg", "cat/2.jpg", "cat/3.jpg", "cat/bad.jpg")
    plan = Plan(
        candidates, ("litert",), (1, 2), pictures, answers, "libedgetpu.so.1", "libnpu.so", (("a", "b"),), 3.0
    )
    return rounds.measure(plan, heard), heard


def candidate(name: str, **fields: Any) -> Candidate:
    return Candidate(Path(name), 1000, "ab" * 32, ("cat", "dog"), (8, 8, 3), 2, **fields)


def test_rounds_take_turns_and_change_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board()
    _, heard = measured(monkeypatch, board, candidate("a"), candidate("b"))
    turn = [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert [(o.model, o.threads) for o in board.requests] == [*turn, *reversed(turn), *turn]
    assert {o.seconds for o in board.requests} == {1.0}
    assert heard.count == len(heard.steps) == 12
    assert heard.steps[0] == "round 1 of 3: a on litert, 1 thread"


def test_all_rounds_make_the_latency_and_the_first_the_accuracy(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board()
    [result, _], heard = measured(monkeypatch, board, candidate("a"), answers=("cat",) * 4)
    assert [bool(o.answers) for o in board.requests] == [True, True, False, False, False, False]
    assert (result["latency_ms"], result["count"]) == ({"p50": 2.0, "p95": 3.0}, 30)
    assert (result["top1"], result["top5"], result["images"], result["unreadable"]) == (0.3333, 0.6667, 3, 1)
    assert (result["rss_mb"], result["model_mb"]) == (73.0, 5.0)
    assert (result["size_bytes"], result["accelerator"], result["error"]) == (1000, "cpu", None)
    assert heard.notes == ["cat/bad.jpg is left out: it is not a whole picture"]  # once, though two found it


def test_without_answers_there_is_no_accuracy(monkeypatch: pytest.MonkeyPatch) -> None:
    [result, _], _ = measured(monkeypatch, Board(), candidate("a"))
    assert [result[key] for key in ("top1", "top5", "images", "unreadable")] == [None] * 4


def test_a_failure_is_a_result_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(a=2)
    results, heard = measured(
        monkeypatch, board, candidate("a"), candidate("b"), candidate("c", problem="c: damaged")
    )
    errors = [result["error"] for result in results]
    assert errors == ["a: its process was ended by SIGSEGV"] * 2 + [None] * 2 + ["c: damaged"] * 2
    assert heard.notes == ["c: damaged", "a: its process was ended by SIGSEGV"]
    assert results[0]["latency_ms"] == {"p50": None, "p95": None}
    assert (results[0]["count"], results[0]["top1"], results[0]["rss_mb"]) == (0, None, None)
    assert sum(o.model == "a" for o in board.requests) == 4  # none after it failed


def test_what_fails_on_an_edge_tpu_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    [result, _], _ = measured(monkeypatch, Board(a=1), candidate("a", accelerator="edgetpu", device="usb"))
    assert result["error"].startswith("a: it is compiled for the Edge TPU: its process")
    assert result["accelerator"] == "edgetpu"


def test_each_accelerator_gets_its_own_library_and_options(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board()
    tpu = candidate("b", accelerator="edgetpu", device="usb")
    results, heard = measured(monkeypatch, board, candidate("a"), candidate("a", accelerator="external"), tpu)
    assert {result["accelerator"] for result in results} == {"cpu", "external", "edgetpu"}
    asked = {o.accelerator: (o.library, o.options) for o in board.requests}
    assert asked["external"] == ("libnpu.so", {"a": "b"})
    assert asked["edgetpu"] == ("libedgetpu.so.1", {})
    assert "round 1 of 3: a on litert, external, 1 thread" in heard.steps


def test_a_process_that_is_not_cut_off_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    class Open(Board):
        def answers(
            self, _module: str, request: bytes, _patience_s: float, _needs: object
        ) -> Iterator[dict[str, Any]]:
            for answer in super().answers(_module, request, _patience_s, _needs):
                if "found" in answer:
                    answer["found"]["isolation"] = []
                yield answer

    _, heard = measured(monkeypatch, Open(), candidate("a"))
    assert [note[:7] for note in heard.notes] == ["WARNING"]
