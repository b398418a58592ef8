"""Builds stand-ins for accelerators' libraries, which work or fail as a cue says: see ``lab/delegates``."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

WHATS = ("fail", "abort", "segfault", "hang", "seize")  # and the moments are those of :func:`cue`
SOURCES = Path(__file__).resolve().parent / "lab" / "delegates"


@functools.cache
def _compiled(name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "lib.so"
        command = ["gcc", "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread"]
        subprocess.run(
            [*command, "-o", str(library), str(SOURCES / f"{name}.c"), "-ldl"], check=True, timeout=60
        )
        return library.read_bytes()


def missing_tools() -> str:
    """Return what is missing to build one, in a sentence; empty when nothing is."""
    return "" if shutil.which("gcc") else "gcc is not installed"


def build(library: Path, name: str = "edgetpu") -> Path:
    """Write a library: ``edgetpu``; ``npu``, a vendor's delegate; or ``stranger``, not a delegate."""
    library.write_bytes(_compiled(name))
    cue(library, "")
    return library


def cue(library: Path, what: str) -> None:
    """Tell a library what to do (one of ``WHATS``), and the moment for it.

    To seize is to hang and to hold Python's lock meanwhile, so that no thread of the worker goes on.

    To be ``slow`` is to work after 7 s, which is what loading the firmware takes.

    Moments: ``open``, ``prepare`` (the graph), ``allocate`` (the node), ``version`` (of the
    model's compiler), ``take`` (operators of the graph), ``invoke``, ``bus`` (at any time).
    An empty cue: work.
    """
    # In place: a worker sees the file that was there when its namespaces were made.
    library.with_name(f"{library.name}.cue").write_text(what)


def plug(root: Path, port: str, number: int, *, ready: bool = False) -> Path:
    """Plug an Edge TPU into an emulated USB; return its folder in sysfs."""
    folder, bus = root / "sys/bus/usb/devices" / port, int(port.partition("-")[0])
    node = root / f"dev/bus/usb/{bus:03}/{number:03}"
    for path in (folder, node.parent):
        path.mkdir(parents=True, exist_ok=True)
    node.touch()
    vendor, product = ("18d1", "9302") if ready else ("1a6e", "089a")
    values = {"idVendor": vendor, "idProduct": product, "busnum": bus, "devnum": number}
    for name, value in values.items():
        (folder / name).write_text(f"{value}\n")
    return folder


def on_bus(library: Path, root: Path) -> Path:
    """Write a stand-in for libedgetpu whose devices are those of an emulated USB."""
    build(library)
    library.with_name(f"{library.name}.bus").write_text(str(root))
    return library


def prepare(library: Path, kind: str, name: str = "edgetpu") -> Path:
    """Write, or do not write, a library that is bad from the start; returns its path.

    Kinds: ``absent``, ``no library``, ``no delegate``, or a cue.
    """
    if kind == "no library":
        library.write_text("this is a text")
    elif kind == "no delegate":
        build(library, "stranger")
    elif kind != "absent":
        build(library, name)
        cue(library, kind)
    return library
