"""Derives what the walls around a worker let through from the configuration of what it runs."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING, Any, cast

from edged import sources
from edged.system.needs import EVERYTHING, Needs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edged.config.pipeline import Accelerator, PipelineSection
    from edged.sensors import SensorConfig

_PCI_NODES = "/dev/apex_*"
_USB_NODES = "/dev/bus/usb"  # the whole bus: an Edge TPU gets another number once its firmware is loaded


def of_pipelines(sections: Iterable[PipelineSection]) -> Needs:
    """Return what a worker that runs these pipelines needs; models and labels are handed over by main."""
    found = Needs()
    for section in sections:
        found |= _of_source(section.source) | _of_accelerator(section.accelerator)
    return found


def of_sensors(configs: Iterable[SensorConfig]) -> Needs:
    """Return what the worker that reads these sensors needs."""
    found = Needs()
    for config in configs:
        found |= config.needs
    return found


def of_device(library: str, device: str) -> Needs:
    """Return what the runtime of an Edge TPU needs for a device: ``usb``, ``pci`` or one such as ``:0``."""
    # A vendor's library may load others that lie beside it.
    files = (library, *glob.glob(f"{glob.escape(os.path.dirname(library))}/lib*")) if "/" in library else ()  # noqa: PTH120, PTH207 - text
    kind = device.partition(":")[0]
    nodes = ((_PCI_NODES,) if kind != "usb" else ()) + ((_USB_NODES,) if kind != "pci" else ())
    return Needs(files=files, devices=nodes, hotplug=kind != "pci")


def _of_source(source: Any) -> Needs:
    driver = sources.load(source.kind)
    if hasattr(driver, "needs"):
        return cast("Needs", driver.needs(source))
    network = hasattr(driver, "needs_network") and bool(driver.needs_network(source))  # as of 0.1
    return EVERYTHING | Needs(network=network)


def _of_accelerator(accelerator: Accelerator) -> Needs:
    return Needs() if accelerator.policy == "cpu" else of_device(accelerator.library, accelerator.device)
