"""What is examined: this machine, its configuration where there is one, and the daemon that may run on it."""

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
    """What is examined.

    Attributes:
        path: of the configuration.
        config: None where there is none that can be read.
        why_not: why there is none, in a sentence.
        given: somebody named the file, so that it has to be there.
        root: of the file system; another one for tests.
        daemon: what the running daemon says of itself, as ``edged status`` shows it; empty where none runs.
        unit: what systemd says of the service; None where there is no systemd.
    """

    path: Path
    config: Config | None = None
    why_not: str = ""
    given: bool = False
    root: Path = Path("/")
    daemon: Mapping[str, Any] = field(default_factory=dict)
    unit: Mapping[str, str] | None = None

    def runs(self, pipeline: str) -> bool:
        """Whether the daemon runs a pipeline now, so that it has its devices."""
        return self.daemon_says(pipeline).get("state") == "running"

    def daemon_says(self, pipeline: str) -> Mapping[str, Any]:
        """Return what the daemon says of a pipeline; nothing where it does not know it."""
        says: Mapping[str, Any] = self.daemon.get("pipelines", {}).get(pipeline, {})
        return says


def subject(path: Path, root: Path, *, given: bool) -> Subject:
    """Read the configuration and ask who runs; never raises for what they say."""
    config, why_not = None, ""
    if not given and not os.path.lexists(path):
        why_not = f"there is no configuration: no {path}"
    else:
        try:
            config = loader.load(path)
        except ConfigError:
            why_not = f"the configuration {path} cannot be used"
    found = status_file.read(config.run_dir if config is not None else config_root.run_dir())
    daemon = {} if found.trouble else found.data
    return Subject(path, config, why_not, given, root, daemon, service.ask(root))
