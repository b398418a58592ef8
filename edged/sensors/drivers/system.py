"""The board itself: temperature, undervoltage, throttling, load, memory, disk and Wi-Fi signal."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from edged.errors import Reason, Unavailable
from edged.sensors import Quality, Quantity, Reading, Sensor, SensorConfig, sysfs
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_QUANTITIES: dict[str, Quantity] = {
    "temperature": Quantity("°C", "temperature"),
    "undervoltage": Quantity("", "problem", binary=True),
    "throttled": Quantity("", "problem", binary=True),
    "load": Quantity(),
    "memory": Quantity("%"),
    "disk": Quantity("%"),
    "wifi": Quantity("dBm", "signal_strength"),
}
What = Literal["temperature", "undervoltage", "throttled", "load", "memory", "disk", "wifi"]

# The processor's thermal zone, by the names that kernels give it; else the first one there is.
_ZONES = ("cpu-thermal", "cpu_thermal", "soc-thermal", "x86_pkg_temp")

# Raspberry Pi's mailbox, what `vcgencmd get_throttled` asks as well: _IOWR(100, 0, char *) on 64 bits, and a
# message of 32-bit words: size, request, tag, room for the answer, its size, the answer, end.
_MAILBOX = 0xC0086400
_GET_THROTTLED = 0x00030046
_UNDERVOLTAGE, _THROTTLED = 0x1, 0xE  # now: the supply; the frequency capped, throttled, the soft limit
_ioctl = fcntl.ioctl  # the one door to the mailbox; tests put a board behind it


class Config(SensorConfig):
    """The keys of ``kind: system``."""

    kind: Literal["system"] = Field(default="system", description="the driver: system")
    interval_s: Annotated[float, Field(ge=0.01, le=86400, allow_inf_nan=False)] = Field(
        default=60.0, description="time between two readings, in s"
    )
    what: Annotated[tuple[What, ...], Field(min_length=1, max_length=len(_QUANTITIES))] = Field(
        default=("temperature", "load", "memory", "disk"),
        description="temperature, undervoltage and throttled (on a Raspberry Pi), load, memory, disk, wifi",
    )
    path: Path = Field(default=Path("/"), description="of the disk whose use is read")
    interface: str | None = Field(
        examples=["wlan0"], default=None, description="of the Wi-Fi; left out: the first one"
    )
    root: Path = Field(default=Path("/"), description="the folder with sys, proc and dev")

    def gives(self) -> Mapping[str, Quantity]:
        """What was asked for."""
        return {name: _QUANTITIES[name] for name in self.what}


def create(config: Config) -> Sensor:
    """Return the sensor."""
    return System(config)


class _Unknown(Exception):  # noqa: N818 - it becomes the reason of a reading, not an error
    """The board does not say."""


def meminfo(root: Path) -> dict[str, int]:
    """Return what ``/proc/meminfo`` says, in KiB."""
    text = (root / "proc/meminfo").read_text("utf-8", "replace")
    lines = (line.split(":") for line in text.splitlines() if ":" in line)
    return {name: int(rest.split()[0]) for name, rest in lines}


class System:
    """Asks the kernel; what the board does not say is a bad reading, and the others are good."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._open = False
        self._ask: dict[str, Callable[[], float | bool]] = {
            "temperature": self._temperature,
            "undervoltage": self._undervoltage,
            "throttled": lambda: bool(self._flags() & _THROTTLED),
            "load": lambda: float(self._text("proc/loadavg").split()[0]),
            "memory": self._memory,
            "disk": self._disk,
            "wifi": self._wifi,
        }

    def open(self) -> None:
        """Nothing is held open: each file is read anew."""
        self._open = True

    def read(self) -> Sequence[Reading]:
        """Measure now."""
        if not self._open:
            raise Unavailable(Reason.LOST, "the system sensor is not open")
        return [self._reading(name, quantity.unit) for name, quantity in self._config.gives().items()]

    def close(self) -> None:
        """Nothing is held open."""
        self._open = False

    def _reading(self, name: str, unit: str) -> Reading:
        try:
            return Reading(name, self._ask[name](), unit, clock.wall())
        except _Unknown as error:
            reason = str(error)
        except sysfs.NotMeasured as error:
            reason = str(error)
        except (OSError, ValueError, IndexError) as error:
            reason = f"the kernel says nothing of it: {getattr(error, 'strerror', None) or error}"
        return Reading(name, None, unit, clock.wall(), Quality.BAD, reason)

    def _text(self, name: str) -> str:
        return (self._config.root / name).read_text("utf-8", "replace")

    def _temperature(self) -> float:
        zones: dict[str, Path] = {}
        for path in sorted((self._config.root / "sys/class/thermal").glob("thermal_zone*")):
            with contextlib.suppress(OSError):
                zones.setdefault((path / "type").read_text().strip(), path)
        if not zones:
            raise _Unknown("this board has no thermal zone")
        zone = next((zones[name] for name in _ZONES if name in zones), next(iter(zones.values())))
        return float((zone / "temp").read_text()) / 1000

    def _undervoltage(self) -> bool:
        """Ask the kernel's rpi_volt, or else the firmware."""
        for chip in (self._config.root / "sys/class/hwmon").glob("hwmon*"):
            with contextlib.suppress(OSError):
                if (chip / "name").read_text().strip() == "rpi_volt":
                    return (chip / "in0_lcrit_alarm").read_text().strip() == "1"
        return bool(self._flags() & _UNDERVOLTAGE)

    def _flags(self) -> int:
        """Return the firmware's flags of supply and heat."""
        message = bytearray(struct.pack("=8I", 32, 0, _GET_THROTTLED, 4, 0, 0, 0, 0))
        try:
            descriptor = os.open(self._config.root / "dev/vcio", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            denied = error.errno in (errno.EACCES, errno.EPERM)
            why = "/dev/vcio may not be opened: group video" if denied else "only a Raspberry Pi says it"
            raise _Unknown(why) from error
        try:
            _ioctl(descriptor, _MAILBOX, message)
        finally:
            os.close(descriptor)
        return int(struct.unpack_from("=I", message, 20)[0])

    def _memory(self) -> float:
        kib = meminfo(self._config.root)
        if not kib.get("MemTotal") or "MemAvailable" not in kib:
            raise _Unknown("the kernel does not say how much memory is free")
        return 100 * (1 - kib["MemAvailable"] / kib["MemTotal"])

    def _disk(self) -> float:
        """Return the part that is used of what may be used, as df does."""
        status = os.statvfs(self._config.path)
        used = status.f_blocks - status.f_bfree
        if not used + status.f_bavail:
            raise _Unknown(f"{self._config.path} is on no disk")
        return 100 * used / (used + status.f_bavail)

    def _wifi(self) -> float:
        """Return the signal's level; in a network namespace, as the first process sees it."""
        wanted = self._config.interface
        for name in ("proc/net/wireless", "proc/1/net/wireless"):
            with contextlib.suppress(OSError):
                for line in self._text(name).splitlines()[2:]:
                    interface, _, rest = line.partition(":")
                    if wanted in (None, interface.strip()):
                        return float(rest.split()[2].rstrip("."))
        raise _Unknown(f"there is no Wi-Fi {wanted}" if wanted else "there is no Wi-Fi")
