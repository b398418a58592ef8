from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.worker.throughput import Throughput

positive = st.floats(0, 1e6)


def test_nothing_yet() -> None:
    assert tuple(Throughput().rates(100.0)) == (0, 0, 0, 0)


def test_one_frame_has_no_rate() -> None:
    throughput = Throughput()
    throughput.add(100.0, 2.0, 10.0)
    assert tuple(throughput.rates(100.5)) == (0, 2, 10, 10)


def test_a_steady_rate() -> None:
    throughput = Throughput()
    for n in range(100):
        throughput.add(100.0 + n / 20, 2.0, 10.0 if n % 10 else 30.0)
    rates = throughput.rates(105.0)
    assert rates.fps == pytest.approx(20)
    assert (rates.invoke_p50_ms, rates.invoke_p95_ms) == (10, 30)
    assert throughput.frames == 100


def test_a_slow_pipeline_has_a_rate_too() -> None:
    throughput = Throughput()
    for n in range(4):
        throughput.add(100.0 + 60 * n, 2.0, 10.0)
    assert throughput.rates(300.0).fps == pytest.approx(1 / 60)


def test_the_rate_fades_when_no_more_come() -> None:
    throughput = Throughput()
    for n in range(20):
        throughput.add(100.0 + n / 10, 2.0, 10.0)
    rates = [throughput.rates(102.0 + n).fps for n in range(100)]
    assert rates[0] == pytest.approx(10)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.2


@given(st.lists(st.tuples(st.floats(0, 100), positive, positive), max_size=400), st.floats(0, 1e4))
def test_whatever_comes_main_accepts_the_figures(
    frames: list[tuple[float, float, float]], quiet: float
) -> None:
    throughput, now = Throughput(), 1000.0
    for gap, capture_ms, invoke_ms in frames:
        now += gap
        throughput.add(now, capture_ms, invoke_ms)
    rates = throughput.rates(now + quiet)
    assert 0 <= rates.fps <= 1e6
    assert 0 <= rates.invoke_p50_ms <= rates.invoke_p95_ms <= 1e6
