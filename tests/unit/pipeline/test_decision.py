from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edged.events import UNKNOWN, Finding
from edged.pipeline.decision import Change, Decision, Rules

RULES = Rules(threshold=0.5, exit_threshold=0.3)


def _run(rules: Rules, *frames: dict[str, float] | str, step_s: float = 1.0) -> list[str]:
    """Run frames one second apart; a label alone stands for a sure finding. Return what was told, as text."""
    decision = Decision(rules)
    told = []
    for at, frame in enumerate(frames):
        named = {frame: 0.9} if isinstance(frame, str) else frame
        findings = [Finding(label, score) for label, score in named.items() if label]
        told += [f"{at}:{c.type}:{c.previous}>{c.label}" for c in decision.update(findings, at * step_s)]
    return told


def test_start_change_end() -> None:
    assert _run(RULES, "", "cat", "cat", "dog", "", "") == [
        "1:start:unknown>cat",
        "3:change:cat>dog",
        "4:end:dog>unknown",
    ]


def test_the_score_is_that_of_the_label() -> None:
    decision = Decision(RULES)
    assert (decision.label, decision.score) == (UNKNOWN, 0.0)
    assert decision.update([Finding("cat", 0.8), Finding("dog", 0.1)], 0.0) == (
        Change("start", "cat", 0.8, UNKNOWN),
    )
    assert decision.update([Finding("cat", 0.4)], 1.0) == ()
    assert (decision.label, decision.score) == ("cat", 0.4)
    assert decision.update([Finding("cat", 0.2)], 2.0) == (Change("end", UNKNOWN, 0.0, "cat"),)
    assert decision.score == 0.0


def test_between_the_thresholds_nothing_changes() -> None:
    wavering = [{"cat": score} for score in (0.49, 0.5, 0.31, 0.49, 0.3, 0.5, 0.29, 0.49, 0.31)]
    assert _run(RULES, *wavering) == ["1:start:unknown>cat", "6:end:cat>unknown"]


def test_thresholds_by_label() -> None:
    rules = replace(RULES, labels={"cat": (0.2, 0.1), "dog": (0.9, 0.8)})
    assert _run(rules, {"cat": 0.15}, {"cat": 0.2}, {"cat": 0.1}, {"cat": 0.05}) == [
        "1:start:unknown>cat",
        "3:end:cat>unknown",
    ]
    # The best of those that reach their own threshold, not the best of all.
    assert _run(rules, {"dog": 0.7, "cat": 0.25}) == ["0:start:unknown>cat"]


def test_a_decided_label_holds_against_a_lower_score() -> None:
    rules = replace(RULES, labels={"dog": (0.3, 0.3)})
    assert _run(rules, "cat", {"cat": 0.45, "dog": 0.4}, {"cat": 0.4, "dog": 0.45}) == [
        "0:start:unknown>cat",
        "2:change:cat>dog",
    ]


def test_two_of_three() -> None:
    rules = replace(RULES, votes=2, window=3)
    assert _run(rules, "cat", "", "", "cat", "", "cat") == ["5:start:unknown>cat"]
    assert _run(rules, "cat", "cat", "", "cat", "cat", "", "") == [
        "1:start:unknown>cat",
        "6:end:cat>unknown",
    ]
    assert _run(rules, "cat", "cat", "dog", "cat", "dog", "dog") == [
        "1:start:unknown>cat",
        "4:change:cat>dog",
    ]


def test_three_of_three_survives_one_miss() -> None:
    rules = replace(RULES, votes=3, window=3)
    assert _run(rules, *3 * ["cat"], "", "cat", "", "", "") == ["2:start:unknown>cat", "7:end:cat>unknown"]
    # Votes against it need not agree with each other.
    assert _run(rules, *3 * ["cat"], "dog", "", "bird") == ["2:start:unknown>cat", "5:end:cat>unknown"]


def test_two_of_ten_holds_while_two_of_ten_see_it() -> None:
    rules = replace(RULES, votes=2, window=10)
    rare = ["cat", "", "", "", "cat", "", "", "", "cat", "", "", "", "cat"]
    assert _run(rules, *rare, *12 * [""]) == ["4:start:unknown>cat", "18:end:cat>unknown"]


def test_votes_before_an_end_do_not_count_for_a_new_start() -> None:
    rules = replace(RULES, votes=2, window=4)
    assert _run(rules, "cat", "cat", "", "", "", "cat", "cat") == [
        "1:start:unknown>cat",
        "4:end:cat>unknown",
        "6:start:unknown>cat",
    ]


