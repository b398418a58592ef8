from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

from edged.config.loader import MAX_BYTES, MAX_PROBLEMS, load, loads, read
from edged.config.root import Config
from edged.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Said = Callable[[str], list[str]]

PIPELINE = "pipelines:\n  a:\n    source: {kind: synthetic}\n"
EXAMPLE = """\
mqtt: {host: b, tls: {}}
pipelines:
  porch:
    source: {kind: folder, path: photos, rotate: 90, interval_s: 0.5}
    decision: {labels: {no: {threshold: 0.7}, 1.10: {}}, ignore: [on, 12:30:00, null]}
"""


def one(said: list[str]) -> str:
    assert len(said) == 1, said
    return said[0]


def test_scalars_are_read_by_the_declared_type(tmp_path: Path) -> None:
    config = loads(EXAMPLE.replace("null", '"null"'), "f", tmp_path)
    pipeline = config.pipelines["porch"]
    assert pipeline.source.rotate == "90"
    assert pipeline.source.interval_s == 0.5
    assert list(pipeline.decision.labels) == ["no", "1.10"]
    assert pipeline.decision.ignore == ("on", "12:30:00", "null")
    assert config.mqtt is not None
    assert config.mqtt.port_number == 8883


@pytest.mark.parametrize("text", ["3.1.1", '"3.1.1"', "5"])
def test_the_protocol_needs_no_quotes(tmp_path: Path, text: str) -> None:
    config = loads(f"mqtt: {{host: b, protocol: {text}}}\n{PIPELINE}", "f", tmp_path)
    assert config.mqtt is not None
    assert config.mqtt.protocol == text.strip('"')


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("on", True),
        ("True", True),
        ("true", True),
        ("no", False),
        ("off", False),
        ("false", False),
    ],
)
def test_a_switch_in_all_its_spellings(tmp_path: Path, text: str, value: bool) -> None:
    assert (
        loads(f"homeassistant: {{discovery: {text}}}\n{PIPELINE}", "f", tmp_path).homeassistant.discovery
        is value
    )


@pytest.mark.parametrize("text", ["1_000", "0x10", "010", "12:30:00", "x", "", "[1]", "{a: 1}", "5.5"])
def test_a_whole_number_is_plain_decimal(said: Said, text: str) -> None:
    line = one(said(f"mqtt: {{host: b, keepalive_s: {text}}}\n{PIPELINE}"))
    assert line.startswith("f:1:30: mqtt.keepalive_s is ") or text == ""
    assert "but must be a whole number from 5 to 3600" in line


@pytest.mark.parametrize("text", [".inf", "inf", "-.INF", ".nan", "nan", "1e999", "1_0.5", "-1", "abc"])
def test_a_number_is_finite_and_in_its_range(said: Said, text: str) -> None:
    line = one(said(f"health: {{interval_s: {text}}}\n{PIPELINE}"))
    assert line.startswith(f"f:1:22: health.interval_s is '{text}', but must be a number from 1 to 3600")


def test_a_message_includes_the_unit(said: Said) -> None:
    assert "in s" in one(said(f"health: {{interval_s: 0}}\n{PIPELINE}"))


def test_an_unknown_key_gets_a_suggestion(said: Said) -> None:
    assert one(said(f"mqtt:\n  host: b\n  keepalive: 5\n{PIPELINE}")) == (
        "f:3:3: mqtt.keepalive: there is no key 'keepalive' (did you mean 'keepalive_s'?)"
    )
    assert "the keys are interval_s" in one(said(f"health: {{zzz: 1}}\n{PIPELINE}"))


def test_an_unknown_kind_and_choice_get_a_suggestion(said: Said) -> None:
    assert "did you mean 'synthetic'?" in one(said(PIPELINE.replace("synthetic", "synthetik")))
    line = one(said(f"isolation: optionel\n{PIPELINE}"))
    assert (
        line == "f:1:12: isolation is 'optionel', but must be required or optional (did you mean 'optional'?)"
    )


def test_a_missing_key_points_at_its_block(said: Said) -> None:
    assert one(said(f"mqtt:\n  port: 1\n{PIPELINE}")).startswith(
        "f:2:3: mqtt.host is missing (the broker's name or address"
    )
    assert one(said("node: a\n")).startswith("f:1:1: pipelines is missing")
    assert one(said("pipelines:\n  a: {source: {kind:folder, path: x}}\n")) == (
        "f:2:15: pipelines.a.source.kind is missing (write a space after the colon: kind: …)"
    )
    assert one(said("pipelines:\n  a:\n    source: {}\n")).startswith(
        "f:3:13: pipelines.a.source.kind is missing"
    )


def test_all_problems_come_at_once_in_the_order_of_the_file(said: Said) -> None:
    lines = said("node: A\nnode: b\nmqtt: {}\nspool: {max_mb: -1}\nx: *y\n" + PIPELINE)
    assert [line.split(":")[1] for line in lines] == ["1", "2", "3", "4", "5"]


