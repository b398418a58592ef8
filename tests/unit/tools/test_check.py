from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import detector_model
import probe_models
import pytest
from probe_models import Probe
from taught_models import teach
from tflite_builder import Kind, build, lstm

from edged.models import bundled
from edged.tools.check import check, examine

ROOT = Path(__file__).resolve().parents[3]
PIPELINE = "pipelines:\n  a:\n    source: {kind: synthetic}\n"


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the file, with a model and labels beside it."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    shutil.copy(bundled.MODEL, tmp_path / "m.tflite")
    shutil.copy(bundled.LABELS, tmp_path / "m.txt")
    return tmp_path


def said(base: Path, text: str) -> list[str]:
    (base / "edged.yaml").write_text(text, "utf-8")
    return [str(problem).replace(str(base), "") for problem in check(base / "edged.yaml")]


def one(lines: list[str]) -> str:
    assert len(lines) == 1, lines
    return lines[0]


def model(base: Path, keys: str, rest: str = "") -> list[str]:
    return said(base, f"{PIPELINE}    model: {{{keys}}}\n{rest}")


def test_a_good_file_has_no_problems(base: Path) -> None:
    assert said(base, PIPELINE) == []
    assert model(base, "file: m.tflite, labels: m.txt") == []


def test_what_the_loader_finds_is_reported(base: Path) -> None:
    assert said(base, "mqtt: {}\nx: 1\n")[0].startswith("/edged.yaml:1:1: pipelines is missing")
    assert check(base / "none")[0].what == "there is no such file"
    assert check(base)[0].what == "this is a folder, not a file"


MISTAKES = """\
bogus: 1
node: Porch Pi
sensors:
  attic: {kind: system, interval_s: -3}
  dud: {kind: nothing-like-that}
pipelines:
  a:
    source: {kind: folder, path: x, interval_s: -1}
    decision: {threshold: 0.3, exit_threshold: 0.5, ignore: [catt]}
    attach: [lux, dud/x]
    trigger: {conditions: [{sensor: dor, equals: true}, {sensor: attic/load, abve: 3}]}
  b:
    source: {kind: synthetic}
    decision: {threshold: 3, exit_threshold: 0.9}
    model: {file: none.tflite}
"""
_FOUND = """\
1:1: bogus: there is no key
2:7: node is 'Porch Pi'
4:37: sensors.attic.interval_s is '-3'
5:15: sensors.dud.kind is 'nothing-like-that'
8:49: pipelines.a.source.interval_s is '-1'
9:48: pipelines.a.decision.exit_threshold: exit_threshold (0.5) is above threshold (0.3)
9:62: pipelines.a.decision.ignore[0]: the model has no label 'catt'
10:14: pipelines.a.attach[0]: there is no sensor 'lux'
11:37: pipelines.a.trigger.conditions[0].sensor: there is no sensor 'dor'
11:78: pipelines.a.trigger.conditions[1].abve: there is no key 'abve'
14:27: pipelines.b.decision.threshold is '3'
15:19: pipelines.b.model.file: /none.tflite: there is no such file
"""


def test_mistakes_of_every_kind_are_found_in_one_pass(base: Path) -> None:
    """Each hid the later ones. The exit_threshold of b and the sensor dud only follow from other mistakes."""
    found, expected = said(base, MISTAKES), _FOUND.splitlines()
    found = [line.removeprefix("/edged.yaml:") for line in found]
    assert [line[: len(start)] for line, start in zip(found, expected, strict=False)] == expected
    assert len(found) == len(expected)


def test_standard_input_is_a_file(base: Path) -> None:
    command = [sys.executable, "-m", "edged", "check", "-c", "-"]
    done = subprocess.run(command, input=PIPELINE, capture_output=True, text=True, check=False, cwd=base)
    assert (done.returncode, done.stdout) == (0, "-: good: 1 pipeline (a)\n"), done.stderr
    done = subprocess.run(command, input="x: 1\n", capture_output=True, text=True, check=False, cwd=base)
    assert done.returncode == 78
    assert "standard input:1:1: x: there is no key 'x'" in done.stdout


def test_a_model_that_is_nowhere_is_told_with_both_places(base: Path) -> None:
    line = one(model(base, "file: x.tflite, labels: m.txt"))
    assert line.startswith("/edged.yaml:4:19: pipelines.a.model.file: /x.tflite: there is no such file")
    assert line.endswith("(also searched: /state/models/x.tflite)")
    assert "also looked" not in one(model(base, "file: /x.tflite, labels: m.txt"))


