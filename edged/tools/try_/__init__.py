"""``edged try``: a pipeline without a configuration, through the same supervisor and the same workers.

```
 --source ─▶ _choice ─▶ one PipelineSection ─▶ Supervisor ─▶ _Trial ─▶ view: table, lines, JSON
                                                                └────▶ --broker: EventPublisher ─▶ MQTT
```
"""

from edged.tools.try_.options import Options
from edged.tools.try_.run import attempt
from edged.tools.try_.views import View, view

__all__ = ["Options", "View", "attempt", "view"]
