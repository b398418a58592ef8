"""A bucket bounds how often something happens, on average and at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edged.system.token_bucket import TokenBucket


class Time:
    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


@given(
    st.floats(0.01, 1000),
    st.integers(1, 50),
    st.lists(st.tuples(st.floats(0, 100), st.integers(0, 30)), max_size=40),
)
def test_never_more_than_the_burst_and_the_rate(
    per_second: float, burst: int, steps: list[tuple[float, int]]
) -> None:
    time = Time()
    bucket = TokenBucket(per_second, burst, time)
    taken = 0
    for passes_s, attempts in steps:
        time.now += passes_s
        taken += sum(bucket.take() for _ in range(attempts))
        assert taken <= burst + per_second * (time.now - 5.0) + 1e-6


def test_a_token_is_there_after_the_wait() -> None:
    time = Time()
    bucket = TokenBucket(4, 2, time)
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    wait_s = bucket.wait_s()
    assert wait_s == 0.25
    time.now += wait_s
    assert bucket.take()


def test_refilled_it_is_as_at_first_and_a_clock_that_goes_back_gives_nothing() -> None:
    time = Time()
    bucket = TokenBucket(1, 3, time)
    assert sum(bucket.take() for _ in range(9)) == 3
    bucket.refill()
    assert sum(bucket.take() for _ in range(9)) == 3
    time.now -= 100
    assert not bucket.take()