def test_dwell_keeps_a_label_but_not_unknown() -> None:
    rules = replace(RULES, min_dwell_s=3)
    assert _run(rules, "cat", "dog", "", "dog", "", "", "", "cat") == [
        "0:start:unknown>cat",
        "3:change:cat>dog",
        "6:end:dog>unknown",
        "7:start:unknown>cat",
    ]


def test_cooldown_is_for_the_same_label_after_its_end() -> None:
    rules = replace(RULES, cooldown_s=4)
    assert _run(rules, "cat", "", "cat", "dog", "cat", "cat", "cat") == [
        "0:start:unknown>cat",
        "1:end:cat>unknown",
        "3:start:unknown>dog",
        "4:end:dog>unknown",
        "5:start:unknown>cat",
    ]


def test_ignored_labels_and_a_class_named_unknown_never_decide() -> None:
    rules = replace(RULES, ignore=frozenset({"grouse"}))
    assert _run(rules, "grouse", UNKNOWN, {"grouse": 0.9, "cat": 0.6}, "grouse") == [
        "2:start:unknown>cat",
        "3:end:cat>unknown",
    ]


def test_a_heartbeat_repeats_the_decision_and_a_change_postpones_it() -> None:
    rules = replace(RULES, heartbeat_s=2)
    assert _run(rules, "", "", "", "cat", "cat", "cat", "cat", "dog") == [
        "2:heartbeat:unknown>unknown",
        "3:start:unknown>cat",
        "5:heartbeat:unknown>cat",
        "7:change:cat>dog",
    ]


def test_heartbeats_go_on_without_frames_and_nothing_ends() -> None:
    decision = Decision(Rules(threshold=0.5, exit_threshold=0.3, heartbeat_s=2))
    assert decision.wait(0.0) == (), "nothing was decided yet"
    assert [change.type for change in decision.update([Finding("cat", 0.9)], 1.0)] == ["start"]
    waited = [decision.wait(1.0 + n) for n in range(6)]
    assert [[change.type for change in changes] for changes in waited] == [
        [], [], ["heartbeat"], [], ["heartbeat"], []
    ]  # fmt: skip
    assert decision.label == "cat"


def test_a_nan_is_not_a_score() -> None:
    assert _run(RULES, {"cat": float("nan")}) == []


LABELS = ["cat", "dog", "bird", UNKNOWN, "grouse"]
FRAME = st.dictionaries(st.sampled_from(LABELS), st.floats(0, 1), max_size=4)
FRAMES = st.lists(st.tuples(FRAME, st.floats(0, 5)), max_size=40)


@st.composite
def _rules(draw: st.DrawFn) -> Rules:
    def thresholds() -> tuple[float, float]:
        enter = draw(st.floats(0.05, 1))
        return enter, draw(st.floats(0.01, enter))

    enter, leave = thresholds()
    window = draw(st.integers(1, 6))
    return Rules(
        threshold=enter,
        exit_threshold=leave,
        votes=draw(st.integers(1, window)),
        window=window,
        min_dwell_s=draw(st.sampled_from([0.0, 3.0])),
        cooldown_s=draw(st.sampled_from([0.0, 4.0])),
        labels={"dog": thresholds()} if draw(st.booleans()) else {},
        ignore=frozenset({"grouse"}),
        heartbeat_s=draw(st.sampled_from([0.0, 2.0])),
    )


def _history(
    rules: Rules, frames: list[tuple[dict[str, float], float]], *, backwards: bool = False
) -> list[tuple[int, float, Change]]:
    decision, now_s, told = Decision(rules), 0.0, []
    for at, (frame, later_s) in enumerate(frames):
        now_s += later_s
        findings = [Finding(label, score) for label, score in frame.items()]
        changes = decision.update(findings[::-1] if backwards else findings, now_s)
        assert len(changes) <= 1
        told += [(at, now_s, change) for change in changes]
    return told


def _enter(rules: Rules, label: str) -> float:
    return rules.labels.get(label, (rules.threshold, 0.0))[0]


@given(_rules(), FRAMES)
def test_changes_are_well_formed(rules: Rules, frames: list[tuple[dict[str, float], float]]) -> None:
    label = UNKNOWN
    for _, _, change in _history(rules, frames):
        assert 0 <= change.score <= 1
        assert change.label not in rules.ignore
        if change.type == "heartbeat":
            assert change.label == label
            continue
        assert change.previous == label
        assert change.label != label
        kinds = {(True, False): "start", (False, True): "end", (False, False): "change"}
        assert change.type == kinds[label == UNKNOWN, change.label == UNKNOWN]
        label = change.label


