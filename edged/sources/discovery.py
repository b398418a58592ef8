"""From this machine's hardware, or from a person's words, to sources that could be configured."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edged import sources
from edged.errors import DriverError
from edged.system import board

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from edged.models.spec import Gives
    from edged.sources import Offer, Viewing

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Machine:
    """The hardware that a configuration could use.

    Attributes:
        cameras: the devices that the drivers of pictures found, each with its ``kind``.
        coral: ``usb``, ``pci`` or nothing.
        microphones: what gives sound, as ``cameras``.
    """

    cameras: tuple[Offer, ...] = ()
    coral: str = ""
    microphones: tuple[Offer, ...] = ()


def survey(root: Path = Path("/")) -> Machine:
    """Look at the machine; ``root`` is for tests. Reads sysfs, and opens nothing for capture."""
    return Machine(tuple(_devices("picture", root)), board.coral(root), tuple(microphones(root)))


def microphones(root: Path = Path("/")) -> list[Offer]:
    """Return what gives sound. Reads /proc, and opens nothing."""
    return list(_devices("window", root))


def identify(kind: str) -> list[Offer]:
    """Return the devices as the vendor's package of a driver tells; see ``survey``.

    Raises:
        DriverError: the package is missing.
        Unavailable: it does not tell.
    """
    return [_of_kind(kind, offer) for offer in sources.load(kind).identify()]


def in_use(kind: str) -> str:
    """Return the process that uses a device of a driver now; empty where none is seen to."""
    driver = sources.load(kind)
    return str(driver.in_use()) if hasattr(driver, "in_use") else ""


def needs_identifying(kind: str) -> bool:
    """Return whether only the vendor's package of a driver tells which devices there are."""
    return hasattr(sources.load(kind), "identify")


def recognise(text: str, viewing: Viewing, gives: Gives | None = None) -> Offer | None:
    """Return the source that a person means; None where no driver recognises it.

    Args:
        text: a path, an address or a word.
        viewing: how it is looked at.
        gives: the samples that are wanted; None: of any kind.
    """
    for kind, driver in _with("recognise"):
        if gives is not None and driver.Config.gives != gives:
            continue
        try:
            offer: Offer | None = driver.recognise(text, viewing)
        except OSError:  # such as a path that is too long
            continue
        if offer is not None:
            return _of_kind(kind, offer)
    return None


def _devices(gives: Gives, root: Path) -> Iterator[Offer]:
    """Give the devices of the drivers that give such samples."""
    for kind, driver in _with("find"):
        if driver.Config.gives == gives:
            yield from (_of_kind(kind, offer) for offer in _found(kind, driver, root))


def _with(ability: str) -> Iterator[tuple[str, ModuleType]]:
    """Give the drivers that have a function."""
    for kind in sources.kinds():
        try:
            driver = sources.load(kind)
        except DriverError as error:
            log.debug("kind %s is left out: %s", kind, error)
            continue
        if hasattr(driver, ability):
            yield kind, driver


def _found(kind: str, driver: ModuleType, root: Path) -> list[Offer]:
    try:
        found: list[Offer] = driver.find(root)
    except Exception as error:  # noqa: BLE001 - a third party's driver may raise anything
        log.warning("kind %s cannot look for its devices: %s", kind, error)
        return []
    return found


def _of_kind(kind: str, offer: Offer) -> Offer:
    return replace(offer, keys={"kind": kind, **offer.keys})
