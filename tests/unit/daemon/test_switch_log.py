"""Whoever may switch pipelines may do so often, and fills no log with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edged.daemon.switch_log import SwitchLog

if TYPE_CHECKING:
    import pytest


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_many_switches_are_one_line_with_the_settled_state(caplog: pytest.LogCaptureFixture) -> None:
    async def switch() -> None:
        switches = SwitchLog(settle_s=0.05)
        for number in range(1500):
            switches.switched("porch", on=number % 2 == 0)
        switches.switched("yard", on=True)
        await asyncio.sleep(0.2)
        assert logged(caplog) == ["porch: switched off over MQTT", "yard: switched on over MQTT"]
        caplog.clear()
        switches.switched("porch", on=True)
        await asyncio.sleep(0.2)
        assert logged(caplog) == ["porch: switched on over MQTT"]

    caplog.set_level("INFO")
    asyncio.run(switch())


def test_a_switch_that_does_not_outlive_a_restart_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async def switch() -> None:
        switches = SwitchLog(settle_s=0.05)
        switches.switched("porch", on=False, lasts=False)
        switches.write()

    caplog.set_level("INFO")
    asyncio.run(switch())
    assert "porch: switched off over MQTT, until the next start" in logged(caplog)[0]


def test_a_switch_right_before_the_end_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def switch() -> None:
        switches = SwitchLog(settle_s=0.05)
        switches.switched("porch", on=True)
        switches.write()
        assert logged(caplog) == ["porch: switched on over MQTT"]
        switches.write()
        await asyncio.sleep(0.2)

    caplog.set_level("INFO")
    asyncio.run(switch())
    assert logged(caplog) == ["porch: switched on over MQTT"]


def test_names_that_do_not_exist_are_one_line_too(caplog: pytest.LogCaptureFixture) -> None:
    async def switch() -> None:
        switches = SwitchLog(settle_s=0.05)
        for number in range(1500):
            switches.unknown(f"p{number:04}")
        await asyncio.sleep(0.2)

    asyncio.run(switch())
    assert logged(caplog) == ["MQTT switches pipelines that do not exist: p0000 and 999 more"]
