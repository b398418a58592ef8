from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path

import pytest

from edged.system import isolation, namespaces
from edged.system.needs import Needs


@pytest.mark.parametrize("size", range(len(isolation.WALLS) + 1))
def test_enough_is_no_socket_no_network_and_no_reach_into_main(size: int) -> None:
    for walls in itertools.combinations(isolation.WALLS, size):
        apart = "user" in walls or {"mountns", "pidns"} <= set(walls)
        assert isolation.suffices(walls) is (apart and {"seccomp", "netns"} <= set(walls))


def test_the_sentence_names_what_holds_and_what_to_install() -> None:
    assert isolation.not_isolated("it", ["pidns", "seccomp"]).endswith("it has only seccomp, pidns")
    assert isolation.not_isolated("it").endswith("it has only nothing")
    assert "apt install bubblewrap" in isolation.REMEDY


def test_no_wall_is_seen_around_a_process_that_has_none() -> None:
    assert isolation.around(os.getpid()) == ()
    assert isolation.around(0) == (), "nor around one that is gone"


@pytest.mark.parametrize("network", [True, False])
def test_the_walls_around_a_process_are_those_that_the_kernel_shows(network: bool) -> None:
    bwrap = namespaces.bubblewrap()
    if bwrap is None:
        pytest.skip("bubblewrap is not installed, or may make no namespaces here")
    with subprocess.Popen(
        namespaces.command(["/bin/sh", "-c", "echo; read _"], Needs(network=network), bwrap=bwrap),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it is inside; bubblewrap itself stays outside and waits
        [inside] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        seen = isolation.around(int(inside))
        process.kill()
    assert seen == (("mountns", "pidns") if network else ("netns", "mountns", "pidns"))


def test_a_worker_is_not_taken_at_its_word() -> None:
    """This process has none of these walls; of one that has ended nothing is known."""
    everything = isolation.WALLS
    assert isolation.confirmed(os.getpid(), everything, ("mountns", "pidns")) == (
        "mountns",
        "pidns",
        "landlock",
    )
    assert isolation.confirmed(os.getpid(), ("pidns",), ("mountns", "pidns")) == ("pidns",)
    assert isolation.confirmed(0, ("seccomp",), ()) == ("seccomp",)
