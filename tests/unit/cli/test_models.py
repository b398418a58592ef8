"""The words of ``edged models``: what goes together, what is printed, with which status."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from edged.cli.main import main
from unit.tools.models.test_installation import MODEL, SHA256, Board, board

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["board"]  # the fixture


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board: Board) -> Path:
    """A model, and a state directory without one; the self-test takes 2 ms."""
    del board
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    path = tmp_path / "net.tflite"
    path.write_bytes(MODEL)
    return path


def test_a_model_comes_and_goes(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "add", str(file), "--sha256", SHA256.upper()]) == 0
    printed = "net: version 1, 2.00 ms on this board\na pipeline uses it with model: {name: net}\n"
    assert capsys.readouterr().out == printed
    assert main(["models", "add", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["version"], told["changed"]) == (1, False)
    assert main(["models", "verify"]) == main(["models", "verify", "net"]) == 0
    assert capsys.readouterr().out == "net: ok\nnet: ok\n"
    assert main(["models", "info", "net"]) == 0
    assert f" {SHA256}\n" in capsys.readouterr().out
    assert main(["models", "remove", "net"]) == 0
    assert main(["models", "verify"]) == 0
    assert "no model is installed" in capsys.readouterr().out


def test_damage_is_found(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "add", str(file)]) == 0
    (tmp_path / "state/models/installed/net/0001/net.tflite").write_bytes(MODEL + b"x")
    assert main(["models", "verify"]) == 1
    assert f"{SHA256} was installed; edged models rollback net" in capsys.readouterr().err
    assert main(["models", "verify", "--json"]) == 1
    assert "its SHA-256 is" in json.loads(capsys.readouterr().out)["net"]
    assert main(["models", "add", str(file)]) == 0  # mends it
    assert main(["models", "verify"]) == 0


def test_a_model_in_use_is_not_removed(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "edged.yaml"
    config.write_text("state_dir: own\npipelines: {porch: {source: {kind: synthetic}, model: {name: net}}}\n")
    assert main(["check", "-c", str(config)]) == os.EX_CONFIG
    said = capsys.readouterr().out
    assert f"{config}:2:" in said
    assert "pipelines.porch.model.name: " in said
    assert "(edged models add net)" in said
    assert main(["models", "add", str(file), "-c", str(config)]) == 0
    assert "porch will use it after: sudo systemctl reload edged" in capsys.readouterr().out
    assert main(["check", "-c", str(config)]) == 0
    assert main(["models", "remove", "net", "-c", str(config)]) == os.EX_DATAERR
    assert "net is used by porch" in capsys.readouterr().err


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("add", os.EX_USAGE, "edged models add needs a name"),
        ("update net", os.EX_USAGE, "edged models update takes no name"),
        ("list net", os.EX_USAGE, "write edged models info net"),
        ("verify --sha256 " + "0" * 64, os.EX_USAGE, "--sha256 is an option of add"),
        ("remove net", os.EX_NOINPUT, "net is not installed"),
        ("verify net", os.EX_NOINPUT, "net is not installed"),
        ("rollback net", os.EX_NOINPUT, "net: it is not installed"),
        ("add smartreply", os.EX_DATAERR, "smartreply: it cannot be had"),
        (
            "add deeplabv3_mnv2_dm05_pascal_quant",
            os.EX_DATAERR,
            "no pipeline of edged runs models for segment",
        ),
        ("add inception_v3_299_quant", os.EX_NOPERM, "--trust-first-use"),
        ("list -c /nowhere.yaml", os.EX_CONFIG, "there is no such file"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    capsys: pytest.CaptureFixture[str], words: str, status: int, said: str
) -> None:
    assert main(["models", *words.split()]) == status
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize("words", ["add x --sha256 12", "add x --budget-ms 0", "add x --budget-ms fast"])
def test_options_have_a_form(capsys: pytest.CaptureFixture[str], words: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["models", *words.split()])
    assert caught.value.code == os.EX_USAGE
    assert "write " in capsys.readouterr().err


def test_signed_catalogues_are_those_of_the_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "edged.yaml"
    config.write_text("state_dir: state\n")
    assert main(["models", "update", "-c", str(config)]) == 0
    assert "the configuration names no catalogues" in capsys.readouterr().out
    config.write_text("catalogues: {own: {url: 'http://127.0.0.1:9/list.json', key: short}}\n")
    assert main(["models", "list", "-c", str(config)]) == os.EX_CONFIG
    assert "but must be a public key for Ed25519 in base64, 44 characters" in capsys.readouterr().err


@pytest.mark.usefixtures("file")
def test_the_list_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    printed = capsys.readouterr().out
    assert "mobilenet_v2_1.0_224_quant" in printed
    assert "(segment)" in printed
    assert main(["models", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"name", "task", "runs", "state", "sha256", "licence"} <= set(rows[5])