def test_a_model_in_the_state_folder_is_found(base: Path) -> None:
    (base / "state" / "models").mkdir(parents=True)
    (base / "m.tflite").rename(base / "state" / "models" / "n.tflite")
    assert model(base, "file: n.tflite, labels: m.txt") == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"\x1c\0\0\0TFL3", "truncated or damaged"),
        (b"PK\x03\x04 a zip", "not a .tflite file"),
    ],
)
def test_a_file_that_is_no_model_is_told(base: Path, content: bytes, expected: str) -> None:
    (base / "m.tflite").write_bytes(content)
    line = one(model(base, "file: m.tflite, labels: m.txt"))
    assert line.startswith("/edged.yaml:4:19: pipelines.a.model.file: /m.tflite: ")
    assert expected in line


def test_a_checksum_is_compared(base: Path) -> None:
    assert model(base, f"file: m.tflite, labels: m.txt, sha256: {bundled.MODEL_SHA256}") == []
    assert "sha256" in one(model(base, f"file: m.tflite, labels: m.txt, sha256: {'0' * 64}"))


def test_labels_must_be_there_and_fit(base: Path) -> None:
    line = one(model(base, "file: m.tflite, labels: x.txt"))
    assert line.startswith("/edged.yaml:4:37: pipelines.a.model.labels: /x.txt: there is no such file")
    assert "also searched: /state/models/x.txt" in line
    (base / "two.txt").write_text("a\nb\n", "utf-8")
    line = one(model(base, "file: m.tflite, labels: two.txt"))
    assert line.startswith("/edged.yaml:4:37: pipelines.a.model.labels: /two.txt: 2 labels do not fit")


def test_bad_labels_do_not_hide_a_bad_model(base: Path) -> None:
    assert len(model(base, "file: x.tflite, labels: x.txt")) == 2


def test_one_of_the_synonyms_in_a_label_is_told_the_whole_label(base: Path) -> None:
    (base / "m.txt").write_text("tabby, tabby cat\nespresso\ntiger cat\n")
    decision = "    decision: {ignore: [tabby cat]}\n"
    *_, last = model(base, "file: m.tflite, labels: m.txt", decision)
    assert last.endswith("the model has no label 'tabby cat' (write 'tabby, tabby cat')")


def test_a_word_gets_the_labels_that_hold_it(base: Path) -> None:
    """Not a word that is spelled alike: dough for dog, crate for cat."""
    lines = said(base, f"{PIPELINE}    decision: {{ignore: [cat, dog]}}\n")
    assert "the model has no label 'cat' (labels with that word: tiger cat, Persian cat, " in lines[0]
    assert "(labels with that word: Maltese dog, " in lines[1]


def test_labels_that_the_decision_names_must_exist(base: Path) -> None:
    decision = "    decision:\n      labels: {tabbi: {threshold: 0.4}}\n      ignore: [tabby, expresso]\n"
    expected = [
        (
            "/edged.yaml:5:16: pipelines.a.decision.labels.tabbi: the model has no label 'tabbi' "
            "(did you mean 'tabby'?)"
        ),
        (
            "/edged.yaml:6:23: pipelines.a.decision.ignore[1]: the model has no label 'expresso' "
            "(did you mean 'espresso'?)"
        ),
    ]
    assert said(base, PIPELINE + decision) == expected
    assert len(model(base, "file: m.tflite, labels: m.txt", decision)) == 2


def test_a_model_for_the_cpu_is_no_twin(base: Path) -> None:
    line = one(
        model(
            base,
            "file: m.tflite, edgetpu_file: m.tflite, labels: m.txt",
            "    accelerator: {policy: prefer}\n",
        )
    )
    assert line.startswith("/edged.yaml:4:43: pipelines.a.model.edgetpu_file: /m.tflite: ")
    assert "not compiled for the Edge TPU" in line


def test_a_policy_without_a_twin_is_told_at_its_key(base: Path) -> None:
    line = one(said(base, f"{PIPELINE}    accelerator: {{policy: require}}\n"))
    assert line.startswith(
        "/edged.yaml:4:27: pipelines.a.accelerator.policy: require needs model.edgetpu_file"
    )


def test_the_missing_twin_comes_with_the_command_that_makes_it(base: Path) -> None:
    line = one(model(base, "file: m.tflite, labels: m.txt", "    accelerator: {policy: prefer}\n"))
    assert line.endswith("compiled for the Edge TPU: edgetpu_compiler m.tflite")

    line = one(
        model(
            base,
            "file: m.tflite, labels: m.txt, edgetpu_file: twin.tflite",
            "    accelerator: {policy: prefer}\n",
        )
    )
    assert line.startswith("/edged.yaml:4:58: pipelines.a.model.edgetpu_file: /twin.tflite: there is no such")
    assert line.endswith("(the compiler for the Edge TPU makes it: edgetpu_compiler /m.tflite)")


