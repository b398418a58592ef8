from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from edged.sources import camera_nodes
from edged.tools.doctor.checks import cameras as _cameras
from edged.tools.doctor.worker_runs import Run
from unit.tools.doctor.doubles import Survey, Ward, faulty, good, subject

if TYPE_CHECKING:
    from edged.tools.doctor.verdict import Verdict

LOGI = ["/dev/v4l/by-id/usb-logi", "/dev/video0", "Logi"]
CSI = {
    "keys": {"kind": "picamera2"},
    "name": "the camera on the CSI connector",
    "place": "CSI",
    "aliases": ["0"],
}
CAMERA = "node: n\npipelines:\n  porch:\n    source: {kind: v4l2, device: DEVICE, size: [1280, 720]}\n"


def cameras(answers: dict[str, Any], ward: Ward | None = None, text: str = "", **keys: Any) -> Verdict:
    about = subject(text, **keys)
    return asyncio.run(_cameras.cameras(about, ward or Ward(), Survey(answers)))


def there(*found: list[str], pi: bool = False) -> dict[str, Any]:
    """What a machine has: device, node and name of each USB camera, and perhaps one at the CSI connector."""
    usb = [
        {
            "keys": {"kind": "v4l2", "device": device},
            "name": name,
            "place": device,
            "aliases": [device, node, *([] if number else ["auto"])],
        }
        for number, (device, node, name) in enumerate(found)
    ]
    return {"cameras": {"cameras": [*([CSI] if pi else []), *usb], "identify": ["picamera2"] if pi else []}}


def libcamera(*names: str) -> dict[str, Any]:
    found = [
        {"keys": {"kind": "picamera2", "camera": n}, "name": name, "place": f"CSI {n}", "aliases": [str(n)]}
        for n, name in enumerate(names)
    ]
    return {"identify": {"cameras": found}}


def test_a_machine_without_cameras() -> None:
    assert cameras(there()).status == "absent"


def test_a_camera_is_tried_in_a_worker() -> None:
    ward = Ward()
    found = cameras(there(LOGI), ward)
    assert found.status == "ok"
    assert found.detail.startswith("Logi (/dev/v4l/by-id/usb-logi): gives pictures")
    (section,) = ward.sections.values()
    assert (section.source.kind, section.source.interval_s) == ("v4l2", 0)


@pytest.mark.parametrize("device", [LOGI[0], LOGI[1], "auto"])
def test_one_that_is_configured_is_tried_as_configured_and_once(device: str) -> None:
    ward = Ward()
    assert cameras(there(LOGI), ward, CAMERA.replace("DEVICE", device)).status == "ok"
    assert ward.sections.keys() == {"porch"}
    assert ward.sections["porch"].source.size == (1280, 720)


def test_one_that_the_daemon_has_is_left_to_it() -> None:
    ward = Ward()
    daemon = {"pipelines": {"porch": {"state": "running"}}}
    found = cameras(there(LOGI), ward, CAMERA.replace("DEVICE", "/dev/video0"), daemon=daemon)
    assert found == ("ok", "porch: the running daemon has it", "")
    assert ward.sections == {}


@pytest.mark.parametrize(
    ("reason", "status", "words"),
    [
        ("denied", "error", "sudo usermod -aG video "),
        ("busy", "warning", "only one program"),
        ("lost", "error", "cable"),
        ("", "error", "cable"),
    ],
)
def test_what_is_wrong_with_a_camera_comes_with_what_mends_it(reason: str, status: str, words: str) -> None:
    run = faulty("source", "/dev/video0 does not do it", reason)
    found = cameras(there(LOGI), Ward({f"Logi ({LOGI[0]})": run}))
    assert found.status == status
    assert words in found.fix


def test_a_driver_without_its_package_is_for_the_check_of_drivers() -> None:
    run = faulty("driver", "kind: picamera2 needs picamera2", "missing", model=None)
    found = cameras(there(LOGI), Ward({f"Logi ({LOGI[0]})": run}))
    assert (found.status, found.fix) == ("error", "see the check drivers")


def test_a_camera_that_says_nothing_is_an_error() -> None:
    assert cameras(there(LOGI), Ward({f"Logi ({LOGI[0]})": Run()})).status == "error"


def test_a_search_that_crashes_is_an_error() -> None:
    assert cameras({}).status == "error"


