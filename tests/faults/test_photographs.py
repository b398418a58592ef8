from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING

import pytest
from crew import Crew, offer_lab_driver, section

from edged.testing.pictures import paint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# What a decoder does with a photograph, and what main sees of it.
CRASH = {"crash": "was ended by SIGSEGV"}
KILLED = {"short of memory": "was ended by SIGKILL"}
BOMB = {"bomb": r"had grown to \d+ MB"}
ENDLESS = {"endless": "hung reading a frame"}
NAMED = "left out, since decoding"


@pytest.mark.parametrize(
    "defects",
    [
        pytest.param(CRASH, id="crash"),
        pytest.param(KILLED, id="killed", marks=pytest.mark.slow),
        pytest.param(BOMB | ENDLESS | CRASH, id="three", marks=pytest.mark.slow),
    ],
)
def test_what_ended_its_decoder_is_left_out_next_time_and_named(
    defects: Mapping[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    offer_lab_driver()
    for number, defect in enumerate(["", *defects, ""]):
        path = tmp_path / f"{number}.png"
        paint(path, 60 + 40 * number)
        path.write_bytes(path.read_bytes() + defect.encode())
    last = len(defects) + 1

    async def scenario() -> None:
        source = {"kind": "lab", "do": "decode", "cue": str(tmp_path), "interval_s": 0.05}
        fragile = section(source, memory_mb=300, deadlines={"capture_s": 2})
        async with Crew({"album": fragile}) as crew:
            await crew.until(lambda: crew.status("album").restarts >= len(defects))
            await crew.running("album")
            seen = len(crew.outcomes)
            await crew.until(lambda: len(crew.outcomes) > seen + 4)
            status, faults = crew.status("album"), [s for _, s in crew.changes if s.fault]
            assert status.restarts <= len(defects) * 2, "more than once, or twice where it may be by chance"
            for defect, sentence in defects.items():
                what = f"the worker {sentence}.* while it decoded a photograph, which is left out from now on"
                assert any(re.search(what, s.last_error) for s in faults), (defect, faults)
            assert NAMED in status.last_error
            assert str(tmp_path / "1.png") in status.last_error
            assert not any(str(tmp_path) in s.public_error for s in faults), "a path leaves this machine"
            assert status.public_error.startswith("a photograph ended the worker that decoded it")

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    named = [record.message for record in caplog.records if NAMED in record.message]
    assert any(str(tmp_path / f"{last - 1}.png") in line for line in named)
    assert not any(str(tmp_path / f"{last}.png") in line for line in named), "a good one was left out"
