from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edged.config.loader import loads

if TYPE_CHECKING:
    from pathlib import Path

    from edged.config.root import Config


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    (folder / "models").mkdir(parents=True)
    monkeypatch.setenv("STATE_DIRECTORY", str(folder))
    return folder


def read(base: Path, source: str = "kind: folder, path: photos", model: str = "", rest: str = "") -> Config:
    text = f"pipelines:\n  a:\n    source: {{{source}}}\n    model: {{{model}}}\n{rest}"
    return loads(text, "f", base)


def test_relative_paths_start_beside_the_file(tmp_path: Path) -> None:
    tls = "{ca_file: ca.pem, cert_file: c/c.pem, key_file: /k.pem}"
    mqtt = f"mqtt: {{host: b, username: u, password_file: p, tls: {tls}}}\n"
    rest = f"{mqtt}jsonl: {{path: e.jsonl}}\nrun_dir: run\n"
    config = read(tmp_path, rest=rest)
    assert config.mqtt is not None
    assert config.mqtt.tls is not None
    assert config.jsonl is not None
    assert config.mqtt.password_file == tmp_path / "p"
    assert config.mqtt.tls.ca_file == tmp_path / "ca.pem"
    assert config.mqtt.tls.cert_file == tmp_path / "c/c.pem"
    assert str(config.mqtt.tls.key_file) == "/k.pem"
    assert config.jsonl.path == str(tmp_path / "e.jsonl")
    assert config.run_dir == tmp_path / "run"
    assert config.pipelines["a"].source.model_dump()["path"] == tmp_path / "photos"


def test_standard_output_is_not_a_path(tmp_path: Path) -> None:
    config = read(tmp_path, rest="jsonl: {}\n")
    assert config.jsonl is not None
    assert config.jsonl.path == "-"


@pytest.mark.parametrize(
    ("url", "absolute"), [("v.mp4", True), ("rtsp://h/1", False), ("file:///v.mp4", False), ("/v.mp4", False)]
)
def test_the_address_of_a_video_may_be_a_path(tmp_path: Path, url: str, absolute: bool) -> None:
    source = read(tmp_path, f"kind: video, url: '{url}'").pipelines["a"].source
    assert source.model_dump()["url"] == (str(tmp_path / url) if absolute else url)


def test_a_model_is_taken_from_beside_the_file_first(tmp_path: Path, state: Path) -> None:
    (state / "models" / "m.tflite").touch()
    assert read(tmp_path, model="file: m.tflite").pipelines["a"].model.file == state / "models" / "m.tflite"
    (tmp_path / "m.tflite").touch()
    assert read(tmp_path, model="file: m.tflite").pipelines["a"].model.file == tmp_path / "m.tflite"
    assert read(tmp_path, model="file: none").pipelines["a"].model.file == tmp_path / "none"
    assert read(tmp_path, model=f"file: {'x' * 300}").pipelines["a"].model.file == tmp_path / ("x" * 300)


def test_a_secret_comes_from_systemds_credentials_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    rest = "mqtt: {host: b, username: u, password_file: p, tls: {cert_file: c, key_file: k}}\n"

    def files() -> tuple[Path | None, ...]:
        mqtt = read(tmp_path, rest=rest).mqtt
        assert mqtt is not None
        assert mqtt.tls is not None
        return mqtt.password_file, mqtt.tls.key_file, mqtt.tls.cert_file

    assert files() == (tmp_path / "p", tmp_path / "k", tmp_path / "c")
    for name in ("p", "k", "c"):
        (credentials / name).touch()
    assert files() == (credentials / "p", credentials / "k", tmp_path / "c")