@given(_rules(), FRAMES)
def test_nothing_is_decided_below_its_threshold_or_without_its_votes(
    rules: Rules, frames: list[tuple[dict[str, float], float]]
) -> None:
    for at, _, change in _history(rules, frames):
        if change.type in {"start", "change"}:
            enter = _enter(rules, change.label)
            assert frames[at][0][change.label] == change.score >= enter
            seen = [
                frame.get(change.label, 0.0) for frame, _ in frames[max(0, at - rules.window + 1) : at + 1]
            ]
            assert sum(score >= enter for score in seen) >= rules.votes


@given(_rules(), FRAMES)
def test_dwell_and_cooldown_are_kept(rules: Rules, frames: list[tuple[dict[str, float], float]]) -> None:
    news = [(now_s, change) for _, now_s, change in _history(rules, frames) if change.type != "heartbeat"]
    for (before_s, before), (now_s, _) in pairwise(news):
        assert before.label == UNKNOWN or now_s - before_s >= rules.min_dwell_s
    ended_s: dict[str, float] = {}
    for now_s, change in news:
        if change.type == "end":
            ended_s[change.previous] = now_s
        elif change.label in ended_s:
            assert now_s - ended_s[change.label] >= rules.cooldown_s


@given(_rules(), FRAMES)
def test_the_order_of_findings_does_not_matter(
    rules: Rules, frames: list[tuple[dict[str, float], float]]
) -> None:
    assert _history(rules, frames) == _history(rules, frames, backwards=True)


@given(_rules(), st.lists(st.floats(0, 1), max_size=30))
def test_scores_that_stay_above_the_exit_threshold_change_nothing(rules: Rules, scores: list[float]) -> None:
    leave = rules.labels.get("dog", (0.0, rules.exit_threshold))[1]
    start = [({"dog": 1.0}, 1.0)] * rules.window
    held = [({"dog": leave + score * (1 - leave)}, 1.0) for score in scores]
    kinds = Counter(change.type for _, _, change in _history(rules, start + held))
    assert (kinds["start"], kinds["change"], kinds["end"]) == (1, 0, 0)


@given(_rules(), FRAMES)
def test_heartbeats_keep_their_interval(rules: Rules, frames: list[tuple[dict[str, float], float]]) -> None:
    told = _history(rules, frames)
    for (before_s, _), (now_s, change) in pairwise([(now_s, change) for _, now_s, change in told]):
        if change.type == "heartbeat":
            assert rules.heartbeat_s > 0
            assert now_s - before_s >= rules.heartbeat_s


@given(_rules(), st.lists(FRAME, max_size=20))
def test_an_empty_scene_always_ends_in_unknown(rules: Rules, frames: list[dict[str, float]]) -> None:
    decision = Decision(rules)
    for at, frame in enumerate([*frames, *[{}] * (2 * rules.window)]):
        decision.update([Finding(label, score) for label, score in frame.items()], 10.0 * at)
    assert decision.label == UNKNOWN


@given(_rules(), st.lists(FRAME, max_size=20))
def test_closing_ends_only_a_decided_label(rules: Rules, frames: list[dict[str, float]]) -> None:
    decision = Decision(rules)
    for at, frame in enumerate(frames):
        decision.update([Finding(label, score) for label, score in frame.items()], float(at))
    label, now_s = decision.label, float(len(frames))
    changes = decision.close(now_s)
    ended = [Change("end", UNKNOWN, 0.0, label)] if label != UNKNOWN else []
    assert list(changes) == ended, "at once, whatever the dwell"
    assert (decision.label, decision.close(now_s)) == (UNKNOWN, ())
    seen = decision.update([Finding("cat", 1.0)], now_s)
    started = "start" in {change.type for change in seen}
    assert rules.votes == 1 or not started, "votes from before it closed do not count"


def test_closing_ends_a_decision_of_a_previous_worker() -> None:
    assert Decision(Rules(), resume="cat").close(1.0) == (Change("end", UNKNOWN, 0.0, "cat"),)


def test_takes_microseconds() -> None:
    decision = Decision(Rules(votes=300, window=1000, labels={"cat": (0.4, 0.3)}))
    findings = [Finding("cat", 0.8), Finding("dog", 0.1), Finding("bird", 0.05)]
    best = 1.0
    for at in range(2000):
        started = time.perf_counter()
        decision.update(findings, float(at))
        best = min(best, time.perf_counter() - started)
    assert best < 50e-6