def test_a_refused_value_is_reported_once(said: Said) -> None:
    assert len(said(f"mqtt: &x {{hst: b}}\n{PIPELINE}")) == 1


@pytest.mark.parametrize("key", ["password", "passwd", "token", "api_key", "mqtt_password", "secret"])
@pytest.mark.parametrize("value", ["hunter2", "[hunter2]", "{hunter2: hunter2}"])
def test_a_password_in_the_file_is_refused_and_not_repeated(said: Said, key: str, value: str) -> None:
    line = one(said(f"mqtt: {{host: b, {key}: {value}}}\n{PIPELINE}"))
    assert "password_file" in line
    assert "hunter2" not in line


def test_no_message_repeats_the_credentials_of_an_address(said: Said) -> None:
    lines = said(f"node: rtsp://u:hunter2@h\nmqtt: {{host: 'mqtt://u:hunter2@h'}}\n{PIPELINE}")
    assert len(lines) == 2
    assert "hunter2" not in str(lines)


def test_an_empty_tls_does_not_mean_none(said: Said) -> None:
    line = one(said(f"mqtt:\n  host: b\n  tls:\n{PIPELINE}"))
    assert line == "f:3:7: mqtt.tls is empty; write {} for the defaults, or remove the key"


def test_a_list_of_the_wrong_length_is_one_problem(said: Said) -> None:
    line = one(said(PIPELINE.replace("synthetic", "synthetic, crop: [1, 2]")))
    assert "crop is a list of 2, but must be a list of 4" in line


def test_names_are_topics(said: Said) -> None:
    assert one(said(PIPELINE.replace(" a:", " A b:"))).startswith(
        "f:2:3: pipelines.A b: the name must be 1 to 32"
    )
    assert one(said(PIPELINE.replace(" a:", " status:"))).startswith(
        "f:2:3: pipelines.status: 'status' is a topic"
    )
    for prefix in ("/a", "a/", "a//b", "a+", "a#", "$SYS", '"a b"', '""'):
        assert "mqtt.prefix is" in one(said(f"mqtt: {{host: b, prefix: {prefix}}}\n{PIPELINE}"))


def test_the_number_of_problems_is_bounded(said: Said) -> None:
    lines = said("".join(f"x{i}:\n" for i in range(9000)) + PIPELINE)
    assert len(lines) == MAX_PROBLEMS + 1
    assert "more errors" in lines[-1]


def test_too_many_pipelines_are_counted_not_checked(said: Said) -> None:
    started = time.process_time()
    line = one(said("pipelines:\n" + "".join(f"  p{i}: {{source: {{kind: x}}}}\n" for i in range(2000)))[:1])
    assert line == "f:2:3: pipelines has 2000 entries; the maximum is 64"
    assert time.process_time() - started < 1


def test_positions_of_values_can_be_looked_up(tmp_path: Path) -> None:
    file = tmp_path / "edged.yaml"
    file.write_text(EXAMPLE.replace("null", "a"), "utf-8")
    loaded = read(file)
    steps = ("pipelines", "porch", "decision")
    assert loaded.where((*steps, "labels", "no")) == f"{file}:5:29"
    assert loaded.where((*steps, "labels", "no", "[key]")) == f"{file}:5:25"
    assert loaded.where((*steps, "ignore", 1)) == f"{file}:5:71"
    assert loaded.where((*steps, "votes")) == f"{file}:5:15"


def refusal(path: Path | str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return one([str(problem) for problem in caught.value.problems])


def test_a_path_that_is_not_a_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "socket"))
        assert "cannot be opened" in refusal(tmp_path / "socket")
    missing = "none: there is no such file (edged init -o FILE writes one, and -c FILE names it)"
    assert refusal(tmp_path / "none").endswith(missing)
    assert refusal(tmp_path).endswith("this is a folder, not a file")
    assert refusal(tmp_path / "fifo").endswith("this is a device or pipe, not a file")
    assert refusal("/dev/zero").endswith("this is a device or pipe, not a file")
    assert "cannot be opened" in refusal(tmp_path / ("x" * 300))
    assert "cannot be opened" in refusal("a\0b")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "f").touch(0)
    assert "may not be read" in refusal(tmp_path / "f")


def test_invalid_utf8_is_reported_with_its_position(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes("a: é\nb: ".encode() + b"\xff\n")
    assert refusal(file).startswith(f"{file}:2:4: this character is not UTF-8")
    file.write_bytes("a: 1".encode("utf-16"))
    assert refusal(file).startswith(f"{file}:1:1: the file is UTF-16, not UTF-8")
    file.write_bytes(b"#" * (MAX_BYTES + 1))
    assert refusal(file) == f"{file}: the file is longer than {MAX_BYTES} bytes"


def test_line_ends_and_marks_of_other_systems_are_read(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"\xef\xbb\xbf" + PIPELINE.replace("\n", "\r\n").encode())
    assert isinstance(load(file), Config)
