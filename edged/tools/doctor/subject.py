"""The subject of the checks: this machine, its configuration, and the daemon that may run on it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.config import loader
from edged.config import root as config_root
from edged.daemon import status_file
from edged.errors import ConfigError
from edged.tools.doctor.checks import service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.config.root import Config


@dataclass(frozen=True)
class Subject:
    """The subject of the checks.

    Attributes:
        path: the configuration file.
        config: the configuration; None where it cannot be read.
        why_not: why it cannot be read, in a sentence.
        given: whether the file was named on the command line, so that it has to exist.
        root: the root of the file system; another one in tests.
        daemon: the running daemon's health, as ``edged status`` shows it; empty where none runs.
        unit: the service's properties, as systemd reports them; None where there is no systemd.
    """

    path: Path
    config: Config | None = None
    why_not: str = ""
    given: bool = False
    root: Path = Path("/")
    daemon: Mapping[str, Any] = field(default_factory=dict)
    unit: Mapping[str, str] | None = None

    def runs(self, pipeline: str) -> bool:
        """Return whether the daemon runs a pipeline now, so that it holds its devices."""
        return self.daemon_says(pipeline).get("state") == "running"

    def daemon_says(self, pipeline: str) -> Mapping[str, Any]:
        """Return the daemon's health of a pipeline; empty where it has no such pipeline."""
        says: Mapping[str, Any] = self.daemon.get("pipelines", {}).get(pipeline, {})
        return says


def subject(path: Path, root: Path, *, given: bool) -> Subject:
    """Return the subject; a configuration or daemon that cannot be read is part of it, not an error."""
    config, why_not = None, ""
    if not given and not os.path.lexists(path):
        why_not = f"there is no configuration: {path} does not exist"
    else:
        try:
            config = loader.load(path)
        except ConfigError:
            why_not = f"the configuration {path} cannot be used"
    found = status_file.read(config.run_dir if config is not None else config_root.run_dir())
    daemon = {} if found.trouble else found.data
    return Subject(path, config, why_not, given, root, daemon, service.ask(root))