def claims(base: Path, *accelerators: str) -> list[str]:
    shutil.copy(bundled.MODEL, base / "e.tflite")
    lines = ["pipelines:"]
    for name, keys in zip("abc", accelerators, strict=False):
        lines.append(f"  {name}:\n    source: {{kind: synthetic}}")
        lines.append("    model: {file: m.tflite, labels: m.txt, edgetpu_file: e.tflite}")
        lines.append(f"    accelerator: {{policy: prefer, {keys}}}")
    return [line for line in said(base, "\n".join(lines)) if "not compiled" not in line]


@pytest.mark.parametrize(
    "accelerators",
    [
        ("device: usb", "device: usb:0"),
        ("device: usb:0", "device: usb:1", "device: usb"),
        ("device: pci:1", "device: pci"),
        ("device: ':0'", "device: usb"),
        ("device: ':0'", "device: pci:1"),
        ("device: usb", "device: usb, library: libedgetpu.so.2"),
    ],
    ids=str,
)
def test_a_device_claimed_in_different_words_is_told_with_both_names(
    base: Path, accelerators: tuple[str, ...]
) -> None:
    line = one(claims(base, *accelerators))
    last = "abc"[len(accelerators) - 1]
    assert f"pipelines.{last}.accelerator: pipelines a and {last} both use the Edge TPU, as " in line
    assert line.endswith("write the same in both to share it")


@pytest.mark.parametrize(
    "accelerators",
    [
        ("device: usb", "device: usb"),
        ("device: usb", "device: pci"),
        ("device: usb:0", "device: usb:1, library: libedgetpu.so.2"),
        ("device: ':0'", "device: ':1'"),
    ],
    ids=str,
)
def test_devices_that_are_shared_or_others_are_no_problem(base: Path, accelerators: tuple[str, ...]) -> None:
    assert claims(base, *accelerators) == []


def test_a_cameras_password_file_must_hold_a_password(base: Path) -> None:
    source = "{kind: video, url: 'rtsp://cam@10.0.0.7/1', password_file: p}"
    found = one(said(base, f"pipelines: {{yard: {{source: {source}}}}}\n"))
    assert found.endswith("pipelines.yard.source.password_file: /p: there is no such file")
    assert found.startswith("/edged.yaml:1:")


