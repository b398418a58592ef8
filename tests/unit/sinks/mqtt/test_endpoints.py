"""Several addresses: each once a round, the one that was lost last, and back to the first."""

from __future__ import annotations

import socket

from edged.sinks.mqtt.endpoints import BACK_S, Endpoint, Look, Rotation

A, B, C = (Endpoint(name, 1883) for name in "abc")


def test_one_address_is_tried_after_a_pause() -> None:
    rotation = Rotation([A])
    assert not rotation.failed()
    assert not rotation.lost(stable=True)
    assert rotation.current == A
    rotation.connected(0)
    assert not rotation.is_back_due(1e9)


def test_each_address_is_tried_once_a_round() -> None:
    rotation = Rotation([A, B, C])
    tried = []
    for _ in range(3):
        tried.append(rotation.current)
        more = rotation.failed()
    assert tried == [A, B, C]
    assert not more
    assert rotation.current == A


def test_the_one_that_was_lost_comes_last() -> None:
    rotation = Rotation([A, B, C])
    rotation.connected(0)
    assert rotation.lost(stable=True)
    assert rotation.current == B
    rotation.connected(1)
    assert rotation.lost(stable=True)
    assert rotation.current == A
    assert rotation.failed()
    assert rotation.current == C
    assert rotation.failed()
    assert rotation.current == B


def test_an_address_that_accepts_and_breaks_is_one_that_failed() -> None:
    rotation = Rotation([A, B])
    assert rotation.lost(stable=False)
    assert rotation.current == B
    assert not rotation.lost(stable=False)
    assert rotation.current == A


def test_it_goes_back_to_the_first_less_and_less_often_where_that_fails() -> None:
    rotation = Rotation([A, B])
    rotation.failed()
    rotation.connected(0)
    assert not rotation.is_back_due(BACK_S - 1)
    assert rotation.is_back_due(BACK_S)
    assert not rotation.is_back_due(BACK_S + 1)  # the look takes its time
    for patience in (2, 4):
        rotation.go_back()
        assert rotation.current == A
        assert rotation.failed()
        assert rotation.current == B
        rotation.connected(0)
        assert not rotation.is_back_due(patience * BACK_S - 1)
        assert rotation.is_back_due(patience * BACK_S)
    rotation.go_back()
    rotation.connected(0)
    assert not rotation.is_back_due(1e9)
    rotation.lost(stable=True)
    rotation.connected(0)
    assert rotation.is_back_due(BACK_S)


def test_a_look_finds_what_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert Look(Endpoint("127.0.0.1", port), 5).found.wait(10)
    assert not Look(Endpoint("127.0.0.1", port), 5).found.wait(0.1)
    assert str(Endpoint("::1", 1)) == "[::1]:1"
