"""Builds stand-ins for libedgetpu, which work or fail as a cue says: see ``lab/delegates/edgetpu.c``."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

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
    """Write a library: ``edgetpu``, or ``stranger``, which is no delegate."""
    library.write_bytes(_compiled(name))
    return library


def cue(library: Path, what: str) -> None:
    """Tell a library what to do: ``fail``, ``abort``, ``segfault`` or ``hang``, and the moment for it.

    Moments: ``open``, ``prepare`` (the graph), ``allocate`` (the node), ``invoke``, ``bus`` (at any time).
    An empty cue: work.
    """
    file, new = library.with_name(f"{library.name}.cue"), library.with_name(f"{library.name}.new")
    new.write_text(what)
    new.replace(file)