def test_a_password_file_must_hold_a_password(base: Path) -> None:
    text = f"mqtt: {{host: b, username: u, password_file: p}}\n{PIPELINE}"
    assert one(said(base, text)) == "/edged.yaml:1:45: mqtt.password_file: /p: there is no such file"
    (base / "p").touch()
    assert "the file is empty" in one(said(base, text))
    (base / "p").write_text("hunter2\n", "utf-8")
    (base / "p").chmod(0o600)
    assert said(base, text) == []


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two certificates with their keys, one key also with a passphrase."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("a", "b"):
        subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-subj",
                f"/CN={name}",
                "-keyout",
                f"{name}.key",
                "-out",
                f"{name}.pem",
            ],
            cwd=folder,
            check=True,
            capture_output=True,
        )
    subprocess.run(
        ["openssl", "ec", "-aes256", "-passout", "pass:hunter2", "-in", "a.key", "-out", "locked.key"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


def tls(base: Path, keys: str) -> list[str]:
    return said(base, f"mqtt: {{host: b, tls: {{{keys}}}}}\n{PIPELINE}")


def test_tls_files_must_be_there_and_fit(base: Path, certificates: Path) -> None:
    for file in certificates.iterdir():
        shutil.copy(file, base)
    assert tls(base, "") == []
    assert tls(base, "ca_file: a.pem, cert_file: b.pem, key_file: b.key") == []
    assert (
        one(tls(base, "ca_file: x.pem"))
        == "/edged.yaml:1:32: mqtt.tls.ca_file: /x.pem: there is no such file"
    )
    assert "/a.key does not hold a certificate (it must be PEM)" in one(tls(base, "ca_file: a.key"))
    assert "1:51: mqtt.tls.key_file: /b.key does not belong to /a.pem" in one(
        tls(base, "cert_file: a.pem, key_file: b.key")
    )
    assert "/locked.key has a passphrase" in one(tls(base, "cert_file: a.pem, key_file: locked.key"))
    assert "1:34: mqtt.tls.cert_file: /a.key does not hold a certificate" in one(
        tls(base, "cert_file: a.key, key_file: a.key")
    )
    assert "/a.pem does not hold a private key" in one(tls(base, "cert_file: a.pem, key_file: a.pem"))
    assert len(tls(base, "ca_file: x.pem, cert_file: a.key, key_file: a.key")) == 2


def test_a_pipe_in_place_of_a_certificate_does_not_hang(base: Path) -> None:
    os.mkfifo(base / "fifo")
    assert "not a file" in one(tls(base, "ca_file: fifo"))


def test_json_lines_need_a_folder(base: Path) -> None:
    assert said(base, f"jsonl: {{path: e.jsonl}}\n{PIPELINE}") == []
    line = one(said(base, f"jsonl: {{path: no/e.jsonl}}\n{PIPELINE}"))
    assert line == "/edged.yaml:1:15: jsonl.path: there is no folder /no (create it)"
    (base / "d").mkdir()
    assert "is a folder" in one(said(base, f"jsonl: {{path: d}}\n{PIPELINE}"))
    assert "there is no folder" in one(said(base, f"jsonl: {{path: {'x' * 300}/y}}\n{PIPELINE}"))


def test_the_state_directory_is_a_folder_or_can_be_made(base: Path) -> None:
    (base / "file").touch()
    (base / "d").mkdir()
    assert said(base, f"state_dir: d\n{PIPELINE}") == []
    assert said(base, f"state_dir: d/e/f\n{PIPELINE}") == []
    line = one(said(base, f"state_dir: file\n{PIPELINE}"))
    assert line == "/edged.yaml:1:12: state_dir: /file is not a folder (name a folder)"
    line = one(said(base, f"state_dir: file/a/b\n{PIPELINE}"))
    what = "/file is not a folder, so /file/a/b cannot be created (name a folder)"
    assert line == f"/edged.yaml:1:12: state_dir: {what}"


CAMERAS = "pipelines:\n  a: {{source: {0}}}\n  b: {{source: {1}, enabled: {2}}}\n"


@pytest.mark.parametrize(
    ("one_source", "other", "enabled", "clash"),
    [
        ("{kind: v4l2}", "{kind: v4l2}", "yes", True),
        ("{kind: v4l2}", "{kind: v4l2}", "no", False),
        ("{kind: v4l2, device: /dev/video0}", "{kind: v4l2, device: /dev/../dev/video0}", "yes", True),
        ("{kind: v4l2, device: /dev/video0}", "{kind: v4l2, device: /dev/video2}", "yes", False),
        ("{kind: picamera2}", "{kind: picamera2}", "yes", True),
        ("{kind: picamera2}", "{kind: picamera2, camera: 1}", "yes", False),
        ("{kind: synthetic}", "{kind: synthetic}", "yes", False),
    ],
)
def test_two_pipelines_cannot_share_a_camera(
    base: Path, one_source: str, other: str, enabled: str, clash: bool
) -> None:
    lines = said(base, CAMERAS.format(one_source, other, enabled))
    assert len(lines) == clash
    assert all(line.startswith("/edged.yaml:3:") and "pipelines a and b both use" in line for line in lines)


SHARED = """\
cameras:
  yard: {{kind: v4l2, device: /dev/video0}}
pipelines:
  a: {{camera: yard}}
  b: {{{}}}
"""


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ("camera: yard", ""),
        (
            "source: {kind: v4l2, device: /dev/video0}",
            (
                "/edged.yaml:5:36: pipelines.b.source.device: pipelines a and b both use v4l2 device "
                "/dev/video0 (to share it, write camera: yard in both, in the place of source)"
            ),
        ),
    ],
)
def test_pipelines_of_one_camera_share_it(base: Path, other: str, expected: str) -> None:
    assert "".join(said(base, SHARED.format(other))) == expected


def test_who_uses_a_device_twice_is_shown_what_to_write(base: Path) -> None:
    line = one(said(base, CAMERAS.format("{kind: v4l2}", "{kind: v4l2}", "yes")))
    assert line.endswith(
        "(to share it, write cameras: {shared: {kind: v4l2, device: auto}} at the top of the file and "
        "camera: shared in both, in the place of source)"
    )


def test_a_microphone_is_for_one_pipeline(base: Path) -> None:
    ear = "{source: {kind: microphone}, model: {file: m.tflite}}"
    lines = said(base, f"pipelines:\n  a: {ear}\n  b: {ear}\n")
    what = "pipelines a and b both use microphone device auto (only one pipeline can use it)"
    assert [line for line in lines if "both use" in line] == [
        f"/edged.yaml:3:15: pipelines.b.source.device: {what}"
    ]


