from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from edged.tools.doctor.checks import accelerators
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
    return asyncio.run(accelerators.edgetpu(about, ward or Ward(), Survey(answers)))


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


@pytest.mark.parametrize(
    ("version", "told"), [("16.0", True), ("16.0tf2.17.1-1", True), ("16.0tf2.19.1-1", False)]
)
def test_a_library_that_is_not_the_pair_of_the_runtime_is_told_where_it_does_not_work(
    tmp_path: Path, version: str, told: bool
) -> None:
    plug(tmp_path)
    status = tmp_path / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    status.write_text(f"Package: libedgetpu1-std\nVersion: {version}\n\n")
    text = TPU.format(policy="prefer").replace("l.txt", "l.txt, runtime: litert")
    crashed = Ward({"porch": faulty("accelerator", "the worker was ended by SIGSEGV")})
    found = tpu(subject(text, tmp_path), crashed)
    assert found.status == "error"
    assert (f"libedgetpu1-std {version} is not the build that goes with litert" in found.detail) is told
    assert "libedgetpu1-std_16.0tf2.19.1-1" in found.fix
    works = tpu(subject(text, tmp_path), Ward({"porch": good(accelerator="edgetpu")}))
    assert works.status == "ok"


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


def slot(root: Path, *, driver: bool) -> None:
    """Put a Coral card into a slot."""
    card = root / "sys/bus/pci/devices/0000:01:00.0"
    card.mkdir(parents=True)
    (card / "vendor").write_text("0x1ac1\n")
    (card / "device").write_text("0x089a\n")
    if driver:
        (root / "dev").mkdir()
        (root / "dev/apex_0").touch()


@pytest.mark.parametrize(
    ("driver", "page_kib", "what", "remedy"),
    [
        (False, 4, "driver is missing: there is no /dev/apex_*", "feranick/gasket-driver"),
        (True, 16, "memory pages of 16 KiB", "kernel=kernel8.img"),
        (False, 16, "16 KiB, and its driver is missing", "and reboot; install the package gasket-dkms"),
    ],
)
def test_a_card_that_the_kernel_cannot_drive_is_explained(
    tmp_path: Path, driver: bool, page_kib: int, what: str, remedy: str
) -> None:
    slot(tmp_path, driver=driver)
    found = accelerators.card(subject(root=tmp_path), page_kib * 1024)
    assert found is not None
    assert found.status == "warning"
    assert "0000:01:00.0" in found.detail
    assert what in found.detail
    assert remedy in found.fix


@pytest.mark.parametrize(("device", "status"), [("pci", "error"), (":0", "error"), ("usb", "warning")])
def test_a_card_without_driver_is_as_bad_as_its_use(tmp_path: Path, device: str, status: str) -> None:
    slot(tmp_path, driver=False)
    text = TPU.format(policy="prefer").replace("prefer", f"prefer, device: '{device}'")
    found = accelerators.card(subject(text, root=tmp_path), 4096)
    assert found is not None
    assert found.status == status


def test_a_card_with_its_driver_is_in_order(tmp_path: Path) -> None:
    assert accelerators.card(subject(root=tmp_path), 16384) is None
    slot(tmp_path, driver=True)
    assert accelerators.card(subject(root=tmp_path), 4096) is None


def test_doctor_reports_a_card_without_driver_where_no_pipeline_uses_one(tmp_path: Path) -> None:
    slot(tmp_path, driver=False)
    found = tpu(subject(GOOD, root=tmp_path))
    assert (found.status, "gasket-driver" in found.fix) == ("warning", True)
