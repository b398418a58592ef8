from __future__ import annotations

import itertools

import pytest

from edged.system import isolation


@pytest.mark.parametrize("size", range(len(isolation.WALLS) + 1))
def test_enough_is_no_socket_no_network_and_no_reach_into_main(size: int) -> None:
    for walls in itertools.combinations(isolation.WALLS, size):
        apart = "user" in walls or {"mountns", "pidns"} <= set(walls)
        assert isolation.suffices(walls) is (apart and {"seccomp", "netns"} <= set(walls))


def test_the_sentence_names_what_holds_and_what_to_install() -> None:
    assert isolation.not_isolated("it", ["pidns", "seccomp"]).endswith("it has only seccomp, pidns")
    assert isolation.not_isolated("it").endswith("it has only nothing")
    assert "apt install bubblewrap" in isolation.REMEDY
