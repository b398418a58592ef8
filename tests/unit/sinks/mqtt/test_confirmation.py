"""Confirmations of a consumer; anything else means nothing, whatever it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.sinks.mqtt.delivery import Confirmation


@pytest.mark.parametrize(
    ("payload", "means"),
    [
        (b"1042", Confirmation(1042, None)),
        (b" 0\n", Confirmation(0, None)),
        (b'{"epoch":"3f9c","sequence":7}', Confirmation(7, "3f9c")),
        (b'{"epoch":"3f9c","sequence":7,"more":[1]}', Confirmation(7, "3f9c")),
        (b"", None),
        (b"-1", None),
        (b"1.0", None),
        (b"true", None),
        (b"null", None),
        (b'"7"', None),
        (b"[7]", None),
        (b"7 8", None),
        (b'{"sequence":7}', None),
        (b'{"epoch":7,"sequence":7}', None),
        (b'{"epoch":"3f9c","sequence":true}', None),
        (b'{"epoch":"3f9c"}', None),
        (b"9" * 5000, None),
        (b"[" * 5000, None),
        (b"\xff\xfe", None),
    ],
)
def test_a_confirmation_is_a_sequence_with_or_without_its_epoch(
    payload: bytes, means: Confirmation | None
) -> None:
    assert Confirmation.parse(payload) == means


@given(st.binary(max_size=300) | st.text('0123456789[]{}:,"epochsqun -+.', max_size=300).map(str.encode))
def test_any_other_payload_is_ignored(payload: bytes) -> None:
    found = Confirmation.parse(payload)
    assert found is None or found.sequence >= 0