def test_the_camera_of_a_raspberry_pi() -> None:
    ward = Ward()
    found = cameras(there(pi=True) | libcamera("imx708"), ward)
    assert found.status == "ok"
    assert ward.sections["imx708 (CSI 0)"].source.kind == "picamera2"


CSI_CAMERAS = """node: n
pipelines:
  porch: {source: {kind: picamera2}}
  yard: {source: {kind: picamera2, camera: 1}}
"""


def test_no_csi_camera_is_listed_or_opened_while_one_of_them_streams() -> None:
    """libcamera resets the flips of every sensor when it lists them."""
    ward, survey = Ward(), Survey(there(LOGI, pi=True) | libcamera("imx708", "imx219"))
    daemon: dict[str, Any] = {"pipelines": {"porch": {"state": "running"}, "yard": {"state": "disabled"}}}
    found = asyncio.run(_cameras.cameras(subject(CSI_CAMERAS, daemon=daemon), ward, survey))
    assert found.status == "ok"
    assert "yard: not opened, as that would disturb porch" in found.detail
    assert ward.sections.keys() == {f"Logi ({LOGI[0]})"}, "other kinds are"
    assert not any("identify" in words for words in survey.asked)
    daemon["pipelines"]["yard"] = {"state": "waiting", "last_error": "camera 1 is absent"}
    found = asyncio.run(_cameras.cameras(subject(CSI_CAMERAS, daemon=daemon), ward, survey))
    assert (found.status, found.fix) == ("warning", "stop the service, then run edged doctor again")
    assert "it reports: camera 1 is absent" in found.detail


@pytest.mark.parametrize("text", ["", CSI_CAMERAS])
def test_no_csi_camera_is_listed_or_opened_while_another_program_uses_one(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera_nodes, "holder", lambda: "rpicam-vid (pid 7)")
    ward, survey = Ward(), Survey(there(LOGI, pi=True) | libcamera("imx708", "imx219"))
    found = asyncio.run(_cameras.cameras(subject(text), ward, survey))
    assert (found.status, found.fix) == ("warning", "end what holds it: only one program gets its pictures")
    assert "the camera on the CSI connector: in use (held by rpicam-vid (pid 7))" in found.detail
    assert ward.sections.keys() == {f"Logi ({LOGI[0]})"}
    assert not any("identify" in words for words in survey.asked)


def test_csi_cameras_are_opened_where_none_of_them_streams() -> None:
    ward = Ward()
    cameras(there(pi=True) | libcamera("imx708", "imx219"), ward, CSI_CAMERAS)
    assert ward.sections.keys() == {"porch", "yard"}


def test_a_connector_without_a_camera_is_a_warning() -> None:
    assert cameras(there(pi=True) | libcamera()).status == "warning"


def test_a_raspberry_pi_without_picamera2_names_the_package() -> None:
    told = "kind: picamera2 needs picamera2, which comes from apt: sudo apt install python3-picamera2"
    found = cameras(there(pi=True) | {"identify": told})
    assert found.status == "error"
    assert "the camera on the CSI connector may be there: kind: picamera2 needs picamera2" in found.detail
    assert "apt install python3-picamera2" in found.fix


def test_one_bad_camera_does_not_hide_a_good_one() -> None:
    other = ["/dev/video2", "/dev/video2", "Cam"]
    runs = {"Cam (/dev/video2)": faulty("source", "hung", ""), f"Logi ({LOGI[0]})": good(2)}
    found = cameras(there(LOGI, other), Ward(runs))
    assert found.status == "error"
    assert "gives pictures" in found.detail


SHARED = """node: n
cameras:
  yard: {kind: v4l2, device: /dev/video0, size: [1280, 720]}
pipelines:
  gate: {camera: yard, crop: [0, 0, 99, 99]}
  people: {camera: yard}
"""


def test_a_camera_that_pipelines_share_is_tried_once() -> None:
    ward = Ward()
    assert cameras(there(LOGI), ward, SHARED).status == "ok"
    (section,) = ward.sections.values()
    assert section.source.size == (1280, 720)


def test_a_camera_that_any_of_them_uses_is_left_to_the_daemon() -> None:
    ward = Ward()
    daemon = {"pipelines": {"gate": {"state": "disabled"}, "people": {"state": "running"}}}
    found = cameras(there(LOGI), ward, SHARED, daemon=daemon)
    assert found == ("ok", "people: the running daemon has it", "")
    assert ward.sections == {}