def test_problems_of_a_camera_are_told_once_where_it_is_written(base: Path) -> None:
    keys = "kind: video, url: 'rtsp://me@cam/1', password_file: none"
    text = f"cameras: {{yard: {{{keys}}}}}\npipelines: {{a: {{camera: yard}}, b: {{camera: yard}}}}\n"
    assert one(said(base, text)).startswith("/edged.yaml:1:70: cameras.yard.password_file: ")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("camera: yard, crop: [0, 0, 640, 480]", ""),
        (
            "camera: yard, crop: [1, 0, 640, 480]",
            ":2:37: pipelines.a.crop: it extends beyond a picture of 640x480",
        ),
        ("camera: yard, rotate: 90, crop: [0, 0, 480, 640]", ""),
        ("camera: yard, rotate: 90, crop: [0, 0, 640, 480]", "beyond a picture of 480x640 pixels"),
        ("source: {kind: v4l2, crop: [0, 0, 640, 481]}", "pipelines.a.source.crop: it extends beyond"),
        ("source: {kind: folder, path: ., crop: [0, 0, 9999, 481]}", ""),
    ],
)
def test_a_crop_beyond_the_picture_gets_a_warning(base: Path, keys: str, expected: str) -> None:
    text = f"cameras: {{yard: {{kind: v4l2}}}}\npipelines: {{a: {{{keys}}}, b: {{camera: yard}}}}\n"
    (base / "edged.yaml").write_text(text.replace("source: {kind: v4l2", "source: {kind: picamera2"), "utf-8")
    found = examine(base / "edged.yaml")
    assert not found.problems
    assert len(found.warnings) == bool(expected)
    assert expected in "".join(map(str, found.warnings))


def test_a_camera_that_nobody_uses_gets_a_warning(base: Path) -> None:
    (base / "edged.yaml").write_text("cameras: {yard: {kind: v4l2}}\n" + PIPELINE, "utf-8")
    found = examine(base / "edged.yaml")
    assert not found.problems
    assert "cameras.yard: no pipeline uses it: write camera: yard in one" in str(found.warnings[0])


def test_every_problem_comes_at_once_in_the_order_of_the_file(base: Path) -> None:
    lines = said(
        base,
        "mqtt: {host: b, username: u, password_file: p, tls: {ca_file: ca}}\njsonl: {path: no/e}\n"
        f"{PIPELINE}    model: {{file: x, labels: y}}\n",
    )
    assert [line.split(":")[1] for line in lines] == ["1", "1", "2", "6", "6"]


