"""A double of the kernel's I²C device, which answers the ioctls of the real smbus2.

Like the kernel: an address without a chip is EREMOTEIO (ENXIO on some adapters), one that a kernel driver
holds is EBUSY, but only where it is selected: messages pass the driver by. An address beyond seven bits is
EINVAL. A register read is a write of its number followed by a read.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from dataclasses import dataclass, field
from typing import Any

_SLAVE, _FUNCS, _RDWR, _SMBUS = 0x0703, 0x0705, 0x0707, 0x0720
_LAST_ADDRESS = 0x7F
_READ = 1  # in an SMBus transfer, and in the flags of a message
_BLOCK = 8  # I2C_SMBUS_I2C_BLOCK_DATA
_BLOCK_FUNCTIONS = 0x0C000000  # reading and writing such blocks


@dataclass
class Chip:
    """One chip.

    Attributes:
        registers: the bytes that start at each register.
        answers: the answer to each command.
        written: everything that was written to it.
        held: a kernel driver holds it.
        pending: the answer to the last command.
    """

    registers: dict[int, bytes] = field(default_factory=dict)
    answers: dict[bytes, bytes] = field(default_factory=dict)
    written: list[bytes] = field(default_factory=list)
    held: bool = False
    pending: bytes = b""

    def write(self, data: bytes) -> None:
        """Take bytes: a command, or a register number with its new content."""
        self.written.append(data)
        self.pending = self.answers.get(data, self.pending)
        if len(data) > 1 and data not in self.answers:
            self.registers[data[0]] = data[1:]

    def read(self, length: int) -> bytes:
        """Return the answer to the last command; an undriven bus reads as ones."""
        return self.pending[:length].ljust(length, b"\xff")


@dataclass
class Bus:
    """A bus with its chips, behind ``smbus2.smbus2.ioctl``.

    Attributes:
        chips: the chips, by address.
        no_answer: the errno for an address without a chip.
        address: the address selected by I2C_SLAVE.
    """

    chips: dict[int, Chip] = field(default_factory=dict)
    no_answer: int = errno.EREMOTEIO
    address: int = -1
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ioctl(self, fd: int, request: int, argument: Any) -> int:
        """Answer as the kernel's i2c-dev does."""
        os.fstat(fd)  # a closed descriptor is EBADF
        with self._lock:  # as the kernel's adapter: one call after the other
            return self._answer(request, argument)

    def _answer(self, request: int, argument: Any) -> int:
        if request == _FUNCS:
            argument.value = _BLOCK_FUNCTIONS
        elif request == _SLAVE:
            if argument > _LAST_ADDRESS:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            if self.chips.get(argument, Chip()).held:
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
            self.address = argument
        elif request == _SMBUS:
            self._transfer(argument)
        elif request == _RDWR:
            for number in range(argument.nmsgs):
                self._message(argument.msgs[number])
        else:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        return 0

    def _chip(self, address: int) -> Chip:
        if address not in self.chips:
            raise OSError(self.no_answer, os.strerror(self.no_answer))
        return self.chips[address]

    def _transfer(self, transfer: Any) -> None:
        """Read or write a block of i2c_smbus_ioctl_data: a length and its bytes."""
        chip = self._chip(self.address)
        if transfer.size != _BLOCK:
            raise AssertionError("the double supports only blocks")
        block = transfer.data.contents.block
        length = block[0]
        if transfer.read_write == _READ:
            data = chip.registers.get(transfer.command, b"")[:length].ljust(length, b"\xff")
            for at, byte in enumerate(data, 1):
                block[at] = byte
        else:
            chip.write(bytes([transfer.command, *block[1 : length + 1]]))

    def _message(self, message: Any) -> None:
        """Exchange one i2c_msg."""
        chip = self._chip(message.addr)
        if message.flags & _READ:
            ctypes.memmove(message.buf, chip.read(message.len), message.len)
        else:
            chip.write(ctypes.string_at(message.buf, message.len))
