"""The value types of the configuration, with their ranges and the phrases that describe them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from edged.models import installed
from edged.sensors import CHANNEL
from edged.sources import CHANNEL_PATH

RESERVED = frozenset(
    {"status", "health", "cmd"}
)  # levels of the topic that pipelines and sensors must not use
NAME = r"^[a-z0-9-]{1,32}$"
TOPIC = r"^[^#+\x00/\s$][^#+\x00/\s]*(/[^#+\x00/\s]+)*$"
SHA256 = r"^[0-9a-fA-F]{64}$"
NO_SPACES = r"^\S+$"
DEVICE = r"^((usb|pci)(:[0-9]{1,2})?|:[0-9]{1,2}|usb@[0-9]+-[0-9.]+)$"
ED25519 = r"^[A-Za-z0-9+/]{43}=$"
ADDRESS = r"^https?://[^\s/]+/\S+$"
INSTALLED = rf"^{installed.NAME.pattern}$"
NODE = r"^/dev/[^\x00]+$"
CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
HOURS = r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$"
FORMS: dict[str, str] = {
    NAME: "1 to 32 characters of a-z, 0-9 and -",
    TOPIC: "an MQTT topic without spaces, # or +, and without / at either end",
    SHA256: "64 characters of 0-9 and a-f, as sha256sum prints them",
    NO_SPACES: "text without spaces",
    DEVICE: "usb, pci, a numbered one such as usb:0, or the one on a port, such as usb@2-1",
    ED25519: "a public key for Ed25519 in base64, 44 characters",
    ADDRESS: "an address that begins with https:// or http://",
    INSTALLED: "1 to 64 letters, digits, dots, - and _, as edged models list shows them",
    NODE: "the path of a device, such as /dev/galcore, or a pattern of it",
    CHANNEL_PATH: "the name of a sensor, or name/channel",
    CLOCK: "a time of the day such as 07:30",
    HOURS: "two times of the day such as 07:00-22:00",
    CHANNEL: "1 to 32 characters of a-z, 0-9 and _",
}
"""Descriptions of the patterns above, for messages."""


def _free(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"'{name}' is a topic of edged itself; choose another name")
    return name


Name = Annotated[str, StringConstraints(pattern=NAME)]
TopicName = Annotated[str, StringConstraints(pattern=NAME), AfterValidator(_free)]
TopicLevels = Annotated[str, StringConstraints(pattern=TOPIC, max_length=64)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=86400 * 366, allow_inf_nan=False)]
Sha256 = Annotated[str, StringConstraints(pattern=SHA256, to_lower=True)]
InstalledName = Annotated[str, StringConstraints(pattern=INSTALLED)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=128)]
