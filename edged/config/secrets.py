"""Secrets stand in files of their own and never in the configuration, a log line or a repr."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

SecretFile = Annotated[Path, "secret"]
