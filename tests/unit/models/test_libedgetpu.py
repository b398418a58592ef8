from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from edged.models import libedgetpu
from edged.models.runtimes import RUNTIMES

ROLE = Path(__file__).resolve().parents[3] / "deploy/roles/edged"


def test_each_runtime_has_its_build_with_a_statement_and_hashes_that_are_hashes() -> None:
    assert libedgetpu.BUILDS.keys() == RUNTIMES.keys()
    for build in libedgetpu.BUILDS.values():
        assert build.statement.startswith("https://github.com/")
        assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in build.sha256.values())
        assert build.version.lower() == build.tag.removeprefix("v").lower()


def test_the_remedy_is_the_package_for_the_machine() -> None:
    told = libedgetpu.remedy("litert", "aarch64")
    assert "/16.0TF2.19.1-1/libedgetpu1-std_16.0tf2.19.1-1.bookworm_arm64.deb (sha256 46ab" in told
    assert "not verified on hardware" in told
    assert "(sha256" not in libedgetpu.remedy("tflite-runtime", "aarch64")
    assert "build libedgetpu for ai-edge-litert" in libedgetpu.remedy("litert", "riscv64")


@pytest.mark.parametrize(
    ("version", "runtime", "fits"),
    [
        ("16.0tf2.19.1-1", "litert", True),
        ("16.0tf2.19.1-2", "litert", True),
        ("16.0tf2.19.1-1", "tflite-runtime", False),
        ("16.0tf2.15.1-1", "tflite-runtime", True),
        ("16.0", "litert", False),
        ("14.1", "tflite-runtime", False),
    ],
)
def test_a_package_fits_the_runtime_whose_build_it_is(version: str, runtime: str, fits: bool) -> None:
    assert libedgetpu.fits(version, runtime) is fits


def test_the_role_installs_the_same_builds() -> None:
    found = yaml.safe_load((ROLE / "vars/main.yml").read_text("utf-8"))["__edged_libedgetpu"]
    build = libedgetpu.BUILDS["litert"]
    assert found == {
        architecture: {"url": build.package(architecture), "sha256": sha256}
        for architecture, sha256 in build.sha256.items()
    }
