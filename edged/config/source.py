"""``source:``, and each of ``cameras:``, is read by the driver that its ``kind`` names."""

from __future__ import annotations

from typing import Annotated

from edged import sources
from edged.config.driver_sections import ByKind
from edged.errors import DriverError
from edged.sources import InputConfig, SourceConfig

SOURCES = ByKind("source", InputConfig, sources.kinds, sources.load)
AnySource = Annotated[InputConfig, SOURCES]


def _kinds_of_pictures() -> list[str]:
    return [kind for kind in sources.kinds() if _may_give_pictures(kind)]


def _may_give_pictures(kind: str) -> bool:
    try:
        return issubclass(SOURCES.config(kind), SourceConfig)
    except DriverError:  # whoever names it is told why it cannot be loaded
        return True


CAMERAS = ByKind("camera", SourceConfig, _kinds_of_pictures, sources.load)
AnyCamera = Annotated[SourceConfig, CAMERAS]
