"""System call filters (seccomp): built once by libseccomp, loaded by each process that wants to be confined.

A filter is an allow list: what no rule allows is refused with EPERM, and the calls of another architecture
end the process. Building one takes some milliseconds and loading it microseconds, so the fork server builds
filters for all the workers that it forks.

Documentation: https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import ctypes
import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edged.system import kernel

if TYPE_CHECKING:
    from collections.abc import Iterable

OWN_PROCESS = 0x5EEDED01  # a value of an argument: the process that loads the filter, whatever its id is then
_WHOLE = (1 << 64) - 1
_INSTRUCTION_BYTES = 8
_SET_MODE_FILTER, _TSYNC = 1, 1


@dataclass(frozen=True, slots=True)
class Argument:
    """A condition on one argument of a system call: ``argument & mask == value``.

    Attributes:
        position: counted from 0.
        value: in 64 bits, unsigned.
        mask: which bits are compared; all by default.
    """

    position: int
    value: int
    mask: int = _WHOLE


@dataclass(frozen=True, slots=True)
class Rule:
    """A system call, and the arguments that it concerns; without arguments it concerns every call.

    Attributes:
        call: the call's name, such as ``openat``, or its number where libseccomp may not know the name.
        arguments: all of them must match.
    """

    call: str | int
    arguments: tuple[Argument, ...] = ()


class Filter:
    """A filter, ready to be loaded.

    Args:
        allowed: calls that are let through.
        absent: calls that are answered as a kernel without them would, so that libraries use older ones.
        refused: calls that are refused although ``allowed`` lets them through.

    Raises:
        OSError: there is no libseccomp on this machine, or it cannot build this filter.
    """

    def __init__(self, allowed: Iterable[Rule], absent: Iterable[str | int], refused: Iterable[Rule]) -> None:
        library = _library()
        self._call: int = library.resolve_syscall(library.system_arch(), "seccomp")
        if self._call < 0:
            raise OSError(errno.ENOSYS, "this architecture has no seccomp")
        deny, missing = library.ERRNO(errno.EPERM), library.ERRNO(errno.ENOSYS)
        # Two programs, of which the kernel obeys the stricter one: libseccomp cannot say "all but these".
        exceptions = library.SyscallFilter(library.ALLOW)
        for rule in refused:
            _add(library, exceptions, deny, rule)
        main = library.SyscallFilter(deny)
        for call in absent:
            _add(library, main, missing, Rule(call))
        for rule in allowed:
            _add(library, main, library.ALLOW, rule)
        self._programs = tuple(_exported(each) for each in (exceptions, main))  # main forbids to load another

    def load(self) -> bool:
        """Confine all threads of this process, for good; False where the kernel has no filters."""
        if not kernel.give_up_privileges():
            return False
        libc = ctypes.CDLL(None)
        own = os.getpid().to_bytes(4, "little")
        loaded = [
            self._load(libc, program.replace(OWN_PROCESS.to_bytes(4, "little"), own))
            for program in self._programs
        ]
        return all(loaded)

    def _load(self, libc: ctypes.CDLL, program: bytes) -> bool:
        text = ctypes.create_string_buffer(program, len(program))
        prog = _Program(len(program) // _INSTRUCTION_BYTES, ctypes.cast(text, ctypes.c_void_p))
        call = ctypes.c_long(self._call)
        return bool(libc.syscall(call, _SET_MODE_FILTER, _TSYNC, ctypes.byref(prog)) == 0)


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def _library() -> Any:
    try:
        import pyseccomp
    except (ImportError, RuntimeError) as error:
        raise OSError(errno.ENOENT, f"no libseccomp: {error}") from error
    return pyseccomp


def _add(library: Any, rules: Any, action: int, rule: Rule) -> None:
    """Add a rule; a call that this architecture does not have needs none."""
    number = rule.call
    if isinstance(number, str):
        number = library.resolve_syscall(library.system_arch(), number)
    if number < 0:
        return
    arguments = [library.Arg(a.position, library.MASKED_EQ, a.mask, a.value) for a in rule.arguments]
    try:
        rules.add_rule(action, number, *arguments)
    except ValueError as error:
        raise OSError(errno.EINVAL, f"libseccomp refuses a rule for {rule.call}: {error}") from error


def _exported(rules: Any) -> bytes:
    """Return a filter's instructions (``struct sock_filter``)."""
    with open(os.memfd_create("filter"), "rb") as file:  # noqa: PTH123 - it is a descriptor, not a path
        rules.export_bpf(file)
        file.seek(0)
        return file.read()
