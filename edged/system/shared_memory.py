"""Memory that processes share, sealed so that neither side can harm the other with it.

Whoever shrinks memory that another process has mapped ends that process with SIGBUS at its next look. So all
shared memory has its size for good, and what only one side writes is read by the other through a descriptor
and a mapping that cannot be made writable (memfd_create(2), fcntl(2)).
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os

_OF_FIXED_SIZE = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
CONSTANT = _OF_FIXED_SIZE | fcntl.F_SEAL_WRITE  # the seals of memory that nobody changes any more

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.argtypes = (
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
)
_libc.mmap.restype = ctypes.c_void_p
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


def allocate(name: str, size: int) -> int:
    """Return a descriptor of zeroed memory that may be written and never gets another size.

    Its mode forbids everything, so that a process of another user cannot open it anew.

    Args:
        name: for whoever lists descriptors.
        size: bytes.

    Raises:
        OSError: there is no memory, or no descriptor left.
    """
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, size)
        os.fchmod(descriptor, 0)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _OF_FIXED_SIZE)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def constant(name: str, content: bytes) -> int:
    """Return a descriptor, at its beginning, of memory with this content, which nobody can change.

    Raises:
        OSError: there is no memory, or no descriptor left.
    """
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, CONSTANT)
        os.lseek(descriptor, 0, os.SEEK_SET)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def for_reading(descriptor: int) -> int:
    """Return another descriptor of the memory, the caller's to close, through which nobody can write.

    Raises:
        OSError: there is no descriptor left.
    """
    mode = os.fstat(descriptor).st_mode & 0o7777
    os.fchmod(descriptor, 0o400)  # for the one who opens it here, and only now
    try:
        return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.fchmod(descriptor, mode)


class ReadOnlyMapping:
    """Maps memory to be read only. It keeps no descriptor, which could be opened anew for writing.

    (``mmap.mmap`` keeps a duplicate of its descriptor before Python 3.13.)

    Args:
        descriptor: from :func:`for_reading`; to be closed by the caller.
        size: bytes.

    Raises:
        OSError: it cannot be mapped.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        address = _libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
        if address in (None, ctypes.c_void_p(-1).value):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        self._address, self._size = address, size
        self._view = memoryview((ctypes.c_char * size).from_address(address)).cast("B")

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        """Return a copy of a part, which stays as it is while it is checked."""
        return self._view[part].tobytes()

    def close(self) -> None:
        """Unmap it; harmless when called twice."""
        if self._address:
            self._view.release()
            _libc.munmap(self._address, self._size)
            self._address = 0
