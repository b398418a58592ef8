"""``edged doctor`` with Edge TPUs that hang, crash and lie: it says so within its deadline, and returns."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import delegates
import pytest
from crew import stretched
from doctor_check import judged

from edged.tools.doctor.checks import accelerators

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.realmodels,
    pytest.mark.skipif(bool(delegates.missing_tools()), reason=delegates.missing_tools() or "none"),
]


def configuration(folder: Path, testdata: Path, library: Path, policy: str = "prefer") -> Path:
    models, name = testdata / "models", "mobilenet_v1_0.25_128_quant"
    path = folder / "edged.yaml"
    path.write_text(
        f"node: n\nstate_dir: {folder}/state\nrun_dir: {folder}/run\npipelines:\n  porch:\n"
        "    source: {kind: synthetic}\n"
        f"    model: {{file: {models}/{name}.tflite, edgetpu_file: {models}/{name}_edgetpu.tflite, "
        f"labels: {testdata}/labels/imagenet_labels.txt}}\n"
        f"    accelerator: {{policy: {policy}, library: {library}}}\n"
        "    deadlines: {open_s: 2, invoke_s: 1, accelerator_s: 2}\n"
    )
    return path


@pytest.mark.parametrize(("kind", "status"), [("", "ok"), ("seize open", "error")])
def test_doctor_shows_one_that_works_and_one_that_hangs_among_its_other_checks(
    tmp_path: Path, testdata: Path, kind: str, status: str
) -> None:
    path = configuration(tmp_path, testdata, delegates.prepare(tmp_path / "libedgetpu.so.1", kind))
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "edged", "doctor", "--json", "-c", str(path)],
        capture_output=True,
        text=True,
        timeout=stretched(90),
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert time.monotonic() - began < stretched(30)
    assert "Traceback" not in done.stderr
    found = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert found["cpu-inference"]["status"] == "ok"
    assert done.returncode == int(any(check["status"] == "error" for check in found.values()))
    assert found["edgetpu"]["status"] == status


def test_one_that_works_runs_the_twin(tmp_path: Path, testdata: Path) -> None:
    found = judged(
        configuration(tmp_path, testdata, delegates.build(tmp_path / "libedgetpu.so.1")), accelerators.edgetpu
    )
    assert found.status == "ok", found
    assert re.search(r"porch: tiger cat 0\.\d+ in [\d.]+ ms \(median of \d+; .* on edgetpu", found.detail)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("hang open", r"hung opening the accelerator for \d\.\d s"),
        ("seize open", r"hung opening the accelerator for \d\.\d s"),
        ("abort open", r"ended by SIGABRT"),
        ("segfault open", r"ended by SIGSEGV"),
        ("hang allocate", r"hung opening the model"),
        ("fail prepare", r"the Edge TPU refuses a model"),
        ("hang invoke", r"hung running the model"),
        ("abort invoke", r"ended by SIGABRT"),
        ("no delegate", r"is not an Edge TPU runtime"),
    ],
)
def test_whatever_it_does_doctor_says_so_and_returns(
    tmp_path: Path, testdata: Path, kind: str, says: str
) -> None:
    policy = "require" if kind == "no delegate" else "prefer"
    library = delegates.prepare(tmp_path / "libedgetpu.so.1", kind)
    found = judged(configuration(tmp_path, testdata, library, policy), accelerators.edgetpu)
    assert found.status == "error", found
    assert re.search(says, found.detail), found
    assert found.fix


@pytest.mark.parametrize(("policy", "status"), [("prefer", "absent"), ("require", "error")])
@pytest.mark.parametrize("kind", ["absent", "fail open"])
def test_one_that_is_not_there_is_as_bad_as_the_policy_says(
    tmp_path: Path, testdata: Path, kind: str, policy: str, status: str
) -> None:
    library = delegates.prepare(tmp_path / "libedgetpu.so.1", kind)
    found = judged(configuration(tmp_path, testdata, library, policy), accelerators.edgetpu)
    assert found.status == status, found
    assert found.fix
