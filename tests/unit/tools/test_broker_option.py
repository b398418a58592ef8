"""The broker on the command line."""

from __future__ import annotations

import pytest

from edged.errors import Refused
from edged.tools import broker_option


@pytest.mark.parametrize(
    ("broker", "host", "port"),
    [
        ("broker.lan", "broker.lan", 1883),
        ("broker.lan:1884", "broker.lan", 1884),
        ("::1", "::1", 1883),
        ("[::1]:1884", "::1", 1884),
    ],
)
def test_the_broker_on_the_command_line(broker: str, host: str, port: int) -> None:
    assert broker_option.section(broker).addresses == ((host, port),)


def test_a_port_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(Refused, match="a port from 1 to 65535") as refused:
        broker_option.section("broker.lan:mqtt")
    assert refused.value.status == 64
