"""The board itself: temperature, undervoltage, throttling, load, memory, disk and Wi-Fi signal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from edged.errors import Reason, Unavailable
from edged.sensors import Quality, Quantity, Reading, Sensor, SensorConfig, sysfs
from edged.system import clock, permission
from edged.system.needs import Needs

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

# The names of the processor's thermal zone in different kernels; else the first zone is used.
_ZONES = ("cpu-thermal", "cpu_thermal", "soc-thermal", "x86_pkg_temp")

# The Raspberry Pi's mailbox, as `vcgencmd get_throttled` uses it: _IOWR(100, 0, char *) on 64 bits, and a
# message of 32-bit words: size, request, tag, room for the answer, its size, the answer, end.
_MAILBOX = 0xC0086400
_GET_THROTTLED = 0x00030046
_UNDERVOLTAGE, _THROTTLED = 0x1, 0xE  # current state: supply; frequency capped, throttled, soft limit
_ioctl = fcntl.ioctl  # the only access to the mailbox; tests substitute a board here


class Config(SensorConfig):
    """The keys of ``kind: system``."""

    kind: Literal["system"] = Field(default="system", description="the driver: system")
    interval_s: Annotated[float, Field(ge=0.01, le=86400, allow_inf_nan=False)] = Field(
        default=60.0, description="time between two readings, in s"
    )
    what: Annotated[tuple[What, ...], Field(min_length=1, max_length=len(_QUANTITIES))] = Field(
        default=("temperature", "load", "memory", "disk"),
        description="quantities: temperature, undervoltage and throttled (on a Raspberry Pi), load, memory, "
        "disk, wifi",
    )
    path: Path = Field(default=Path("/"), description="a path on the disk whose usage is measured")
    interface: str | None = Field(
        examples=["wlan0"], default=None, description="the Wi-Fi interface; default: the first one"
    )
    root: Path = Field(default=Path("/"), description="the folder with sys, proc and dev")

    def gives(self) -> Mapping[str, Quantity]:
        """Return the quantities of ``what``."""
        return {name: _QUANTITIES[name] for name in self.what}

    @property
    def needs(self) -> Needs:
        """Figures from the kernel, and from the firmware of a Raspberry Pi."""
        folders = tuple(str(self.root / name) for name in ("proc", "sys"))
        return Needs(files=folders, devices=(str(self.root / "dev/vcio"),))


def create(config: Config) -> Sensor:
    """Return the sensor."""
    return System(config)


class _Unknown(Exception):  # noqa: N818 - it becomes the reason of a reading, not an error
    """The board does not report the quantity."""


def meminfo(root: Path) -> dict[str, int]:
    """Return the values in ``/proc/meminfo``, in KiB."""
    text = (root / "proc/meminfo").read_text("utf-8", "replace")
    lines = (line.split(":") for line in text.splitlines() if ":" in line)
    return {name: int(rest.split()[0]) for name, rest in lines}


class System:
    """The board. A quantity that it does not report gets a bad reading; the others are not affected."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._open = False
        self._measure: dict[str, Callable[[], float | bool]] = {
            "temperature": self._temperature,
            "undervoltage": self._undervoltage,
            "throttled": lambda: bool(self._flags() & _THROTTLED),
            "load": lambda: float(self._text("proc/loadavg").split()[0]),
            "memory": self._memory,
            "disk": self._disk,
            "wifi": self._wifi,
        }

    def open(self) -> None:
        """Mark the sensor open; each reading opens its files itself."""
        self._open = True

    def read(self) -> Sequence[Reading]:
        """Measure now."""
        if not self._open:
            raise Unavailable(Reason.LOST, "the system sensor is not open")
        return [self._reading(name, quantity.unit) for name, quantity in self._config.gives().items()]

    def close(self) -> None:
        """Mark the sensor closed."""
        self._open = False

    def _reading(self, name: str, unit: str) -> Reading:
        try:
            return Reading(name, self._measure[name](), unit, clock.wall())
        except _Unknown as error:
            reason = str(error)
        except sysfs.NotMeasured as error:
            reason = str(error)
        except (OSError, ValueError, IndexError) as error:
            reason = f"the kernel does not report it: {getattr(error, 'strerror', None) or error}"
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
        """Query the kernel's rpi_volt or, without it, the firmware."""
        for chip in (self._config.root / "sys/class/hwmon").glob("hwmon*"):
            with contextlib.suppress(OSError):
                if (chip / "name").read_text().strip() == "rpi_volt":
                    return (chip / "in0_lcrit_alarm").read_text().strip() == "1"
        return bool(self._flags() & _UNDERVOLTAGE)

    def _flags(self) -> int:
        """Return the firmware's flags for power supply and temperature."""
        message = bytearray(struct.pack("=8I", 32, 0, _GET_THROTTLED, 4, 0, 0, 0, 0))
        try:
            descriptor = os.open(self._config.root / "dev/vcio", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if permission.is_denied(error):
                raise _Unknown(str(permission.denied(error.errno, "/dev/vcio", "video"))) from error
            raise _Unknown("only a Raspberry Pi reports it") from error
        try:
            _ioctl(descriptor, _MAILBOX, message)
        finally:
            os.close(descriptor)
        return int(struct.unpack_from("=I", message, 20)[0])

    def _memory(self) -> float:
        kib = meminfo(self._config.root)
        if not kib.get("MemTotal") or "MemAvailable" not in kib:
            raise _Unknown("the kernel does not report the free memory")
        return 100 * (1 - kib["MemAvailable"] / kib["MemTotal"])

    def _disk(self) -> float:
        """Return the used part of the space available to users, in percent, as df does."""
        status = os.statvfs(self._config.path)
        used = status.f_blocks - status.f_bfree
        if not used + status.f_bavail:
            raise _Unknown(f"{self._config.path} is not on a disk")
        return 100 * used / (used + status.f_bavail)

    def _wifi(self) -> float:
        """Return the signal level in dBm; in a network namespace, that of the first process."""
        wanted = self._config.interface
        for name in ("proc/net/wireless", "proc/1/net/wireless"):
            with contextlib.suppress(OSError):
                for line in self._text(name).splitlines()[2:]:
                    interface, _, rest = line.partition(":")
                    if wanted in (None, interface.strip()):
                        return float(rest.split()[2].rstrip("."))
        raise _Unknown(f"there is no Wi-Fi {wanted}" if wanted else "there is no Wi-Fi")
