"""The check of a changed configuration reads what others made, so it can do nothing but read."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest
from crew import offer_lab_driver

from edged.system.child import answers
from edged.system.needs import EVERY_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from edged.system.needs import Needs


@pytest.mark.parametrize("needs", [EVERY_FILE, None], ids=["by hand", "as under the unit"])
def test_what_runs_in_the_check_of_a_reload_reaches_nothing(needs: Needs | None, tmp_path: Path) -> None:
    offer_lab_driver()
    target, path = tmp_path / "target", tmp_path / "edged.yaml"
    target.write_text("kept")
    source = f"{{kind: lab, do: build, file: {target}}}"
    path.write_text(f"pipelines:\n  porch:\n    source: {source}\n    memory_mb: lots\n")
    wrong = list(answers("edged.tools.check", os.fsencode(path), 30, needs))
    assert any("memory_mb" in problem["what"] for problem in wrong), wrong
    path.write_text(f"pipelines:\n  porch:\n    source: {source}\n")
    (problem,) = answers("edged.tools.check", os.fsencode(path), 30, needs)
    found = json.loads(re.sub(r"^.*cannot be built: ", "", problem["what"]))
    assert found.pop("read") == "done"
    assert set(found.values()) <= {"EPERM", "EACCES", "EROFS"}, found
    assert len(found) == 6
