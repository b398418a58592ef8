"""``source:`` is checked by the driver that its ``kind`` names, or as readings over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

from edged import sources
from edged.config import series
from edged.config.driver_sections import ByKind
from edged.sources import Intake, SourceConfig

if TYPE_CHECKING:
    from pydantic import BaseModel

SENSORS = "sensors"  # the one kind that gives no pictures, so it is no driver of edged.sources


def _kinds() -> list[str]:
    return sorted({*sources.kinds(), SENSORS})


def _load(kind: str) -> Any:
    return series if kind == SENSORS else sources.load(kind)


SOURCES = ByKind("source", Intake, _kinds, _load)
AnySource = Annotated[Intake, SOURCES]


def driver_config(kind: str) -> type[SourceConfig]:
    """Return the ``Config`` of the source driver of that kind. Raises ``DriverError``."""
    config: type[BaseModel] = SOURCES.config(kind)
    return cast("type[SourceConfig]", config)
