from __future__ import annotations

import pytest

from edged.tools.doctor.checks import inference
from edged.tools.doctor.worker_runs import Run
from unit.tools.doctor.doubles import GOOD, faulty, good, subject


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
