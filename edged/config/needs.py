"""Derives what the walls around a worker let through from the configuration of what it runs."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING, Any, cast

from edged import sources
from edged.config.source import SOURCES
from edged.system.needs import EVERYTHING, Needs, folders_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edged.config.pipeline import PipelineSection
    from edged.ipc.teach_request import TeachRequest
    from edged.sensors import SensorConfig

_PCI_NODES = "/dev/apex_*"
# Those of Vivante and Arm NPUs, and of GPUs; a driver takes its buffers from the last one.
_NPU_NODES = ("/dev/galcore", "/dev/ethosu*", "/dev/apusys*", "/dev/mali*", "/dev/dri/*", "/dev/dma_heap/*")
_USB_NODES = "/dev/bus/usb"  # the whole bus: an Edge TPU gets another number once its firmware is loaded


def of_pipelines(sections: Iterable[PipelineSection]) -> Needs:
    """Return what a worker that runs these pipelines needs; models and labels are handed over by main."""
    found = Needs()
    for section in sections:
        runs = section.accelerator
        found |= of_source(section.source) | of_accelerator(runs.kind, runs.library, runs.port, runs.nodes)
    return found


def of_sensors(configs: Iterable[SensorConfig]) -> Needs:
    """Return what the worker that reads these sensors needs."""
    found = Needs()
    for config in configs:
        found |= config.needs
    return found


def of_lesson(request: TeachRequest) -> Needs:
    """Return what a lesson reaches: its examples, or a camera, and the model so far."""
    named = [path for path in (request.embedder, request.head) if path]
    needed = Needs(files=(*named, *folders_of(request.files)))
    return needed if request.camera is None else needed | of_source(SOURCES.read(dict(request.camera)))


def of_replay(section: PipelineSection) -> Needs:
    """Return what a pipeline reaches that is tried on a recording, on the CPU: this, and its model."""
    runs = [each for each in (section, section.closer) if each is not None]
    named = [file for each in runs for file in (each.model_file(), each.labels_file, each.model.taught)]
    files = [os.path.abspath(file) for file in named if file is not None]  # noqa: PTH100 - text
    return Needs(files=(*files, *map(os.path.realpath, files))) | of_source(section.source)


def of_device(library: str, device: str) -> Needs:
    """Return what the runtime of an Edge TPU needs for a device: ``usb``, ``pci`` or one such as ``:0``."""
    kind = device.replace("@", ":").partition(":")[0]
    nodes = ((_PCI_NODES,) if kind != "usb" else ()) + ((_USB_NODES,) if kind != "pci" else ())
    return Needs(files=_libraries(library), devices=nodes, hotplug=kind != "pci")


def of_accelerator(kind: str, library: str, device: str = "", nodes: tuple[str, ...] = ()) -> Needs:
    """Return what an accelerator needs.

    Args:
        kind: cpu | edgetpu | external.
        library: the library that drives it.
        device: the Edge TPU.
        nodes: the device nodes of another one; empty: those of NPUs and GPUs.
    """
    if kind == "external":
        return of_external(library, nodes)
    return of_device(library, device) if kind == "edgetpu" else Needs()


def of_external(library: str, nodes: tuple[str, ...] = ()) -> Needs:
    """Return what an external delegate needs: its library, and its device nodes where they are known."""
    return Needs(files=_libraries(library), devices=nodes or _NPU_NODES)


def _libraries(library: str) -> tuple[str, ...]:
    """Return the files of a library that has a path: it may load others that lie beside it."""
    return (library, *glob.glob(f"{glob.escape(os.path.dirname(library))}/lib*")) if "/" in library else ()  # noqa: PTH120, PTH207 - text


def of_source(source: Any) -> Needs:
    """Return what the driver of a source needs."""
    driver = sources.load(source.kind)
    if hasattr(driver, "needs"):
        return cast("Needs", driver.needs(source))
    network = hasattr(driver, "needs_network") and bool(driver.needs_network(source))  # as of 0.1
    return EVERYTHING | Needs(network=network)
