"""Passwords and certificates against a real mosquitto: what is refused says why."""

from __future__ import annotations

import asyncio
import logging
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from broker import Broker, certificates
from node import Node, until

from edged.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.mosquitto,
    # paho drops the socket of a failed handshake and leaves the closing to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("pem"))


def run(broker: Broker, state: str, **mqtt: Any) -> str:
    """Reach that state and return its sentence."""

    async def life() -> str:
        async with Node(port=broker.port, **mqtt) as node:
            await until(
                lambda: node.sink.state == state, f"{state}, but {node.sink.state}: {node.sink.detail}", 10
            )
            return node.sink.detail

    return asyncio.run(life())


def shown(thing: object) -> str:
    """Return all that a debugger or a careless line of log could show of an object of edged and its parts."""
    texts, seen, waiting = [], set(), [thing]
    while waiting:
        one = waiting.pop()
        if id(one) not in seen:
            seen.add(id(one))
            texts.append(repr(one))
            if type(one).__module__.startswith("edged."):
                waiting.extend(getattr(one, "__dict__", {}).values())
    return "".join(texts)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_passwords(tmp_path: Path, protocol: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    right, wrong = "s3cret-word", "wrong-word"
    with Broker(tmp_path, users={"porch": right}) as broker:
        run(broker, "connected", protocol=protocol, username="porch", password=right)
        run(broker, "auth refused", protocol=protocol, username="porch", password=wrong)
        run(broker, "auth refused", protocol=protocol)
    assert right not in caplog.text
    assert wrong not in caplog.text
    node = Node(port=1, username="porch", password=right)
    assert right not in shown(node.sink)


def test_tls(tmp_path: Path, pem: Path) -> None:
    with Broker(tmp_path, tls=pem) as broker:
        ours, other = {"ca_file": pem / "ca.pem"}, {"ca_file": pem / "other.pem"}
        run(broker, "connected", host="localhost", tls=ours)
        assert "not accepted" in run(broker, "certificate refused", host="localhost", tls=other)
        assert "not accepted" in run(broker, "certificate refused", host="localhost", tls={})
        assert "IP address mismatch" in run(broker, "certificate refused", host="127.0.0.1", tls=ours)
        assert "perhaps it wants TLS" in run(broker, "connection lost", host="localhost")


def test_client_certificates(tmp_path: Path, pem: Path) -> None:
    with Broker(tmp_path, tls=pem, require_certificate=True) as broker:
        ours = {"ca_file": pem / "ca.pem"}
        pair = {"cert_file": pem / "client.pem", "key_file": pem / "client.key"}
        stranger = {"cert_file": pem / "other.pem", "key_file": pem / "other.key"}
        run(broker, "connected", host="localhost", tls=ours | pair)
        assert "this node's certificate" in run(broker, "certificate refused", host="localhost", tls=ours)
        run(broker, "certificate refused", host="localhost", tls=ours | stranger)


def test_tls_where_the_broker_speaks_none(tmp_path: Path, pem: Path) -> None:
    with Broker(tmp_path) as broker:
        assert "one side uses TLS" in run(
            broker, "connection lost", host="localhost", tls={"ca_file": pem / "ca.pem"}
        )


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"ca_file": "missing.pem"}, "missing.pem: there is no such file"),
        ({"ca_file": "client.key"}, "client.key does not hold a certificate"),
        (
            {"ca_file": "ca.pem", "cert_file": "client.key", "key_file": "client.key"},
            "client.key does not hold a certificate",
        ),
        (
            {"ca_file": "ca.pem", "cert_file": "client.pem", "key_file": "client.pem"},
            "client.pem does not hold a private key",
        ),
        (
            {"ca_file": "ca.pem", "cert_file": "client.pem", "key_file": "server.key"},
            "server.key does not belong to",
        ),
    ],
)
def test_a_wrong_file_is_an_error_of_the_configuration(pem: Path, wrong: dict[str, str], names: str) -> None:
    with pytest.raises(ConfigError) as error:
        Node(port=1, tls={key: pem / name for key, name in wrong.items()})
    assert names in str(error.value)


def test_a_key_with_a_passphrase_does_not_ask_for_it(pem: Path) -> None:
    locked = pem / "locked.key"
    command = ["openssl", "ec", "-in", "client.key", "-aes128", "-passout", "pass:x", "-out", str(locked)]
    subprocess.run(command, cwd=pem, check=True, capture_output=True)
    with pytest.raises(ConfigError, match="passphrase"):
        Node(port=1, tls={"ca_file": pem / "ca.pem", "cert_file": pem / "client.pem", "key_file": locked})
