"""``edged bench`` with real processes and runtimes, as a user calls it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import delegates
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from commandline import EDGED, call, on_terminal, python_path
from crew import alive
from tflite_builder import Kind, Packed, build

COLOURS = ("red", "green", "blue")
FAST = ("--seconds", "0.1", "--threads", "1")
HAS_MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None
needs_matplotlib = pytest.mark.skipif(not HAS_MATPLOTLIB, reason="matplotlib comes with the extra 'plot'")


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A model that names the strongest colour."""
    path = tmp_path / "colours.tflite"
    path.write_bytes(build(axes=(1, 2), packed=Packed("\n".join(COLOURS), (127.5,), (127.5,))))
    return str(path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Twelve plain pictures in folders; of each colour one lies in the folder of the next."""
    for n, colour in enumerate(COLOURS):
        folder = tmp_path / "images" / colour.upper()
        folder.mkdir(parents=True)
        for number in range(4):
            right = n if number else (n + 1) % 3
            picture = np.full((20, 30, 3), 40 + number, np.uint8)
            picture[:, :, 2 - right] = 200  # OpenCV has blue first
            assert cv2.imwrite(str(folder / f"{number}.png"), picture)
    return tmp_path / "images"


def results(done: subprocess.CompletedProcess[str], code: int = 0) -> list[dict[str, Any]]:
    assert done.returncode == code, done.stderr
    report = json.loads(done.stdout)
    assert report.keys() == {"machine", "results"}
    found: list[dict[str, Any]] = report["results"]
    return found


def bench(*argv: str, code: int = 0) -> list[dict[str, Any]]:
    return results(call("bench", *argv, *FAST, "--json", "-"), code)


def test_accuracy_is_the_share_of_right_answers(model: str, images: Path) -> None:
    done = call("bench", model, "--images", str(images), *FAST, "--json", "-")
    [result] = results(done)
    assert done.stderr == ""
    assert (result["top1"], result["top5"], result["images"], result["unreadable"]) == (0.75, 1.0, 12, 0)
    assert (result["model"], result["threads"], result["accelerator"]) == (model, 1, "cpu")
    assert 0 < result["latency_ms"]["p50"] <= result["latency_ms"]["p95"]
    assert 0 < result["prepare_ms"]["p50"] <= result["prepare_ms"]["p95"]
    assert result["count"] >= 30
    assert result["size_bytes"] == Path(model).stat().st_size
    assert 20 < result["rss_mb"] < 400
    assert result["isolation"]  # what has the pictures is cut off here


def test_thresholds_and_the_best_within_a_budget(model: str, images: Path) -> None:
    words = ("--images", str(images), *FAST, "--thresholds", "--json", "-")
    done = call("bench", model, *words, "--budget-ms", "1000")
    report = json.loads(done.stdout)
    (result,) = report["results"]
    assert sum(row["n"] for row in result["labels"].values()) == 12
    assert sum(row["right"] for row in result["labels"].values()) == 9
    assert all(row["right"] + row["wrong"] + row["unknown"] == 12 for row in result["thresholds"])
    assert sum(result["decided"].values()) == 12
    assert result["top1_interval"] == [0.4677, 0.9111]
    assert report["best"]["model"] == model
    assert call("bench", model, *words, "--budget-ms", "0.0001").returncode == 1
    shutil.copytree(next(path for path in images.iterdir() if path.is_dir()), images / "unknown")
    (result,) = json.loads(call("bench", model, *words).stdout)["results"]
    assert (result["images"], result["top1"]) == (12, 0.75)
    assert result["labels"]["unknown"]["right"] is None


def test_without_photographs_of_its_own_there_is_no_accuracy(model: str) -> None:
    one, two = results(call("bench", model, "--seconds", "0.1", "--threads", "1,2", "--json", "-"))
    assert (one["threads"], two["threads"]) == (1, 2)
    assert one["top1"] is None
    assert one["latency_ms"]["p50"] > 0


@pytest.mark.realmodels
@pytest.mark.parametrize(
    "name", ["mobilenet_v2_1.0_224_quant", "mobilenet_v1_0.5_160_quant", "mobilenet_v1_0.25_128_quant"]
)
def test_the_accuracy_of_real_models_is_that_of_a_plain_loop(
    testdata: Path, tmp_path: Path, name: str
) -> None:
    """Pictures come in the model's own size, so that a loop of four lines says what is right."""
    file, labels = testdata / f"models/{name}.tflite", testdata / "labels/imagenet_labels.txt"
    interpreter = Interpreter(str(file), num_threads=1)
    interpreter.allocate_tensors()
    given, asked = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    names = labels.read_text().splitlines()
    side = int(given["shape"][1])
    random = np.random.default_rng(5)
    first = among = count = 0
    for answer, photographs in {
        "Egyptian cat": ("cat.bmp", "cat_1080p.jpg"), "macaw": ("parrot.jpg",),
        "military uniform": ("grace_hopper.bmp",), "hotdog": ("hot_dog.jpg",), "daisy": ("sunflower.bmp",),
    }.items():  # fmt: skip
        (tmp_path / "images" / answer).mkdir(parents=True)
        for photograph in photographs:
            whole = cv2.imread(str(testdata / "images" / photograph))
            for _ in range(5):
                height, width = (int(random.uniform(0.4, 1) * size) for size in whole.shape[:2])
                y, x = (int(random.integers(0, s - p + 1)) for s, p in zip(whole.shape, (height, width)))  # noqa: B905 - a picture has a third side
                crop = cv2.resize(whole[y : y + height, x : x + width], (side, side))
                count += 1
                cv2.imwrite(str(tmp_path / "images" / answer / f"{count}.png"), crop)
                interpreter.set_tensor(given["index"], cv2.cvtColor(crop, cv2.COLOR_BGR2RGB)[None])
                interpreter.invoke()
                best = np.argsort(-interpreter.get_tensor(asked["index"])[0].astype(int), kind="stable")[:5]
                right = [answer in names[n].split(", ") for n in best]
                first += right[0]
                among += any(right)
    argv = (str(file), "--labels", str(labels), "--images", str(tmp_path / "images"))
    [result] = bench(*argv, "--runtime", "litert")
    assert (result["images"], result["top1"], result["top5"]) == (
        count,
        round(first / count, 4),
        round(among / count, 4),
    )
    assert 0 < first < count or name == "mobilenet_v2_1.0_224_quant"
    assert result["classes"] == 1001
    assert result["model_mb"] > 0


def test_without_a_model_the_bundled_classifier_is_measured() -> None:
    [result] = bench()
    assert (Path(result["model"]).stem, result["error"]) == ("efficientnet_lite0_uint8", None)


def test_what_cannot_be_decoded_is_named_and_counted(model: str, images: Path) -> None:
    whole = (images / "RED" / "1.png").read_bytes()
    (images / "RED" / "half.png").write_bytes(whole[: len(whole) // 2])
    (images / "BLUE" / "text.jpg").write_text("no picture")
    done = call("bench", model, "--images", str(images), *FAST, "--json", "-")
    [result] = results(done)
    assert (result["images"], result["unreadable"], result["top1"]) == (12, 2, 0.75)
    assert sorted(done.stderr.splitlines()) == [
        f"edged: {images}/BLUE/text.jpg is left out: it is not a whole picture",
        f"edged: {images}/RED/half.png is left out: it is not a whole picture",
    ]


def test_where_nothing_can_be_decoded_that_is_the_error(model: str, tmp_path: Path) -> None:
    (tmp_path / "images" / "red").mkdir(parents=True)
    (tmp_path / "images" / "red" / "a.jpg").write_text("no picture")
    [result] = bench(model, "--images", str(tmp_path / "images"), code=1)
    assert "none of the 1 files can be read; the first is" in result["error"]


def test_a_broken_model_is_a_result_with_an_error_and_the_others_go_on(model: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(Path(model).read_bytes()[:400])
    done = call("bench", str(broken), model, *FAST, "--json", "-")
    bad, good = results(done, 1)
    assert "truncated or damaged" in bad["error"]
    assert (bad["latency_ms"], bad["top1"], bad["size_bytes"]) == ({"p50": None, "p95": None}, None, 400)
    assert good["error"] is None
    assert done.stderr == f"edged: {bad['error']}\n"


@pytest.mark.realmodels
def test_a_model_that_its_runtime_refuses_is_a_result_with_an_error(testdata: Path) -> None:
    [result] = bench(str(testdata / "models/unresolved_custom_op.tflite"), code=1)
    assert "custom operator" in result["error"]


def test_every_kind_of_tensor_is_measured(tmp_path: Path, images: Path) -> None:
    kinds = [Kind(), Kind("uint8", 1 / 255), Kind("int8", 1 / 128)]
    files = []
    for kind in kinds:
        scores = Kind(kind.dtype, 1 / 256, -128 if kind.dtype == "int8" else 0) if kind.scale else Kind()
        path = tmp_path / f"{kind.dtype}.tflite"
        path.write_bytes(build(axes=(1, 2), picture=kind, scores=scores, gain=9))
        files.append(str(path))
    (tmp_path / "labels.txt").write_text("\n".join(COLOURS))
    found = bench(*files, "--labels", str(tmp_path / "labels.txt"), "--images", str(images))
    assert [result["top1"] for result in found] == [0.75] * 3


@pytest.mark.parametrize(
    ("argv", "code", "sentence"),
    [
        (("MODEL", "--threads", "0"), 64, "write numbers from 1 to 64, such as 1,2"),
        (("MODEL", "--threads", "1,,2"), 64, "write numbers from 1 to 64"),
        (("MODEL", "--seconds", "nan"), 64, "write a number above 0"),
        (("MODEL", "--runtime", "onnx"), 64, "invalid choice"),
        (("MODEL", "--plot", "out.pdf"), 64, "write a name that ends in .png or .svg"),
        (("none.tflite", "MODEL"), 66, "there is no none.tflite"),
        (("MODEL", "--labels", "none.txt"), 66, "there is no none.txt"),
        (("MODEL", "--images", "none"), 66, "none: no such file or directory (--images)"),
        (("MODEL", "--json", "none/out.json"), 73, "none/out.json cannot be written: no such file"),
        (("MODEL", "--json", "/proc/out.json"), 73, "/proc/out.json cannot be written"),
        (("MODEL", "--plot", "none/out.png"), 73, "none/out.png cannot be written: no such file"),
        (("MODEL", "--labels", "/dev/null"), 69, "this is a device or pipe, not a file"),
    ],
)
def test_it_says_in_one_sentence_why_it_cannot(
    model: str, argv: tuple[str, ...], code: int, sentence: str
) -> None:
    done = call("bench", *(model if word == "MODEL" else word for word in argv))
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr.splitlines()[-1]


def test_a_folder_with_no_label_s_name_is_refused_with_what_may_be_meant(model: str, images: Path) -> None:
    (images / "RED").rename(images / "reed")
    done = call("bench", model, "--images", str(images))
    assert (done.returncode, done.stdout) == (64, "")
    assert "'reed' (did you mean 'red'?) is not among the labels of" in done.stderr


def test_without_matplotlib_the_extra_is_named_before_anything_is_measured(
    model: str, tmp_path: Path
) -> None:
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "matplotlib.py").write_text("raise ImportError('no matplotlib here')\n")
    argv = ("bench", model, "--json", str(tmp_path / "out.json"), "--plot", str(tmp_path / "out.png"))
    done = call(*argv, PYTHONPATH=python_path(tmp_path / "blocked"))
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr == "edged: --plot needs matplotlib (no matplotlib here): pip install 'edged[plot]'\n"
    assert not list(tmp_path.glob("out.*"))


@needs_matplotlib
def test_it_draws_what_it_measured(model: str, images: Path, tmp_path: Path) -> None:
    for name, start in (("out.png", b"\x89PNG"), ("out.SVG", b"<?xml")):
        file = tmp_path / name
        file.write_text("old")
        done = call("bench", model, "--images", str(images), *FAST, "--plot", str(file))
        assert (done.returncode, done.stderr) == (0, "")
        assert file.read_bytes().startswith(start)
    assert ">colours<" in (tmp_path / "out.SVG").read_text()


@needs_matplotlib
def test_a_name_that_is_no_text_is_shown_somehow(model: str, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/\xff.tflite"
    Path(os.fsdecode(odd)).write_bytes(Path(model).read_bytes())
    json_file, plot = str(tmp_path / "out.json"), str(tmp_path / "out.svg")
    done = call("bench", os.fsdecode(odd), *FAST, "--json", json_file, "--plot", plot)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].split()[0] == "?"
    [result] = json.loads(Path(json_file).read_text())["results"]
    assert os.fsencode(result["model"]) == odd


@needs_matplotlib
def test_where_nothing_was_measured_nothing_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "broken.tflite").write_text("no model")
    file = tmp_path / "out.png"
    done = call("bench", str(tmp_path / "broken.tflite"), *FAST, "--plot", str(file))
    assert done.returncode == 69
    assert f"{file} was not drawn: nothing was measured" in done.stderr
    assert not file.exists()


def test_a_pipe_gets_a_plain_table_the_fastest_first(model: str, tmp_path: Path) -> None:
    slow, broken = tmp_path / "slow.tflite", tmp_path / "[red]broken.tflite"
    slow.write_bytes(build(shape=(1, 2048, 2048, 3), axes=(1, 2)))
    broken.write_text("no model")
    done = call("bench", str(slow), str(broken), model, *FAST, "--json", str(tmp_path / "out.json"))
    assert done.returncode == 1
    _machine, header, *rows = done.stdout.splitlines()
    assert header.split()[:5] == ["model", "runtime", "threads", "p50", "p95"]
    assert [row.split()[0] for row in rows] == ["colours", "slow", "[red]broken"]
    assert rows[2].split()[-1] == "failed"
    assert "\x1b" not in done.stdout
    assert len(json.loads((tmp_path / "out.json").read_text())["results"]) == 3


def test_a_terminal_gets_progress_and_then_the_table(model: str) -> None:
    status, shown = on_terminal("bench", model, *FAST)
    assert status == 0
    for words in ("colours.tflite on", "round 3 of 3", "%", "prepare"):
        assert words in shown
    assert "\x1b[?25h" in shown  # the cursor is there again


def test_main_never_imports_what_holds_pixels(model: str, images: Path) -> None:
    program = (
        "import sys, edged.cli.main\n"
        f"argv = ['bench', {model!r}, '--images', {str(images)!r}, '--seconds', '0.1', '--json', '-']\n"
        "edged.cli.main.main(argv)\n"
        "heavy = ('numpy', 'cv2', 'ai_edge_litert', 'tflite_runtime', 'matplotlib', 'paho')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_ctrl_c_is_130_and_leaves_nobody_behind(tmp_path: Path) -> None:
    slow = tmp_path / "slow.tflite"
    known = Packed(mean=(127.5,), std=(127.5,))
    slow.write_bytes(build(shape=(1, 512, 512, 3), axes=(1, 2), packed=known))
    command = ["env", "--default-signal=INT", *EDGED, "bench", str(slow), "--seconds", "3000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (found := children.read_text().split()):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, errors) == (130, b"", b"")
    deadline = time.monotonic() + 20  # one that was just being started finds out by itself
    while any(alive(int(child)) for child in found):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def bench_on_tpu(testdata: Path, folder: Path, cue: str, code: int) -> list[dict[str, Any]]:
    """With a stand-in for the library, which works or fails as it is told; a model for it, and its twin."""
    if missing := delegates.missing_tools():
        pytest.skip(missing)
    delegates.prepare(folder / "libedgetpu.so.1", cue)
    models = ("mobilenet_v1_0.25_128_quant_edgetpu", "mobilenet_v1_0.25_128_quant")
    files = (str(testdata / "models" / f"{name}.tflite") for name in models)
    argv = ("bench", *files, *FAST, "--runtime", "litert", "--json", "-")
    return results(call(*argv, LD_LIBRARY_PATH=str(folder)), code)


@pytest.mark.realmodels
def test_a_compiled_model_runs_on_the_edge_tpu(testdata: Path, tmp_path: Path) -> None:
    on_tpu, on_cpu = bench_on_tpu(testdata, tmp_path, "", 0)
    assert (on_tpu["accelerator"], on_cpu["accelerator"]) == ("edgetpu", "cpu")
    assert on_tpu["latency_ms"]["p50"] > 0


@pytest.mark.realmodels
@pytest.mark.parametrize(
    ("cue", "sentence"),
    [
        ("absent", "the Edge TPU runtime libedgetpu.so.1 cannot be loaded"),
        ("fail open", "there is no Edge TPU at 'usb'"),
        ("fail invoke", "the runtime failed"),
        ("segfault invoke", "its process was ended by SIGSEGV"),
        ("abort open", "its process was ended by SIGABRT"),
    ],
)
def test_what_goes_wrong_with_the_edge_tpu_is_an_error_and_the_cpu_goes_on(
    testdata: Path, tmp_path: Path, cue: str, sentence: str
) -> None:
    on_tpu, on_cpu = bench_on_tpu(testdata, tmp_path, cue, 1)
    assert "it is compiled for the Edge TPU: " in on_tpu["error"]
    assert sentence in on_tpu["error"]
    assert on_cpu["error"] is None
