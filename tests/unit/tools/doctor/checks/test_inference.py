from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from edged.tools.doctor.checks import inference
from edged.tools.doctor.worker_runs import Run
from unit.tools.doctor.doubles import GOOD, Survey, Ward, faulty, good, subject

if TYPE_CHECKING:
    from pathlib import Path

    from edged.tools.doctor.subject import Subject
    from edged.tools.doctor.verdict import Verdict

TPU = """node: n
pipelines:
  porch:
    source: {{kind: synthetic}}
    model: {{file: m.tflite, edgetpu_file: m_edgetpu.tflite, labels: l.txt}}
    accelerator: {{policy: {policy}}}
"""
LIBRARY = {"library": {}}
NO_LIBRARY = {"library": "the Edge TPU runtime libedgetpu.so.1 cannot be loaded; install the build for it"}


def plug(root: Path) -> None:
    port = root / "sys/bus/usb/devices/2-1"
    port.mkdir(parents=True)
    (port / "idVendor").write_text("1a6e\n")
    (port / "idProduct").write_text("089a\n")


def tpu(about: Subject, ward: Ward | None = None, answers: Any = LIBRARY) -> Verdict:
    return asyncio.run(inference.edgetpu(about, ward or Ward(), Survey(answers)))


def test_a_right_answer_comes_with_its_median_time() -> None:
    found = inference.cpu_inference(good())
    assert found.status == "ok"
    assert "Egyptian cat 0.75 in 5.0 ms (median of 10; " in found.detail


def test_a_wrong_answer_is_an_error() -> None:
    found = inference.cpu_inference(good(label="toaster"))
    assert found.status == "error"
    assert "a photograph of Egyptian cat" in found.detail


def test_too_few_answers_are_an_error() -> None:
    assert inference.cpu_inference(good(3)).status == "error"
    assert inference.cpu_inference(Run()).status == "error"


def test_a_worker_that_cannot_start_brings_the_last_words_of_its_process() -> None:
    run = faulty("defect", "the fork server ended (status 1)", model=None)
    found = inference.cpu_inference(run, "ImportError: libGL.so.1")
    assert (found.status, found.detail) == (
        "error",
        "the fork server ended (status 1) (ImportError: libGL.so.1)",
    )
    assert inference.isolation(run, None).status == "skipped"


@pytest.mark.parametrize(
    ("walls", "status"),
    [
        (("user", "seccomp", "netns"), "ok"),
        (("seccomp", "netns", "mountns", "pidns"), "ok"),
        (("seccomp", "netns", "mountns"), "error"),
        (("user", "netns", "mountns", "pidns", "landlock"), "error"),
        (("seccomp",), "error"),
    ],
)
def test_walls_are_enough_where_they_close_every_way_out(walls: tuple[str, ...], status: str) -> None:
    found = inference.isolation(good(isolation=walls), None)
    assert found.status == status
    assert (found.fix == "") is (status == "ok")


@pytest.mark.parametrize(
    ("text", "status"), [("", "error"), (GOOD, "error"), (f"isolation: optional\n{GOOD}", "warning")]
)
def test_no_wall_is_as_bad_as_the_configuration_says(text: str, status: str) -> None:
    found = inference.isolation(good(isolation=()), subject(text).config)
    assert found.status == status
    assert "libseccomp2" in found.fix


def test_without_an_edge_tpu_it_is_absent(tmp_path: Path) -> None:
    assert tpu(subject(root=tmp_path)).status == "absent"
    assert tpu(subject(GOOD, root=tmp_path)).status == "absent"


def test_one_that_nobody_uses_says_which_file_is_needed(tmp_path: Path) -> None:
    plug(tmp_path)
    found = tpu(subject(root=tmp_path))
    assert found.status == "skipped"
    assert "(2-1)" in found.detail
    assert "model.edgetpu_file" in found.fix


def test_one_without_its_library_names_the_package(tmp_path: Path) -> None:
    plug(tmp_path)
    found = tpu(subject(root=tmp_path), answers=NO_LIBRARY)
    assert found.status == "error"
    assert "feranick/libedgetpu" in found.fix


@pytest.mark.parametrize(("policy", "status"), [("prefer", "absent"), ("require", "error")])
def test_no_edge_tpu_where_one_is_configured(tmp_path: Path, policy: str, status: str) -> None:
    about = subject(TPU.format(policy=policy), root=tmp_path)
    assert tpu(about, answers=NO_LIBRARY).status == status
    gone = faulty("accelerator", "there is no Edge TPU at 'usb'", "absent", model=None)
    assert tpu(about, Ward({"porch": gone})).status == status


def test_its_model_is_run_and_nothing_else_serves_instead(tmp_path: Path) -> None:
    plug(tmp_path)
    ward = Ward({"porch": good(accelerator="edgetpu")})
    found = tpu(subject(TPU.format(policy="prefer"), tmp_path), ward)
    assert found.status == "ok"
    assert "on edgetpu" in found.detail
    assert ward.sections["porch"].accelerator.policy == "require"
    assert ward.sections["porch"].source.kind == "folder"


@pytest.mark.parametrize(
    ("kind", "reason", "sentence"),
    [
        ("accelerator", "", "the worker hung opening the accelerator for 6.1 s"),
        ("accelerator", "", "the worker was ended by SIGABRT"),
        ("accelerator", "lost", "the Edge TPU refuses a model"),
        ("model", "file", "m_edgetpu.tflite: there is no such file"),
    ],
)
def test_whatever_is_wrong_with_it_is_an_error(tmp_path: Path, kind: str, reason: str, sentence: str) -> None:
    found = tpu(
        subject(TPU.format(policy="prefer"), tmp_path), Ward({"porch": faulty(kind, sentence, reason)})
    )
    assert (found.status, found.detail) == ("error", f"porch: {sentence}")
    assert found.fix


def test_a_library_that_crashes_its_loader_is_an_error_where_one_is_there(tmp_path: Path) -> None:
    plug(tmp_path)
    found = tpu(subject(root=tmp_path), answers={})
    assert found.status == "error"
    assert "SIGSEGV" in found.detail


def test_what_the_running_daemon_uses_is_left_to_it(tmp_path: Path) -> None:
    plug(tmp_path)
    says = {"state": "running", "accelerator": "edgetpu", "degraded": False, "invoke_ms": {"p50": 3.2}}
    ward = Ward()
    daemon = {"pipelines": {"porch": says}, "processes": {"porch": {"pid": 7}}}
    found = tpu(subject(TPU.format(policy="prefer"), tmp_path, daemon=daemon), ward)
    assert found == ("ok", "the running daemon has it: porch 3.2 ms", "")
    says["invoke_ms"] = {"p50": None}
    found = tpu(subject(TPU.format(policy="prefer"), tmp_path, daemon=daemon), ward)
    assert found == ("ok", "the running daemon has it: no frame was classified yet", "")
    says |= {"state": "waiting", "last_error": "/dev/video0 is not there"}
    found = tpu(subject(TPU.format(policy="prefer"), tmp_path, daemon=daemon), ward)
    assert found.status == "skipped"
    assert "porch: /dev/video0 is not there" in found.detail
    assert ward.sections == {}
