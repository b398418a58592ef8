from __future__ import annotations

import logging
import os
import pickle
from typing import TYPE_CHECKING

import pytest

from edged.config.loader import loads
from edged.config.secrets import Secret, exposed_passwords, is_secret_key, read_secret
from edged.errors import ConfigError
from edged.system.addresses import redact

if TYPE_CHECKING:
    from pathlib import Path


def stored(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_secret(path)
    assert "hunter2" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("data", [b"hunter2", b"hunter2\n", b"hunter2\r\n"])
def test_one_newline_at_the_end_is_removed(tmp_path: Path, data: bytes) -> None:
    assert read_secret(stored(tmp_path / "p", data)).reveal() == "hunter2"


def test_blanks_belong_to_the_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = stored(tmp_path / "p", " hünter 2 \n\n".encode())
    assert read_secret(path).reveal() == " hünter 2 "
    assert "begins or ends with a blank" in caplog.text


def test_the_mark_of_an_editor_is_not_part_of_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = stored(tmp_path / "p", b"\xef\xbb\xbfhunter2\r\n")
    assert read_secret(path).reveal() == "hunter2"
    assert not caplog.text


def test_further_lines_are_not_part_of_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = stored(tmp_path / "p", b"hunter2\nporch-pi\n")
    assert read_secret(path, warn=False).reveal() == "hunter2"
    assert not caplog.text
    assert read_secret(path).reveal() == "hunter2"
    assert "only the first line is used" in caplog.text
    assert "hunter2" not in caplog.text


def test_only_reveal_returns_the_secret() -> None:
    secret = Secret("hunter2")
    shown = f"{secret} {secret!r} {secret!s} {secret:>9} %s {[secret]}" % secret
    assert "hunter2" not in shown
    assert "***" in shown
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(secret)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\nhunter2\n", "the first line is empty"),
        ("hunter2".encode("utf-16"), "UTF-16 text; save it as UTF-8"),
        (b"hunter2" * 600, "longer than 4096"),
        (b"hunter2\xff", "not UTF-8"),
    ],
)
def test_an_invalid_secret_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    assert said in refusal(stored(tmp_path / "p", data))


def test_a_path_that_is_not_a_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert "no such file" in refusal(tmp_path / "none")
    assert "not a file" in refusal(tmp_path / "fifo")
    assert "not a file" in refusal(tmp_path)


def test_a_world_readable_secret_causes_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        read_secret(stored(tmp_path / "p", b"hunter2"))
        assert not caplog.text
        read_secret(stored(tmp_path / "p", b"hunter2", 0o644))
    assert "chmod 600" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://u:p@h:554/1", "rtsp://h:554"),
        ("rtsp://u:p@ss/w@h.lan/1", "rtsp://h.lan"),
        ("rtsp://u:p@ss/w@h/1", "rtsp://…"),
        ("http://token@h", "http://h"),
        ("rtsp://h/1", "rtsp://h"),
        ("see https://github.com/a/b", "see https://github.com/a/b"),
        ("a@b", "a@b"),
    ],
)
def test_addresses_lose_their_credentials(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_secret_keys_are_recognised() -> None:
    assert all(
        map(is_secret_key, ("password", "Passwd", "mqtt_password", "api-key", "apikey", "token", "secret"))
    )
    assert not any(map(is_secret_key, ("host", "keepalive_s", "compass", "pinned", "bypass_s")))


def test_no_repr_of_a_configuration_holds_a_secret(tmp_path: Path) -> None:
    stored(tmp_path / "p", b"hunter2")
    text = (
        "mqtt: {host: b, username: u, password_file: p}\n"
        "pipelines: {a: {source: {kind: video, url: 'rtsp://u:hunter2@h/1'}}}\n"
    )
    assert "hunter2" not in repr(loads(text, "f", tmp_path))


@pytest.mark.parametrize(
    ("line", "mode", "exposed"),
    [
        ("url: rtsp://cam:S3cret@10.0.0.9/1", 0o644, True),
        ("url: rtsp://cam:S3cret@10.0.0.9/1", 0o640, False),
        ("url: rtsp://cam@10.0.0.9/1", 0o644, False),
        ("url: rtsp://10.0.0.9:554/1  # not cam:S3cret@", 0o644, False),
    ],
)
def test_a_password_in_an_address_is_reported_where_everyone_reads_it(
    tmp_path: Path, line: str, mode: int, exposed: bool
) -> None:
    path = stored(tmp_path / "edged.yaml", f"node: n\n{line}\n".encode(), mode)
    found = exposed_passwords(path)
    assert [p.where for p in found] == ([f"{path}:2"] if exposed else [])
    assert "S3cret" not in str(found)
