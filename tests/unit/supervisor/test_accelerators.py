from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from edged.supervisor.accelerators import (
    BREAKER_S,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    SETTLE_S,
    STABLE_S,
    AcceleratorPresence,
    CircuitBreaker,
    Loss,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_is_used_until_it_fails() -> None:
    breaker = CircuitBreaker()
    assert breaker.usable
    assert not breaker.is_probe_due(1e9)


def test_pauses_double_up_to_an_hour() -> None:
    breaker, now, pauses = CircuitBreaker(), 0.0, []
    for _ in range(7):
        pauses.append(breaker.failed(now))
        assert not breaker.usable
        assert not breaker.is_probe_due(now + pauses[-1] - 1)
        now += pauses[-1]
        assert breaker.is_probe_due(now)
    assert pauses == [300, 600, 1200, 2400, 3600, 3600, 3600]


def test_a_probe_that_works_makes_it_usable() -> None:
    breaker = CircuitBreaker()
    breaker.failed(0.0)
    breaker.works(300.0)
    assert breaker.usable
    assert not breaker.is_probe_due(301.0)


def test_one_that_failed_is_reset_until_it_works_and_one_that_is_absent_or_slow_is_not() -> None:
    breaker = CircuitBreaker()
    breaker.failed(0.0, Loss.ABSENT)
    breaker.works(300.0)
    breaker.failed(1e4, Loss.SLOW)
    assert not breaker.hung
    breaker.failed(2e4)
    breaker.failed(3e4, Loss.ABSENT)
    assert breaker.hung
    breaker.works(4e4)
    assert not breaker.hung


def test_pauses_begin_anew_after_ten_good_minutes_and_not_before() -> None:
    breaker = CircuitBreaker()
    breaker.failed(0.0)
    breaker.works(FIRST_PAUSE_S)
    assert breaker.failed(FIRST_PAUSE_S + STABLE_S - 1) == 2 * FIRST_PAUSE_S
    breaker.works(5000.0)
    assert breaker.failed(5000.0 + STABLE_S + 1) == FIRST_PAUSE_S


def test_a_device_that_appears_is_tried_at_once() -> None:
    breaker = CircuitBreaker()
    breaker.failed(0.0)
    breaker.plugged_in(20.0)
    assert not breaker.is_probe_due(20.0)
    assert breaker.is_probe_due(20.0 + SETTLE_S)


def test_one_that_comes_and_goes_trips_the_breaker() -> None:
    breaker, now = CircuitBreaker(), 0.0
    for _ in range(2):
        breaker.failed(now)
        breaker.plugged_in(now + 1)
        breaker.works(now + 2)
        now += 100
    assert breaker.failed(now) == LONGEST_PAUSE_S
    breaker.plugged_in(now + 1)
    assert not breaker.is_probe_due(now + LONGEST_PAUSE_S - 1)
    assert breaker.is_probe_due(now + LONGEST_PAUSE_S)
    breaker.failed(now + LONGEST_PAUSE_S)
    breaker.plugged_in(now + LONGEST_PAUSE_S + 10)
    assert breaker.is_probe_due(now + LONGEST_PAUSE_S + 10 + SETTLE_S)


def test_a_pipeline_that_requires_it_and_tries_again_counts_once() -> None:
    breaker = CircuitBreaker()
    assert [breaker.failed(at) for at in (0.0, 0.5, 1.2)] == [300, 299.5, 298.8]
    breaker.plugged_in(10.0)
    assert breaker.is_probe_due(10.0 + SETTLE_S)


def test_an_absent_device_does_not_come_and_go() -> None:
    breaker, now, pauses = CircuitBreaker(), 0.0, []
    for _ in range(3):
        pauses.append(breaker.failed(now, Loss.ABSENT))
        breaker.plugged_in(now + 1)
        now += 1 + SETTLE_S
        assert breaker.is_probe_due(now)
    assert max(pauses) < LONGEST_PAUSE_S


def test_a_slow_one_is_probed_at_once_and_only_the_first_time() -> None:
    breaker = CircuitBreaker()
    assert breaker.failed(0.0, Loss.SLOW) == 0
    assert not breaker.usable
    assert breaker.is_probe_due(0.0)
    breaker.works(9.0)
    assert breaker.failed(15.0, Loss.SLOW) == FIRST_PAUSE_S


def test_appearing_while_in_use_means_nothing() -> None:
    breaker = CircuitBreaker()
    breaker.plugged_in(1.0)
    assert breaker.usable
    assert not breaker.is_probe_due(1e9)


steps = st.lists(
    st.tuples(st.sampled_from(["failed", "works", "plugged_in"]), st.floats(0, 4000)), max_size=80
)


@given(steps)
def test_it_is_never_given_up_and_never_tried_three_times_in_ten_minutes(
    steps: list[tuple[str, float]],
) -> None:
    breaker, now, attempts = CircuitBreaker(), 0.0, []
    for what, gap in steps:
        now += gap
        if what == "failed" and (breaker.usable or breaker.is_probe_due(now)):
            attempts.append(now)
            assert 0 < breaker.failed(now) <= LONGEST_PAUSE_S
        elif what == "works" and breaker.is_probe_due(now):
            breaker.works(now)
        elif what == "plugged_in":
            breaker.plugged_in(now)
        assert breaker.usable or breaker.is_probe_due(now + LONGEST_PAUSE_S)
    for first, fourth in zip(attempts, attempts[3:], strict=False):
        assert fourth - first > BREAKER_S


def plug(root: Path, port: str, vendor: str, product: str) -> None:
    folder = root / "sys/bus/usb/devices" / port
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "idVendor").write_text(f"{vendor}\n")
    (folder / "idProduct").write_text(f"{product}\n")


def unplug(root: Path, port: str) -> None:
    folder = root / "sys/bus/usb/devices" / port
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def test_a_machine_without_usb_has_none(tmp_path: Path) -> None:
    presence = AcceleratorPresence(tmp_path)
    assert presence.devices() == frozenset()
    assert not presence.appeared()


def test_an_edge_tpu_that_is_plugged_in_appears_once(tmp_path: Path) -> None:
    plug(tmp_path, "usb1", "1d6b", "0002")
    plug(tmp_path, "1-1", "046d", "0825")
    presence = AcceleratorPresence(tmp_path)
    plug(tmp_path, "2-1", "1a6e", "089a")
    assert presence.appeared()
    assert not presence.appeared()
    unplug(tmp_path, "2-1")
    assert not presence.appeared()
    plug(tmp_path, "2-1", "18d1", "9302")
    assert presence.appeared()


def test_one_that_got_its_firmware_did_not_appear(tmp_path: Path) -> None:
    plug(tmp_path, "2-1", "1a6e", "089a")
    presence = AcceleratorPresence(tmp_path)
    plug(tmp_path, "2-1", "18d1", "9302")
    assert not presence.appeared()


def test_an_interface_and_a_half_gone_device_are_none(tmp_path: Path) -> None:
    plug(tmp_path, "2-1:1.0", "1a6e", "089a")
    (tmp_path / "sys/bus/usb/devices/3-1").mkdir()
    assert AcceleratorPresence(tmp_path).devices() == frozenset()


def test_a_card_appears_too(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    presence = AcceleratorPresence(tmp_path)
    (tmp_path / "dev/apex_0").touch()
    assert presence.appeared()
    assert presence.devices() == {"apex_0"}
