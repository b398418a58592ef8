"""Takes from the configuration what ``edged teach`` needs: where models are, and the camera for them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edged.config import loader, root
from edged.models.taught.store import Store
from edged.sources import SourceConfig
from edged.tools.try_ import choice

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edged.config.root import Config, PipelineSection
    from edged.sources import InputConfig


@dataclass(frozen=True)
class Setting:
    """The setting of a lesson.

    Attributes:
        state_dir: the state directory.
        pipeline: the one that uses the taught model, if there is one: pictures are prepared as there.
    """

    state_dir: Path
    pipeline: PipelineSection | None = None

    @property
    def fit(self) -> str:
        """The way in which pictures are fitted to the embedder's input."""
        return self.pipeline.model.fit if self.pipeline is not None else "stretch"

    @property
    def values(self) -> Mapping[str, Any]:
        """The keys of ``model`` about the values of pixels."""
        if self.pipeline is None:
            return {}
        return self.pipeline.model.model_dump(
            mode="json", include={"normalize", "channels"}, exclude_none=True
        )

    def camera(self, text: str) -> Mapping[str, Any]:
        """Return the section of the source that a command line names.

        Args:
            text: as for ``edged try --source``; ``camera`` is that of the pipeline, if there is one.

        Raises:
            Refused: there is no such source.
        """
        used = self.pipeline.source if self.pipeline is not None else None
        section: InputConfig
        if text == "camera" and isinstance(used, SourceConfig):
            section = used
        else:
            section = choice.pipeline(choice.Options(source=text))[0].source
        return {**section.model_dump(mode="json"), "interval_s": 0}


def setting(config: Path, name: str | None, *, given: bool) -> Setting:
    """Return the setting.

    Args:
        config: the configuration.
        name: the taught model.
        given: the command line names the configuration, so it has to exist.

    Raises:
        ConfigError: the configuration is wrong, or missing although it was named.
    """
    if not given and not os.path.lexists(config):
        return Setting(root.state_dir())
    read = loader.load(config)
    return Setting(read.state_dir, _user(read, name))


def _user(config: Config, name: str | None) -> PipelineSection | None:
    """Return the first pipeline that uses a taught model."""
    if name is None:
        return None
    folder = Store(config.state_dir).folder(name)
    return next((p for p in config.pipelines.values() if p.model.taught == folder), None)
