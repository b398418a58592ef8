"""What the page shows: a pipeline of the configuration, or a source that the command line names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.config import loader, root
from edged.daemon import status_file
from edged.errors import Refused
from edged.sources import SourceConfig
from edged.tools.try_ import choice

if TYPE_CHECKING:
    from pathlib import Path

    from edged.config.root import Config, PipelineSection

NAME = "page"


@dataclass(frozen=True)
class Subject:
    """The pipeline that is shown.

    Attributes:
        name: its name.
        section: its configuration; whatever would keep it from classifying is left out.
        source: a description of its source.
        run_dir: the run directory.
        isolation: required | optional.
        left_out: the keys of its configuration that do not hold here.
    """

    name: str
    section: PipelineSection
    source: str
    run_dir: Path
    isolation: str = "optional"
    left_out: tuple[str, ...] = ()


def of_options(options: choice.Options) -> Subject:
    """Return a source with a model, as ``edged try`` shows them.

    Raises:
        Refused: a file does not exist, there is no camera, or the source gives no pictures.
        ModelError: a taught model cannot be used.
    """
    section, description = choice.pipeline(options)
    _pictures_only(NAME, section)
    return Subject(NAME, section, description, root.run_dir())


def of_configuration(path: Path, name: str | None) -> Subject:
    """Return a pipeline of a configuration.

    Args:
        path: the configuration.
        name: the pipeline; None: the only one.

    Raises:
        ConfigError: the configuration is wrong.
        Refused: there is no such pipeline, it has no pictures, or the running service holds its camera.
    """
    config = loader.load(path)
    names = ", ".join(config.pipelines) or "none"
    if name is None and len(config.pipelines) == 1:
        (name,) = config.pipelines
    if name is None:
        raise Refused(f"write --pipeline, one of {names}", os.EX_USAGE)
    if name not in config.pipelines:
        raise Refused(f"there is no pipeline {name}; there are: {names}", os.EX_USAGE)
    section = config.pipelines[name]
    _pictures_only(name, section)
    _not_in_use(name, config)
    waits = ("gate", "trigger", "attach")
    left_out = tuple(key for key in waits if getattr(section, key))
    free = section.model_copy(update={"gate": None, "trigger": None, "attach": (), "enabled": True})
    return Subject(name, free, f"{name} of {path.name}", config.run_dir, config.isolation, left_out)


def _pictures_only(name: str, section: PipelineSection) -> None:
    if not isinstance(section.source, SourceConfig):
        what = f"{name}: its source, {section.source.kind}, gives {section.source.gives}, not pictures"
        raise Refused(what, os.EX_USAGE)


def _not_in_use(name: str, config: Config) -> None:
    """Refuse a camera that the running service holds, for this pipeline or for others that share it.

    A service's worker shows nobody its pictures, whoever asks: otherwise whoever has taken main over, which
    has the network, would get them.
    """
    section = config.pipelines[name]
    found = status_file.read(config.run_dir)
    running = found.data.get("pipelines")
    if found.trouble or not section.source.holds or not isinstance(running, dict):
        return
    for user, other in config.pipelines.items():
        state = running.get(user)
        shares = user == name or (section.camera is not None and other.camera == section.camera)
        if shares and isinstance(state, dict) and state.get("enabled", True):
            raise Refused(
                f"the running service holds the camera of {name}, and shows nobody its pictures: "
                "sudo systemctl stop edged, and start it again afterwards"
            )
