"""``source:`` is checked by the driver that its ``kind`` names."""

from __future__ import annotations

from edged.sources import SourceConfig

AnySource = SourceConfig
