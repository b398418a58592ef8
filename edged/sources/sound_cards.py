"""The microphones of this machine, as ALSA lists them in /proc/asound; opens none.

The number of a card changes with the order in which cards are plugged in. What stays is its id (``CARD=…``),
or for USB the name below /dev/snd/by-id: two of the same kind have ids that change places.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from edged.errors import Reason, Unavailable

_CARD = re.compile(r"^\s*(\d+) \[(\S+)\s*\]:\s*(.*)$")
_PCM = re.compile(r"^(\d+)-(\d+):.*\bcapture \d+")
_CONTROL = re.compile(r"controlC(\d+)$")
_FOLDER = "/dev/snd"


@dataclass(frozen=True, slots=True)
class Microphone:
    """A device that records.

    Attributes:
        device: the value to configure: a path below /dev/snd/by-id, or an ALSA name.
        aliases: other values that mean the same one.
        name: what the card calls itself.
        card: its number now.
    """

    device: str
    aliases: tuple[str, ...]
    name: str
    card: int


def find(root: Path = Path("/")) -> list[Microphone]:
    """Return the devices that record, USB first; empty where there is no sound card."""
    cards = {int(number): (identity, name) for number, identity, name in _cards(root)}
    stable = _by_id(root)
    found: list[Microphone] = []
    for card, device in _captures(root):
        if card not in cards or any(each.card == card for each in found):
            continue
        identity, name = cards[card]
        by_name = f"plughw:CARD={identity}" + (f",DEV={device}" if device else "")
        names = [stable[card], by_name] if card in stable and not device else [by_name]
        found.append(Microphone(names[0], (*names, f"plughw:{card}", f"hw:CARD={identity}"), name, card))
    return sorted(found, key=lambda each: each.card not in stable)


def resolved(device: str, root: Path = Path("/")) -> str:
    """Return the name that ALSA knows a configured device by.

    Args:
        device: ``auto``, a path below /dev/snd, or an ALSA name, which is returned as it is.
        root: the root of the file system; another one in tests.

    Raises:
        Unavailable: ABSENT: there is no such microphone, or none at all.
    """
    if device == "auto":
        found = find(root)
        if not found:
            raise Unavailable(Reason.ABSENT, "no microphone was found (arecord -l lists them)")
        return f"plughw:{found[0].card}"
    if not device.startswith("/"):
        return device
    control = _CONTROL.search(os.path.realpath(root / device.lstrip("/")))
    if control is None:
        raise Unavailable(Reason.ABSENT, f"there is no microphone {device}; plug it in, or correct `device`")
    return f"plughw:{control[1]}"


def denied(root: Path = Path("/")) -> bool:
    """Return whether there are sound cards, and this process may open none of them."""
    nodes = sorted((root / _FOLDER.lstrip("/")).glob("pcmC*c"))
    return bool(nodes) and not any(os.access(node, os.R_OK | os.W_OK) for node in nodes)


def _cards(root: Path) -> list[tuple[str, str, str]]:
    found = [_CARD.match(line) for line in _lines(root / "proc/asound/cards")]
    return [(match[1], match[2], match[3].partition(" - ")[2] or match[2]) for match in found if match]


def _captures(root: Path) -> list[tuple[int, int]]:
    """Return card and device of everything that records."""
    found = [_PCM.match(line) for line in _lines(root / "proc/asound/pcm")]
    return [(int(match[1]), int(match[2])) for match in found if match]


def _by_id(root: Path) -> dict[int, str]:
    """Return the stable paths of USB cards, by number."""
    found: dict[int, str] = {}
    folder = root / "dev/snd/by-id"
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return {}
    for name in names:
        if control := _CONTROL.search(os.path.realpath(folder / name)):
            found.setdefault(int(control[1]), f"{_FOLDER}/by-id/{name}")
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
