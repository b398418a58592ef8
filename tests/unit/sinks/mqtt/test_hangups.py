"""Topics at which a broker hangs up: suspected together, judged alone, left out for a while."""

from __future__ import annotations

from edged.sinks.mqtt.hangups import ALONE, FIRST_S, LONGEST_S, SUSPECTED, HangUps, Sent

A, B = Sent("a"), Sent("b")
ROW = Sent("n/p/event", 7)


def test_one_message_at_a_time_is_sent_once_a_topic_is_suspected() -> None:
    hang_ups = HangUps()
    for _ in range(SUSPECTED):
        assert not hang_ups.careful
        assert hang_ups.ended([A, B]) is None
    assert hang_ups.careful
    hang_ups.answered(A)
    assert hang_ups.careful
    hang_ups.answered(B)
    assert not hang_ups.careful


def test_a_topic_is_to_blame_when_it_was_alone_again_and_again() -> None:
    hang_ups = HangUps()
    assert [hang_ups.ended([A]) for _ in range(ALONE)] == [None] * (ALONE - 1) + [A]
    assert not hang_ups.careful


def test_an_answer_in_between_acquits() -> None:
    hang_ups = HangUps()
    for _ in range(10 * ALONE):
        assert hang_ups.ended([A]) is None
        hang_ups.answered(A)
    hang_ups.ended([A])
    hang_ups.ended([A])
    hang_ups.forget()
    assert hang_ups.ended([A]) is None


def test_a_topic_is_left_out_for_longer_each_time() -> None:
    hang_ups, now, pause_s = HangUps(), 0.0, FIRST_S
    for _ in range(10):
        hang_ups.leave_out("a", now)
        assert hang_ups.is_left_out("a")
        assert hang_ups.left_out == ["a"]
        assert hang_ups.wake_at == now + pause_s
        assert hang_ups.due(now + pause_s - 1) == []
        now += pause_s
        assert hang_ups.due(now) == ["a"]
        assert not hang_ups.is_left_out("a")
        assert hang_ups.wake_at is None
        assert hang_ups.ended([A, B]) == A  # once is enough now
        pause_s = min(2 * pause_s, LONGEST_S)
    hang_ups.leave_out("a", now)
    hang_ups.due(now + LONGEST_S)
    hang_ups.answered(A)
    assert hang_ups.left_out == []


def test_a_row_is_told_from_its_topic() -> None:
    hang_ups = HangUps()
    assert not hang_ups.has_worked(ROW.topic)
    hang_ups.answered(ROW._replace(sequence=1))
    assert hang_ups.has_worked(ROW.topic)
    for _ in range(ALONE - 1):
        hang_ups.ended([ROW])
        hang_ups.answered(ROW._replace(sequence=2))
    assert hang_ups.ended([ROW]) == ROW


def test_rows_are_left_out_by_their_pipelines() -> None:
    hang_ups = HangUps()
    for topic in ("e/n/porch/event", "e/n/gap", "e/n/health", "homeassistant/x/event/config"):
        hang_ups.leave_out(topic, 0)
    assert hang_ups.pipelines("e/n") == {"porch", ""}
