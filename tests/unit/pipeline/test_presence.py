"""The decision by label: several are there at the same time, each with its count, in zones."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.events import MOST_PRESENT, UNKNOWN, Detection, Finding
from edged.pipeline.decision import Change, Rules
from edged.pipeline.presence import Presence, Scope, contains, placed

if TYPE_CHECKING:
    from collections.abc import Iterable

LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
RIGHT = ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))


def thing(label: str, score: float, x: float = 0.1, y: float = 0.1, size: float = 0.2) -> Detection:
    return Detection(label, score, (x, y, x + size, y + size))


def brief(changes: Iterable[Change]) -> list[tuple[Any, ...]]:
    """Return (type, label, previous, count) of each, with the zone where there is one."""
    return [(c.type, c.label, c.previous, c.count, *([c.zone] if c.zone else [])) for c in changes]


def run(presence: Presence, frames: Iterable[Iterable[Finding]], begin_s: float = 0.0) -> list[list[Any]]:
    return [brief(presence.update(frame, begin_s + n)) for n, frame in enumerate(frames)]


def test_labels_come_change_their_count_and_go_each_by_itself() -> None:
    person, dog = thing("person", 0.9), thing("dog", 0.8)
    frames = [[person], [person, person], [person, person, dog], [dog], []]
    assert run(Presence(Rules()), frames) == [
        [("start", "person", "unknown", 1)],
        [("change", "person", "person", 2)],
        [("start", "dog", "unknown", 1)],
        [("end", "unknown", "person", 0)],
        [("end", "unknown", "dog", 0)],
    ]


def test_what_is_new_is_told_before_what_is_gone() -> None:
    frames = [[thing("dog", 0.9)], [thing("cat", 0.9)]]
    presence = Presence(Rules())
    assert run(presence, frames)[1] == [("start", "cat", "unknown", 1), ("end", "unknown", "dog", 0)]
    assert presence.label == "cat"


def test_a_count_rises_above_the_threshold_and_falls_below_the_exit_threshold() -> None:
    sure, less, faint = thing("cat", 0.6), thing("cat", 0.4), thing("cat", 0.3)
    frames = [[sure], [sure, less], [sure, sure], [sure, less], [less, less], [less, faint], [faint]]
    assert [len(told) for told in run(Presence(Rules(0.5, 0.35)), frames)] == [1, 0, 1, 0, 0, 1, 1]


def test_a_label_may_have_thresholds_of_its_own_and_another_may_be_ignored() -> None:
    rules = Rules(0.5, 0.35, labels={"dog": (0.8, 0.6)}, ignore=frozenset({"cat"}))
    frames = [[thing("dog", 0.7), thing("cat", 0.9)], [thing("dog", 0.8)], [thing("dog", 0.65)], []]
    assert [len(told) for told in run(Presence(rules), frames)] == [0, 1, 0, 1]


def test_votes_of_a_window_decide_a_start_a_count_and_an_end() -> None:
    one, two = [thing("cat", 0.9)], [thing("cat", 0.9), thing("cat", 0.8)]
    presence = Presence(Rules(votes=2, window=3))
    assert run(presence, [one, [], one]) == [[], [], [("start", "cat", "unknown", 1)]]
    assert run(presence, [two, one, two]) == [[], [], [("change", "cat", "cat", 2)]]
    assert run(presence, [[], two, []]) == [[], [], [("end", "unknown", "cat", 0)]]
    assert run(presence, [one]) == [[]], "what was seen before the end does not count for a new start"


def test_one_picture_without_it_is_not_the_end_of_three_of_three() -> None:
    presence = Presence(Rules(votes=3, window=3))
    cat = [thing("cat", 0.9)]
    told = run(presence, [cat, cat, cat, [], cat, [], [], []])
    assert [len(each) for each in told] == [0, 0, 1, 0, 0, 0, 0, 1]


def test_a_decision_is_kept_for_its_dwell_and_not_begun_in_its_cooldown() -> None:
    cat = [thing("cat", 0.9)]
    presence = Presence(Rules(min_dwell_s=2))
    assert [len(told) for told in run(presence, [cat, [], []])] == [1, 0, 1]
    presence = Presence(Rules(cooldown_s=3))
    assert [len(told) for told in run(presence, [cat, [], cat, cat, cat])] == [1, 1, 0, 0, 1]


def test_what_is_there_is_repeated_and_so_is_that_nothing_is() -> None:
    presence = Presence(Rules(heartbeat_s=2))
    cat = [thing("cat", 0.9), thing("cat", 0.8)]
    assert run(presence, [cat, cat, cat, [], [], [], [], []]) == [
        [("start", "cat", "unknown", 2)],
        [],
        [("heartbeat", "cat", "cat", 2)],
        [("end", "unknown", "cat", 0)],
        [],
        [("heartbeat", "unknown", "unknown", 0)],
        [],
        [("heartbeat", "unknown", "unknown", 0)],
    ]


def test_after_a_restart_it_goes_on_without_a_new_start() -> None:
    presence = Presence(Rules(votes=2, window=2), resume=[("dog", "", 1), ("cat", "", 2)])
    assert presence.label == "dog"
    two = [thing("cat", 0.9), thing("cat", 0.8)]
    assert run(presence, [two]) == [[("heartbeat", "dog", "dog", 1), ("heartbeat", "cat", "cat", 2)]]
    assert run(presence, [two, two]) == [[("end", "unknown", "dog", 0)], []]


def test_a_pause_ends_everything() -> None:
    presence = Presence(Rules())
    run(presence, [[thing("cat", 0.9), thing("dog", 0.9)]])
    assert brief(presence.close(1.0)) == [("end", "unknown", "cat", 0), ("end", "unknown", "dog", 0)]
    assert presence.close(2.0) == ()
    assert presence.label == UNKNOWN


def test_what_is_too_small_or_in_no_zone_does_not_count() -> None:
    presence = Presence(Rules(), Scope(min_area=0.05))
    assert run(presence, [[thing("cat", 0.9, size=0.2)], [thing("cat", 0.9, size=0.3)]])[0] == []
    presence = Presence(Rules(), Scope(zones={"left": LEFT}))
    assert run(presence, [[thing("cat", 0.9, x=0.7)], [thing("cat", 0.9, x=0.1)]]) == [
        [],
        [("start", "cat", "unknown", 1, "left")],
    ]


def test_a_thing_that_walks_to_another_zone_starts_there_before_it_ends_here() -> None:
    presence = Presence(Rules(), Scope(zones={"left": LEFT, "right": RIGHT}))
    assert run(presence, [[thing("cat", 0.9, x=0.1)], [thing("cat", 0.9, x=0.7)]]) == [
        [("start", "cat", "unknown", 1, "left")],
        [("start", "cat", "unknown", 1, "right"), ("end", "unknown", "cat", 0, "left")],
    ]


def test_no_more_than_so_many_labels_are_there_at_the_same_time() -> None:
    presence = Presence(Rules())
    many = [thing(f"label {n}", 0.9) for n in range(MOST_PRESENT + 5)]
    assert len(presence.update(many, 0.0)) == MOST_PRESENT
    assert presence.update(many, 1.0) == ()


def test_an_edge_of_a_polygon_is_in_it() -> None:
    for point in ((0.5, 0.5), (0.0, 0.0), (0.25, 1.0), (0.25, 0.3)):
        assert contains(LEFT, point)
    for point in ((0.51, 0.5), (0.25, 1.01)):
        assert not contains(LEFT, point)
    arrow = ((0.0, 0.0), (0.5, 0.4), (1.0, 0.0), (0.5, 1.0))  # not convex
    assert not contains(arrow, (0.5, 0.2))
    assert contains(arrow, (0.5, 0.6))


def test_a_result_counts_what_one_picture_shows() -> None:
    presence = Presence(Rules(0.5, 0.35))
    findings = [thing("cat", 0.9), thing("dog", 0.7), thing("cat", 0.6), thing("cat", 0.4)]
    shown = presence.result(findings)
    assert (shown.label, shown.count, len(shown.boxes)) == ("cat", 2, 2)
    assert presence.result([Finding(UNKNOWN, 0.0)]).count == 0


def test_a_box_of_a_part_is_placed_in_the_whole() -> None:
    part = placed(thing("cat", 0.9, 0.0, 0.0, 0.5), (0.5, 0.25, 0.5, 0.5))
    assert isinstance(part, Detection)
    assert part.box == pytest.approx((0.5, 0.25, 0.75, 0.5))
    plain = Finding("cat", 0.9)
    assert placed(plain, (0.5, 0.25, 0.5, 0.5)) is plain


scores = st.floats(0, 1)
labels = st.sampled_from(["cat", "dog", "person", UNKNOWN])
things = st.builds(thing, labels, scores, st.floats(0, 0.8), st.floats(0, 0.8), st.floats(0.01, 0.2))
frames = st.lists(st.lists(things, max_size=6), max_size=30)
rules = st.builds(
    lambda enter, leave, votes, more, dwell, cool: Rules(
        enter, min(enter, leave), votes, votes + more, dwell, cool
    ),
    scores,
    scores,
    st.integers(1, 4),
    st.integers(0, 4),
    st.sampled_from([0.0, 2.0]),
    st.sampled_from([0.0, 3.0]),
)
scopes = st.sampled_from([Scope(), Scope(0.01), Scope(zones={"left": LEFT, "right": RIGHT})])


@given(frames, rules, scopes)
def test_who_adds_up_the_events_knows_what_is_there(
    given_frames: list[list[Detection]], made: Rules, scope: Scope
) -> None:
    presence, there = Presence(made, scope), Counter[tuple[str, str]]()
    for now, frame in enumerate(given_frames):
        for change in presence.update(frame, float(now)):
            key = (change.previous if change.type == "end" else change.label, change.zone)
            assert change.count is not None
            match change.type:
                case "start":
                    assert key not in there
                    assert change.count > 0
                case "change":
                    assert there[key] > 0
                    assert change.count not in {0, there[key]}
                case "end":
                    assert there[key] > 0
                    assert change.count == 0
            there[key] = change.count
            if not change.count:
                del there[key]
            assert UNKNOWN not in key
        assert (presence.label == UNKNOWN) is not any(there.values())
    for change in presence.close(99.0):
        del there[change.previous, change.zone]
    assert not there


@given(st.lists(st.tuples(st.floats(0, 0.8), st.floats(0, 0.8)), min_size=1, max_size=20))
def test_a_thing_that_moves_is_in_the_zone_in_which_it_stands(way: list[tuple[float, float]]) -> None:
    presence, here = Presence(Rules(), Scope(zones={"left": LEFT, "right": RIGHT})), set[str]()
    for now, (x, y) in enumerate(way):
        for change in presence.update([thing("cat", 0.9, x, y)], float(now)):
            (here.add if change.type == "start" else here.remove)(change.zone)
        middle = x + 0.1
        assert here == ({"left"} if middle < 0.5 else {"right"} if middle > 0.5 else {"left", "right"})


def test_while_nothing_moves_what_is_there_stays_and_is_repeated() -> None:
    presence = Presence(Rules(heartbeat_s=2), resume=[("dog", "", 1)])
    assert presence.wait(9.0) == (), "the first picture tells whether it is still there"
    run(presence, [[thing("dog", 0.9)]], begin_s=10.0)
    assert presence.wait(11.0) == ()
    assert brief(presence.wait(12.0)) == [("heartbeat", "dog", "dog", 1)]
