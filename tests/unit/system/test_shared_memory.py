"""Neither side can harm the other with the memory that they share."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edged.ipc import readings_page
from edged.ipc.heartbeat import Heartbeat
from edged.system import shared_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZE = 3 * mmap.PAGESIZE


@pytest.fixture(params=["allocated", "heartbeat", "readings page"])
def memory(request: pytest.FixtureRequest) -> Iterator[int]:
    create: dict[str, Callable[[], int]] = {
        "allocated": lambda: shared_memory.allocate("test", SIZE),
        "heartbeat": lambda: os.dup(Heartbeat.create().fd),
        "readings page": readings_page.create,
    }
    descriptor = create[request.param]()
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("size", [0, 1, 1 << 30])
def test_its_size_stays_so_nobody_dies_of_a_look(memory: int, size: int) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(memory, size)


def test_its_seals_stay(memory: int) -> None:
    import fcntl

    with pytest.raises(PermissionError):
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)


def test_constant_memory_is_read_from_its_beginning_and_never_written() -> None:
    descriptor = shared_memory.constant("test", b"order")
    assert os.read(descriptor, 100) == b"order"
    with pytest.raises(PermissionError):
        os.pwrite(descriptor, b"x", 0)
    with pytest.raises(PermissionError):
        mmap.mmap(descriptor, 5, prot=mmap.PROT_WRITE)
    os.close(descriptor)


def test_a_reader_sees_what_is_written_and_writes_nothing(memory: int) -> None:
    reading = shared_memory.for_reading(memory)
    os.pwrite(memory, b"news", 0)
    assert os.pread(reading, 4, 0) == b"news"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.pwrite(reading, b"x", 0)
    with pytest.raises(PermissionError):
        mmap.mmap(reading, os.fstat(reading).st_size, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    with pytest.raises(OSError, match="Invalid argument"):
        os.ftruncate(reading, 0)
    os.close(reading)


def test_a_mapping_keeps_no_descriptor_and_cannot_be_made_writable(memory: int) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    reading = shared_memory.for_reading(memory)
    mapping = shared_memory.ReadOnlyMapping(reading, mmap.PAGESIZE)
    os.close(reading)
    assert set(Path("/proc/self/fd").iterdir()) == before
    os.pwrite(memory, b"news", 8)
    assert mapping[8:12] == b"news"
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    assert libc.mprotect(mapping._address, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE) == -1
    mapping.close()
    mapping.close()
    with pytest.raises(ValueError, match="released"):
        mapping[0:1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_another_user_cannot_open_it_anew(memory: int) -> None:
    reading = shared_memory.for_reading(memory)
    program = (
        "import os, sys\n"
        "for flags in (os.O_RDWR, os.O_WRONLY):\n"
        "    try: os.open(f'/proc/self/fd/{sys.argv[1]}', flags)\n"
        "    except PermissionError: print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(reading)],
        pass_fds=[reading],
        user=65534,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    os.close(reading)
    assert done.stdout == "refused\nrefused\n"


def test_what_is_no_memory_is_not_mapped() -> None:
    with Path("/dev/null").open("rb") as file, pytest.raises(OSError, match="No such device"):
        shared_memory.ReadOnlyMapping(file.fileno(), SIZE)
