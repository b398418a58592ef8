"""``source:`` is checked by the driver that its ``kind`` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

from edged import sources
from edged.config.by_kind import ByKind
from edged.sources import SourceConfig

if TYPE_CHECKING:
    from pydantic import BaseModel

SOURCES = ByKind("source", SourceConfig, sources.kinds, sources.load)
AnySource = Annotated[SourceConfig, SOURCES]


def driver_config(kind: str) -> type[SourceConfig]:
    """Return the ``Config`` of the source driver of that kind. Raises ``DriverError``."""
    config: type[BaseModel] = SOURCES.config(kind)
    return cast("type[SourceConfig]", config)
