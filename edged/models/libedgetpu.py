"""Names the build of libedgetpu for each runtime, as far as public statements go; not verified on hardware.

libedgetpu shares structures of C with the TensorFlow Lite that it is built for. Google's package of 2021 is
built for 2.5 and crashes in every runtime since 2.12 (https://github.com/google-coral/edgetpu/issues/812).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

RELEASES = "https://github.com/feranick/libedgetpu/releases"


@dataclass(frozen=True)
class Build:
    """One release of libedgetpu.

    Attributes:
        tag: the release's tag.
        version: the version of its Debian packages.
        runtimes: the versions of the runtime that it goes with, in words.
        statement: where its maintainer or users said so.
        sha256: the checksum of its package for Debian 12 by architecture, as another project pins it; empty
            where none was found.
    """

    tag: str
    version: str
    runtimes: str
    statement: str
    sha256: Mapping[str, str] = field(default_factory=dict)

    def package(self, architecture: str) -> str:
        """Return the URL of the package for a Debian architecture."""
        return f"{RELEASES}/download/{self.tag}/libedgetpu1-std_{self.version}.bookworm_{architecture}.deb"


BUILDS = {
    "litert": Build(
        "16.0TF2.19.1-1",
        "16.0tf2.19.1-1",
        "ai-edge-litert from 2.1.2",
        "https://github.com/google-ai-edge/LiteRT/issues/3611",
        {
            "amd64": "23be53c72eff4d44afc2f727700da185791d3ca0867bd0b5e082ec3a0de21925",
            "arm64": "46ab47310d6de120bda4678febe5eb6143f5c7d7dd17c0d017ae5f6cd67dfec5",
        },
    ),
    "tflite-runtime": Build(
        "v16.0TF2.15.1-1",
        "16.0tf2.15.1-1",
        "tflite-runtime 2.14",
        "https://github.com/google-coral/edgetpu/issues/812",
    ),
}
"""By the name of the runtime."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf"}


def remedy(runtime: str, machine: str) -> str:
    """Return what to install for a runtime on a machine.

    Args:
        runtime: ``litert`` or ``tflite-runtime``.
        machine: as :func:`platform.machine` names it.
    """
    build = BUILDS[runtime]
    architecture = _ARCHITECTURES.get(machine)
    if architecture is None:
        return f"build libedgetpu for {build.runtimes}, from {RELEASES}"
    sha256 = build.sha256.get(architecture)
    checksum = f" (sha256 {sha256})" if sha256 else ""
    return f"for {build.runtimes}, install {build.package(architecture)}{checksum}; not verified on hardware"


def fits(version: str, runtime: str) -> bool:
    """Return whether an installed package's version is that of the build for a runtime."""
    return version.rpartition("-")[0] == BUILDS[runtime].version.rpartition("-")[0]
