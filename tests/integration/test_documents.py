"""The examples in the documents: commands run, configurations pass the check, messages fit their schema.

A comment right above a block, ``<!-- test: WORD … -->``, says what is special about it:

* ``skip REASON``: it cannot run here; the reason says why.
* ``elsewhere FILE: REASON``: another test runs it, which is in that file.
* ``setup COMMAND``: run this first.
* ``background``, ``background "text" or "other"``: start it, wait for one of the texts, interrupt it at
  the end of the page.
* ``exit 0 or 1``: the exit statuses that are good.
* ``file NAME``: write this configuration there, for the commands that follow.
* ``ansible``: variables of the roles, no configuration of edged.
* ``schema NAME``: a message that fits ``edged/schema/NAME.schema.json``.
* ``names``: an excerpt of what the command before it prints; each line begins as one of the real lines does.
"""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Self

import build_sound
import detector_model
import jsonschema
import pytest
import yaml
from broker import Broker, certificates
from daemon import wait_for
from taught_models import teach, teach_text
from unit.docs.documents import PAGES, ROOT, Block, all_blocks, blocks, commands, named

from edged.models import bundled
from edged.models.installed import About, Store, digest
from edged.tools.check import check

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PHOTOS = ROOT / "edged" / "photos"
BUNDLED = ROOT / "edged" / "models"
MODEL, TWIN = "mobilenet_v1_0.25_128_quant.tflite", "mobilenet_v1_0.25_128_quant_edgetpu.tflite"
PATIENCE_S = 60
_NAME = re.compile(r"^[✓✗!·+x-] ([\w-]+)", re.MULTILINE)  # a check in the report of edged doctor
NOT_RUN = ("skip", "elsewhere")


def bring_files(folder: Path, testdata: Path) -> None:
    """Put the files into a folder that the examples name."""
    real = testdata.is_dir()
    model = testdata / "models" / MODEL if real else BUNDLED / "efficientnet_lite0_uint8.tflite"
    shutil.copy(model, folder / "mobilenet_v2.tflite")
    labels = testdata / "labels" / "imagenet_labels.txt" if real else BUNDLED / "efficientnet_lite0_uint8.txt"
    lines = labels.read_text("utf-8").splitlines()
    (folder / "imagenet.txt").write_text("\n".join(["background", *lines[1:], ""]), "utf-8")
    if real:
        shutil.copy(testdata / "models" / TWIN, folder / "mobilenet_v2_edgetpu.tflite")
    (folder / "ssd_mobilenet_v1.tflite").write_bytes(detector_model.detector())
    (folder / "coco_labels.txt").write_text("person\ndog\nbird\n")
    (folder / "mqtt-password").write_text("secret\n")
    (folder / "mqtt-password").chmod(0o600)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker")) as running:
        yield running


