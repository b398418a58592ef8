from __future__ import annotations

import socket
from pathlib import Path

import pytest

from edged.config.outputs import Mqtt, Tls
from edged.config.root import Config, host_node

PIPELINES = {"a": {"source": {"kind": "synthetic"}}}


@pytest.mark.parametrize(
    ("host", "node"),
    [("Porch-Pi.lan", "porch-pi"), ("büro_1", "b-ro-1"), ("", "edged"), ("x" * 40, "x" * 32)],
)
def test_the_host_name_becomes_a_node(monkeypatch: pytest.MonkeyPatch, host: str, node: str) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    assert host_node() == node
    assert Config.model_validate({"pipelines": PIPELINES}).node == node


def test_folders_come_from_the_file_then_systemd_then_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    config = Config.model_validate({"pipelines": PIPELINES})
    assert (config.state_dir, config.run_dir) == (Path("/var/lib/edged"), Path("/run/edged"))
    monkeypatch.setenv("STATE_DIRECTORY", "/s/1:/s/2")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/r")
    config = Config.model_validate({"pipelines": PIPELINES})
    assert (config.state_dir, config.run_dir) == (Path("/s/1"), Path("/r"))
    assert Config.model_validate({"pipelines": PIPELINES, "state_dir": "/x"}).state_dir == Path("/x")


@pytest.mark.parametrize("host", ["broker.lan", "192.168.0.1", "::1", "fe80::1%eth0"])
def test_a_host_is_a_name_or_an_address(host: str) -> None:
    assert Mqtt(host=host).host == host
    assert Mqtt(host="[::1]").host == "::1"


@pytest.mark.parametrize("host", ["mqtt://broker", "broker:1883", "[::1]:1883", "a b", ""])
def test_a_host_with_a_port_or_scheme_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="host"):
        Mqtt(host=host)


def test_hosts_of_a_list_may_name_their_ports() -> None:
    mqtt = Mqtt(host=["a", "b:1884", "[::1]:1885", "fe80::1"], port=1886)
    assert mqtt.addresses == (("a", 1886), ("b", 1884), ("::1", 1885), ("fe80::1", 1886))
    assert Mqtt(host="a").addresses == (("a", 1883),)


@pytest.mark.parametrize("host", [[], ["a", "b:0"], ["a:x"], ["mqtt://a"], [":1883"], ["a b"], [1]])
def test_a_wrong_list_of_hosts_is_refused(host: list[str]) -> None:
    with pytest.raises(ValueError, match="host"):
        Mqtt(host=host)


def test_the_port_follows_tls() -> None:
    assert Mqtt(host="b").port_number == 1883
    assert Mqtt(host="b", tls=Tls()).port_number == 8883
    assert Mqtt(host="b", tls=Tls(), port=1).port_number == 1


def test_keys_that_need_each_other_are_checked() -> None:
    with pytest.raises(ValueError, match="write both or neither"):
        Tls(cert_file=Path("a"))
    with pytest.raises(ValueError, match="needs username"):
        Mqtt(host="b", password_file=Path("p"))


def test_an_error_of_the_models_themselves_does_not_repeat_values() -> None:
    with pytest.raises(ValueError, match="password") as caught:
        Mqtt.model_validate({"host": "b", "password": "hunter2"})
    assert "hunter2" not in str(caught.value)
