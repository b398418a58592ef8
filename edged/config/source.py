"""``source:`` is read by the driver that its ``kind`` names."""

from __future__ import annotations

from typing import Annotated

from edged import sources
from edged.config.driver_sections import ByKind
from edged.sources import InputConfig

SOURCES = ByKind("source", InputConfig, sources.kinds, sources.load)
AnySource = Annotated[InputConfig, SOURCES]