class Shell:
    """A terminal in a folder of its own, with ``edged`` on its PATH and broker.lan on this machine."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self.printed = ""  # by the last command
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        (folder / "bin").mkdir()
        program = folder / "bin" / "edged"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m edged "$@"\n')
        program.chmod(0o755)
        self._environment = os.environ | {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "STATE_DIRECTORY": str(folder / "state"),
            "RUNTIME_DIRECTORY": str(folder / "run"),
        }
        (folder / "run").mkdir()

    def run(self, command: str, *, good: tuple[int, ...] = (0,)) -> None:
        done = subprocess.run(
            ["bash", "-c", self._here(command)],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode in good, f"$ {command}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        self.printed = done.stdout

    def start(self, command: str, texts: list[str]) -> None:
        """Start a command that goes on until Ctrl-C, and wait for one of these texts."""
        output = self._folder / f"output-{len(self._running)}"
        with output.open("wb") as file:
            process = subprocess.Popen(
                ["env", "--default-signal=INT", "bash", "-c", f"exec {self._here(command)}"],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self._running.append((command, process))
        if texts:
            wait_for(
                lambda: process.poll() is not None or any(text in output.read_text() for text in texts),
                command,
                PATIENCE_S,
            )
        assert process.poll() is None, f"$ {command}\n{output.read_text()}"

    def finish(self) -> None:
        """Interrupt what still runs: it must not have ended by itself, and must end in order."""
        for command, process in self._running:
            assert process.poll() is None, f"ended by itself: $ {command}"
            process.send_signal(signal.SIGINT)
            assert process.wait(20) in {0, 130}, command

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for _command, process in self._running:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()

    def _here(self, command: str) -> str:
        command = command.replace("-h broker.lan", f"-h 127.0.0.1 -p {self._port}")
        return command.replace("broker.lan", f"127.0.0.1:{self._port}").replace("PHOTOS", str(PHOTOS))


def run_block(shell: Shell, block: Block) -> None:
    """Run the commands of a console block as its marker says."""
    if block.word == "setup":
        shell.run(block.rest)
    good = tuple(map(int, re.findall(r"\d+", block.rest))) if block.word == "exit" else (0,)
    for command in commands(block):
        if block.word == "background":
            shell.start(command, re.findall(r'"([^"]+)"', block.rest))
        else:
            shell.run(command, good=good)


@pytest.mark.mosquitto
@pytest.mark.parametrize(
    "page", [page for page in PAGES if "```console" in page.read_text("utf-8")], ids=named
)
def test_the_commands_of_a_page_run(page: Path, tmp_path: Path, broker: Broker) -> None:
    from conftest import TESTDATA

    bring_files(tmp_path, TESTDATA)
    with Shell(tmp_path, broker.port) as shell:
        for block in blocks(page):
            if block.word == "file":
                (tmp_path / block.rest).write_text(block.text, "utf-8")
            elif block.word == "names":
                assert set(_NAME.findall(block.text)) <= set(_NAME.findall(shell.printed)), shell.printed
            elif block.language == "console" and block.word not in NOT_RUN:
                run_block(shell, block)
        shell.finish()


@pytest.mark.parametrize(
    "block", [b for b in all_blocks("console") if b.word in NOT_RUN], ids=lambda b: b.name
)
def test_a_command_that_is_not_run_here_says_why(block: Block) -> None:
    assert len(block.rest.split()) >= 3, block.marker
    if block.word == "elsewhere":
        path, _, reason = block.rest.partition(": ")
        assert reason
        assert (ROOT / path).is_file(), path


@pytest.mark.parametrize("block", all_blocks("yaml"), ids=lambda b: b.name)
def test_a_configuration_passes_the_check(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from conftest import TESTDATA

    if block.word == "ansible":
        names = set(re.findall(r"^(?:# )?(edged_\w+):", block.text, re.MULTILINE))
        specs = [
            path.read_text("utf-8") for path in (ROOT / "deploy" / "roles").glob("*/meta/argument_specs.yml")
        ]
        assert names
        assert not [name for name in names if not any(f"{name}:" in spec for spec in specs)]
        return
    if "edgetpu_file" in block.text and not TESTDATA.is_dir():
        pytest.skip(f"no model that is compiled for an Edge TPU: {TESTDATA}")
    bring_files(tmp_path, TESTDATA)
    if "porch.pem" in block.text:
        certificates(tmp_path, "porch")
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    for name in re.findall(r"taught: ([a-z-]+)", block.text):
        if "kind: text" in block.text:
            teach_text(tmp_path / "state", name, {"greeting": ["hello"], "weather": ["rain"]})
        else:
            teach(tmp_path / "state", name, {"cup": 2, "tripod": 12})
    for name in re.findall(r"name: (mobilenet[\w.]+)", block.text):
        store = Store(tmp_path / "state")
        with store.writing(name) as folder:
            shutil.copy(bundled.MODEL, folder / f"{name}.tflite")
            shutil.copy(bundled.LABELS, folder / f"{name}.txt")
            about = About(bundled.MODEL_SHA256, digest(bundled.LABELS), "catalogue", 0.0, 1.0)
            store.put(folder, name, about)
    if "name: yamnet" in block.text:
        build_sound.install(tmp_path / "state")
    build_sound.write_keyword(tmp_path)
    path = tmp_path / "edged.yaml"
    path.write_text(block.text, "utf-8")
    assert list(map(str, check(path))) == []


@pytest.mark.parametrize("block", all_blocks("json"), ids=lambda b: b.name)
def test_a_message_fits_its_schema(block: Block) -> None:
    message = json.loads(block.text)
    if block.word == "schema":
        schema = json.loads((ROOT / "edged" / "schema" / f"{block.rest}.schema.json").read_text("utf-8"))
        jsonschema.Draft202012Validator(schema).validate(message)


@pytest.mark.parametrize("block", all_blocks("ini"), ids=lambda b: b.name)
def test_a_unit_drop_in_sets_what_the_unit_may_have(block: Block) -> None:
    file = configparser.ConfigParser(strict=False)
    file.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    file.read_string(block.text)
    units = "".join(path.read_text("utf-8") for path in (ROOT / "systemd").glob("*.service"))
    for key in file["Service"]:
        assert f"{key}=" in units, key


def test_every_block_has_a_language() -> None:
    assert [block.name for block in all_blocks("")] == []


def test_the_workflow_runs_the_two_commands() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    for command in ("deploy/quickstart", "tests/run"):
        assert any(command in step for step in steps)
        assert os.access(ROOT / command, os.X_OK)