def test_a_driver_that_fails_to_build_is_named(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edged.sources.drivers import synthetic

    def broken(_config: object, _hint: object) -> None:
        raise KeyError

    monkeypatch.setattr(synthetic, "create", broken)
    line = one(said(base, PIPELINE))
    assert line == "/edged.yaml:3:20: pipelines.a.source.kind: synthetic cannot be built: KeyError"


@pytest.mark.parametrize("name", ["folder", "usb-camera", "bird-feeder", "garage-door", "greenhouse"])
def test_the_examples_that_need_no_files_are_good(name: str) -> None:
    assert check(ROOT / "config" / "examples" / f"{name}.yaml") == []


def test_the_example_with_files_lacks_nothing_but_its_files() -> None:
    problems = check(ROOT / "config" / "examples" / "pi-camera-tls.yaml")
    assert problems
    assert all("there is no such file" in problem.what for problem in problems)


def test_the_check_needs_no_heavy_module() -> None:
    program = (
        "import sys, edged.tools.check, edged.config.schema, edged.config.sample\n"
        "edged.tools.check.check('config/examples/folder.yaml')\n"
        "edged.config.schema.text(), edged.config.sample.sample()\n"
        "print([m for m in ('paho', 'numpy', 'cv2', 'ai_edge_litert', 'tflite_runtime') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout == "[]\n"


def test_two_sensors_do_not_take_the_same_line_and_share_a_port_in_one_way(base: Path) -> None:
    lines = said(
        base,
        "sensors:\n"
        "  air: {kind: serial, device: /dev/serial0, protocol: pms5003}\n"
        "  gas: {kind: serial, device: /dev/../dev/serial0, protocol: mhz19}\n"
        "  wind: {kind: serial, device: /dev/serial0, pattern: 'W=(?P<w>[0-9]+)', baud: 4800}\n"
        "  door: {kind: gpio, line: GPIO17}\n"
        "  bell: {kind: gpio, line: GPIO17}\n"
        "  tank: {kind: command, command: [/nowhere/tank]}\n",
    )
    both = "(only one sensor can use it)"
    ways = "baud 9600, framing 8n1; baud 4800, framing 8n1 (sensors share a port only with the same settings)"
    assert lines == [
        f"/edged.yaml:4:9: sensors.wind: sensors air and wind open /dev/serial0 differently: {ways}",
        f"/edged.yaml:6:9: sensors.bell: sensors door and bell both use gpio line GPIO17 {both}",
    ]


def test_a_sensor_that_cannot_be_built_is_one_problem(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edged.sensors.drivers import thermal

    def fails(config: object) -> None:
        raise RuntimeError(f"no {type(config).__name__}")

    monkeypatch.setattr(thermal, "create", fails)
    assert said(base, "sensors: {board: {kind: thermal}}\n") == [
        "/edged.yaml:1:25: sensors.board.kind: thermal cannot be built: no Config"
    ]


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (
            "device_class: temprature",
            "sensors.a.device_class: Home Assistant does not know the sensor class 'temprature'",
        ),
        ("device_class: temprature", "(did you mean 'temperature'?)"),
        ("device_class: temperature, unit: lx", "does not take temperature in 'lx' (it takes K, °C, °F)"),
        ("device_class: dor, binary: true", "not know the binary sensor class 'dor' (did you mean 'door'?)"),
    ],
)
def test_a_class_that_home_assistant_would_refuse_is_told(base: Path, keys: str, says: str) -> None:
    mqtt = "mqtt:\n  host: broker.lan\nhomeassistant:\n  discovery: true\n"
    sensor = f"sensors: {{a: {{kind: synthetic, {keys}}}}}\n"
    lines = said(base, mqtt + sensor)
    assert len(lines) == 1, lines
    assert says in lines[0]
    assert said(base, mqtt.replace("true", "false") + sensor) == []
    assert said(base, sensor) == []


SERIES = (
    "sensors:\n  v: {kind: synthetic, axes: [x, y], interval_s: 0.02}\npipelines:\n  p:\n"
    "    source: {kind: sensors, channels: [v/x, v/y], step_s: 0.02, window: 8}\n"
)


def test_a_model_over_time_must_fit_the_windows(base: Path) -> None:
    (base / "ok.tflite").write_bytes(lstm(8, 2, 3))
    (base / "long.tflite").write_bytes(lstm(9, 2, 3))
    (base / "abc.txt").write_text("a\nb\nc\n")
    (base / "ab.txt").write_text("a\nb\n")
    assert said(base, f"{SERIES}    model: {{file: ok.tflite, labels: abc.txt}}\n") == []
    assert said(base, f"{SERIES}    task: {{kind: anomaly}}\n") == []
    files, decides = "model: {file: %s.tflite, labels: %s.txt}", "\n    decision: {ignore: [%s]}"
    anomaly = "task: {kind: anomaly%s}"
    expected = {
        files % ("long", "abc"): "/edged.yaml:6:19: pipelines.p.model.file: /long.tflite: its input "
        "(1 x 9 x 2) is not what the source gives, [1, 8, 2] or [1, 16]: 8 steps of 2 channels",
        files % ("ok", "ab"): "/edged.yaml:6:38: pipelines.p.model.labels: /ab.txt: "
        "2 labels do not fit the 3 classes of the model",
        files % ("m", "abc"): "/edged.yaml:6:19: pipelines.p.model.file: /m.tflite: "
        "its input (1 x 224 x 224 x 3) is a picture or a spectrum",
        "model: {file: ok.tflite}": "no labels are packed in it: write labels, a text file with 3 lines",
        "model: {file: ok.tflite}\n    " + anomaly % ", limit: 1": "it is not an autoencoder for this source",
        anomaly % "" + decides % "anomalie": "/edged.yaml:7:25: pipelines.p.decision.ignore[0]: "
        "this task has no label 'anomalie' (did you mean 'anomaly'?)",
        files % ("ok", "abc") + decides % "d": "the model has no label 'd'",
    }
    for keys, sentence in expected.items():
        assert sentence in one(said(base, f"{SERIES}    {keys}\n"))


def test_labels_that_are_odd_get_a_warning(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(build(shape=(1, 8, 8, 3), axes=(1, 2)))
    (tmp_path / "l.txt").write_text("0 cars\n1 car\n2 cars\n")
    path = tmp_path / "edged.yaml"
    path.write_text(
        "pipelines:\n  porch:\n    source: {kind: synthetic}\n    model: {file: m.tflite, labels: l.txt}\n"
    )
    found = examine(path)
    assert found.problems == []
    (twins,) = (str(warning) for warning in found.warnings if "name" in warning.what)
    assert twins.startswith(f"{path}:4:")
    assert "pipelines.porch.model.labels: classes 0 and 2 have the same name, 'cars'" in twins


def test_an_installed_model_does_not_go_with_a_file(base: Path) -> None:
    assert "file does not go with name" in one(model(base, "name: net, file: m.tflite"))
    assert "name does not go with taught" in one(model(base, "name: net, taught: garage"))
    assert "model.name is 'a/b', but must be 1 to 64 letters" in one(model(base, "name: a/b"))
    assert model(base, f"name: {bundled.MODEL.stem}") == []
    assert "labels needs a model" in one(model(base, f"name: {bundled.MODEL.stem}, labels: m.txt"))
    (line,) = model(base, "name: net")
    assert line.startswith("/edged.yaml:4:19: pipelines.a.model.name: /state/models/installed/net/net.tflite")


def test_a_taught_model_is_checked_with_its_labels(base: Path) -> None:
    line = one(model(base, "taught: garage"))
    assert line.startswith("/edged.yaml:4:21: pipelines.a.model.taught: /state/models/taught/garage/head: ")
    assert line.endswith("(edged teach garage --label LABEL --images DIR)")
    (base / "text.yaml").write_text(
        "pipelines:\n  chat:\n    source: {kind: lines, path: chat.log}\n    model: {taught: chat}\n"
        "    task: {kind: text}\n"
    )
    (problem,) = examine(base / "text.yaml").problems
    assert problem.hint == "edged teach chat --label LABEL --text FILE"
    teach(base / "state", "garage", {"left": 2, "right": 12})
    assert model(base, "taught: garage") == []
    line = one(said(base, f"{PIPELINE}    model: {{taught: garage}}\n    decision: {{ignore: [lefft]}}\n"))
    assert "the model has no label 'lefft'" in line
    assert "file does not go with taught" in one(model(base, "taught: garage, file: m.tflite"))
    (base / "state/models/taught/garage/embedder.tflite").write_bytes(bundled.MODEL.read_bytes())
    assert "is it another model?" in one(model(base, "taught: garage"))


def test_a_taught_model_does_not_go_with_every_source_and_task(base: Path) -> None:
    teach(base / "state", "garage", {"left": 2, "right": 12})
    window = "{kind: sensors, channels: [v], step_s: 0.1, window: 8}"
    sensors = "sensors: {v: {kind: synthetic, interval_s: 0.1}}\n"
    text = f"{sensors}pipelines:\n  a:\n    source: {window}\n    model: {{taught: garage}}\n"
    assert "garage was taught with pictures, and the source gives windows" in said(base, text)[0]
    text += "    task: {kind: anomaly, limit: 1}\n"
    assert "task anomaly does not run a taught model" in said(base, text)[0]


def test_an_embedder_for_the_accelerator_must_give_as_many_features(base: Path, testdata: Path) -> None:
    teach(base / "state", "garage", {"left": 2, "right": 12})
    compiled = testdata / "models" / "mobilenet_v1_0.25_128_quant_edgetpu.tflite"
    lines = model(base, f"taught: garage, edgetpu_file: {compiled}", "    accelerator: {policy: prefer}\n")
    assert "gives 1001 features, and garage was taught with 16" in one(lines)


def _warned(tmp_path: Path, content: bytes, keys: str = "") -> list[str]:
    (tmp_path / "m.tflite").write_bytes(content)
    (tmp_path / "l.txt").write_text("dark\nmid\nbright\n")
    path = tmp_path / "edged.yaml"
    model_keys = f"{{file: m.tflite, labels: l.txt{keys}}}"
    path.write_text(f"{PIPELINE}    model: {model_keys}\n")
    found = examine(path)
    assert found.problems == []
    return [str(warning).removeprefix(f"{path}:") for warning in found.warnings]


def test_values_that_are_assumed_get_one_warning_with_the_key(tmp_path: Path) -> None:
    (assumed,) = _warned(tmp_path, probe_models.build(Probe()))
    assert assumed.startswith(
        "4:19: pipelines.a.model.file: m.tflite does not say which values its input wants"
    )
    assert "assumes -1..1" in assumed
    assert "write model.normalize" in assumed
    assert _warned(tmp_path, probe_models.build(Probe()), ", normalize: 0..1") == []
    assert _warned(tmp_path, probe_models.build(Probe(steps=[(probe_models.MUL, (1 / 255,))]))) == []


def test_values_without_effect_get_a_warning(tmp_path: Path) -> None:
    content = probe_models.build(Probe(given=Kind("int8", 1 / 255, -128)))
    (warning,) = _warned(tmp_path, content, ", normalize: imagenet")
    assert "m.tflite is quantised for 0..1, so model.normalize has no effect on it" in warning
    assert _warned(tmp_path, content, ", normalize: 0..1") == []


def test_values_without_effect_on_the_bundled_classifier_get_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "edged.yaml"
    path.write_text("pipelines: {a: {source: {kind: synthetic}, model: {normalize: imagenet}}}\n")
    (warning,) = examine(path).warnings
    assert "so model.normalize has no effect on it" in str(warning)
    path.write_text("pipelines: {a: {source: {kind: synthetic}}}\n")
    assert not examine(path).warnings


def test_an_output_that_is_not_there_is_named(base: Path) -> None:
    content = probe_models.build(Probe(outputs=("features", "scores")))
    (base / "two.tflite").write_bytes(content)
    (base / "l.txt").write_text("dark\nmid\nbright\n")
    line = one(model(base, "file: two.tflite, labels: l.txt, output: nosuch, normalize: 0..1"))
    assert "it has no output nosuch; its outputs are 0 (mean: 1 x 3) or 1 (scores: 1 x 3)" in line
    assert model(base, "file: two.tflite, labels: l.txt, output: scores, normalize: 0..1") == []


def detect(base: Path, task: str, rest: str = "") -> list[str]:
    detector_model.write(base)
    keys = f"    model: {{file: things.tflite, labels: things.txt}}\n    task: {{kind: detect, {task}}}\n"
    return said(base, f"{PIPELINE}{keys}{rest}")


def test_a_detector_is_checked_with_its_labels_and_zones(base: Path) -> None:
    triangle = "[[0, 0], [1, 0], [1, 1]]"
    assert detect(base, f"labels: [red, blue], zones: {{door: {triangle}}}, min_area: 0.01") == []
    assert one(detect(base, "labels: [red, bleu]")).endswith(
        "pipelines.a.task.labels[1]: the model has no label 'bleu' (did you mean 'blue'?)"
    )
    assert "a zone has at least 3 corners" in one(detect(base, "zones: {door: [[0, 0], [1, 1]]}"))
    assert "a.task.zones.door[1][0]" in one(detect(base, "zones: {door: [[0, 0], [1.5, 0], [1, 1]]}"))
    assert one(detect(base, "labels: [red]", "homeassistant: {labels: [blue, cow]}\n")).endswith(
        "homeassistant.labels[1]: no pipeline has a label 'cow'"
    )


def test_a_detector_and_a_classifier_are_told_apart(base: Path) -> None:
    detector_model.write(base)
    assert "write task: {kind: detect}" in one(model(base, "file: things.tflite, labels: things.txt"))
    assert "edged brings no detector: write model: {name: NAME}" in one(
        said(base, f"{PIPELINE}    task: {{kind: detect}}\n")
    )
    lines = model(base, "file: m.tflite, labels: m.txt", "    task: {kind: detect}\n")
    assert "it is not an object detector; edged runs detectors that end in" in one(lines)
    lines = model(base, "file: m.tflite, labels: m.txt", "    publish: {boxes: true}\n")
    assert "publish.boxes: task classify finds no boxes" in one(lines)


def test_the_example_that_counts_people_lacks_nothing_but_its_model(base: Path) -> None:
    detector_model.write(base)
    (base / "things.txt").write_text("person\ndog\ncat\n")
    text = (ROOT / "config" / "examples" / "person-counter.yaml").read_text("utf-8")
    assert "edged models add objects" in said(base, text)[0]
    assert said(base, text.replace("name: objects", "{file: things.tflite, labels: things.txt}")) == []


def test_several_labels_need_a_sigmoid_a_class(base: Path) -> None:
    task = "    task: {kind: classify, multi_label: true}\n"
    assert one(model(base, "file: m.tflite, labels: m.txt", task)).endswith(
        "m.tflite: its scores add up to 1 (a softmax), so one label is there at a time: omit multi_label"
    )
    for head, good in (("sigmoid", True), ("softmax", False)):
        (base / "x.tflite").write_bytes(
            build(picture=Kind("uint8", 1 / 255), scores=Kind("uint8", 1 / 256), head=head)
        )
        (base / "x.txt").write_text("\n".join("abcdefgh"))
        assert (model(base, "file: x.tflite, labels: x.txt", task) == []) is good
    lines = said(base, f"{PIPELINE}    task: {{kind: classify, multi_label: true, top_k: 10}}\n")
    assert "task.top_k: with multi_label, at most 9" in lines[0]


def test_a_closer_look_is_checked_with_its_model_and_its_labels(base: Path) -> None:
    assert detect(base, "labels: [red]", "    then: {labels: [red]}\n") == []
    then = "    then: {labels: [bleu], model: {file: none.tflite}}\n"
    lines = detect(base, "labels: [red]", then)
    assert "then.labels[0]: the model has no label 'bleu' (did you mean 'blue'?)" in lines[0]
    assert "pipelines.a.then.model: /none.tflite: there is no such file" in lines[1]
    then = "    then: {model: {file: things.tflite, labels: things.txt}}\n"
    assert "it is an object detector" in one(detect(base, "labels: [red]", then))
    lines = model(base, "file: m.tflite, labels: m.txt", "    then: {}\n")
    assert "then: task classify finds no objects" in one(lines)
    assert "task.top_k: with then, at most 6" in one(detect(base, "top_k: 7", "    then: {}\n"))
    then = "    then: {model: {file: m.tflite, labels: m.txt, edgetpu_file: x.tflite}}\n"
    assert "then.model.edgetpu_file: a closer look runs on the CPU" in one(detect(base, "top_k: 2", then))
