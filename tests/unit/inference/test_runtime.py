from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tflite_builder import build

from edged.errors import DriverError, ModelError
from edged.inference import runtime
from edged.models import runtimes

ROOT = Path(__file__).resolve().parents[3]


def test_auto_takes_litert() -> None:
    assert "litert" in runtimes.available()
    assert runtimes.choose("auto") == "litert"
    assert runtime.preload() == "litert"


def test_what_is_missing_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DriverError, match="there is no runtime onnx"):
        runtimes.choose("onnx")
    monkeypatch.setattr(runtimes, "available", dict)
    with pytest.raises(DriverError, match="pip install ai-edge-litert"):
        runtimes.choose("auto")
    with pytest.raises(DriverError, match="pip install tflite-runtime"):
        runtimes.choose("tflite-runtime")


def test_tflite_runtime_is_not_tried_with_numpy_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "available", lambda: {"tflite-runtime": "2.14.0"})
    monkeypatch.setattr("importlib.metadata.version", lambda _: "2.1.3")
    with pytest.raises(DriverError, match=r"tflite-runtime 2\.14\.0 does not work with numpy 2\.1\.3"):
        runtime.preload("auto")
    monkeypatch.setattr("importlib.metadata.version", lambda _: "1.26.4")
    assert runtimes.choose("auto") == "tflite-runtime"


@pytest.mark.parametrize("name", runtimes.available())
def test_runs(name: str) -> None:
    interpreter = runtime.open_interpreter(build(), runtime=name)
    index = interpreter.get_input_details()[0]["index"]
    picture = np.zeros((1, 8, 8, 3), np.float32)
    picture[:, :, 5] = 9
    interpreter.set_tensor(index, picture)
    interpreter.invoke()
    assert interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).argmax() == 5


@pytest.mark.parametrize("name", runtimes.available())
def test_a_refusal_is_one_sentence(name: str, testdata: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = (testdata / "models" / "unresolved_custom_op.tflite").read_bytes()
    with pytest.raises(ModelError) as caught:
        runtime.open_interpreter(content, runtime=name)
    assert str(caught.value) == (
        "the runtime refuses the model: Encountered unresolved custom op: fake-op-double"
    )
    assert "INFO" not in capfd.readouterr().err


@pytest.mark.parametrize("name", runtimes.available())
def test_information_is_kept_off_standard_error_and_nothing_else(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    runtime.open_interpreter(build(), runtime=name)
    assert capfd.readouterr().err == ""
    with runtime._without_information():
        os.write(2, b"INFO: chatter\nERROR: trouble\n")
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "ERROR: trouble\nlater\n"


@pytest.mark.parametrize("name", runtimes.available())
def test_preload_starts_no_thread(name: str) -> None:
    """A fork server must have one thread; a forked child would lack the others."""
    program = (
        "import os\n"
        "from edged.inference import runtime\n"
        f"print(runtime.preload({name!r}), len(os.listdir('/proc/self/task')))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        timeout=60,
    )
    assert answer.stdout.split() == [name, "1"]
