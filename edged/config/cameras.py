"""``cameras:`` sources of pictures for several pipelines, which name one in the place of ``source``.

A pipeline with ``camera`` gets that camera's block as its ``source``, with its own ``crop``, ``rotate`` and
``interval_s`` in it: whatever reads a pipeline finds its source there, shared or not.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from edged.config.error_messages import closest
from edged.drivers import wrong

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import PydanticCustomError

    from edged.config.pipeline import PipelineSection
    from edged.sources import SourceConfig

OWN = ("interval_s", "rotate", "crop")  # the keys of a source that each pipeline may have for itself


def check(cameras: Mapping[str, SourceConfig]) -> None:
    """Refuse what several pipelines cannot share. Raises ``PydanticCustomError``."""
    for name, camera in cameras.items():
        if key := camera.given_once:
            message = f"{key} gives each picture to one pipeline; write it as the source of that pipeline"
            raise wrong(message, name, key)


def with_sources(pipelines: Mapping[Any, Any], cameras: Mapping[str, SourceConfig] | None) -> dict[Any, Any]:
    """Return pipelines as they were read, with the sources of those that name a camera.

    Args:
        pipelines: the blocks, not validated yet.
        cameras: None: they are wrong, and pipelines that need one are left out.

    Raises:
        PydanticCustomError: a pipeline names a camera that there is not, or has a source as well.
    """
    found: dict[Any, Any] = {}
    for name, block in pipelines.items():
        named = block.get("camera") if isinstance(block, dict) else None
        if not isinstance(named, str):
            found[name] = block
        elif block.get("source") is not None:
            raise wrong("write source or camera, not both", name, "camera")
        elif cameras is not None:
            if named not in cameras:
                raise _unknown(name, named, cameras)
            found[name] = {**block, "source": cameras[named]}
    return found


def _unknown(name: str, named: str, cameras: Mapping[str, SourceConfig]) -> PydanticCustomError:
    available = f"available: {', '.join(sorted(cameras))}" if cameras else "write it under cameras"
    hint = closest(named, cameras)
    message = f"there is no camera '{named[:32]}'; {available}" + (f"; {hint}" if hint else "")
    return wrong(message, name, "camera")


def with_own_keys(pipelines: Mapping[str, PipelineSection]) -> dict[str, PipelineSection]:
    """Return the pipelines with their own crop, rotation and interval in the sources that they share.

    Raises:
        PydanticCustomError: one turns a picture in which the camera has a mask.
    """
    return {name: _with_own_keys(name, section) for name, section in pipelines.items()}


def _with_own_keys(name: str, section: PipelineSection) -> PipelineSection:
    own = {key: value for key in OWN if (value := getattr(section, key)) is not None}
    if not own:
        return section
    if "rotate" in own and getattr(section.source, "mask", None):
        message = "the mask of the camera is written for its own rotation: write rotate there"
        raise wrong(message, name, "rotate")
    return section.model_copy(update={"source": section.source.model_copy(update=own)})


def shared(pipelines: Mapping[str, PipelineSection]) -> dict[str, list[str]]:
    """Return the names of the pipelines of each camera, by its name."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, section in pipelines.items():
        if section.camera is not None:
            found[section.camera].append(name)
    return found


def check_accelerators(pipelines: Mapping[str, PipelineSection]) -> None:
    """Refuse pipelines that cannot share a worker, as those of one camera do.

    A worker has one accelerator. One that a pipeline requires ends its worker when it is away.

    Raises:
        PydanticCustomError: two pipelines of a camera have different accelerators, or not all require it.
    """
    for camera, names in shared(pipelines).items():
        for other, name in itertools.combinations(names, 2):
            mine, theirs = pipelines[name].accelerator, pipelines[other].accelerator
            both = f"pipelines {other} and {name} share camera {camera}"
            if "cpu" not in (mine.policy, theirs.policy) and _device(mine) != _device(theirs):
                raise wrong(f"{both}, so they need the same accelerator", name, "accelerator")
            if mine.policy != theirs.policy and "require" in (mine.policy, theirs.policy):
                strict = name if mine.policy == "require" else other
                message = f"{both}, so either both require the accelerator or none: write prefer"
                raise wrong(message, strict, "accelerator", "policy")


def _device(accelerator: Any) -> tuple[object, ...]:
    return accelerator.kind, accelerator.library, accelerator.port, sorted(accelerator.options.items())
