"""``edged try``: a pipeline without a configuration, through the same supervisor and the same workers.

```
 --source ─▶ _choice ─▶ one PipelineSection ─▶ Supervisor ─▶ _Trial ─▶ view: table, lines, JSON
                                                                └────▶ --broker: Reporter ─▶ MQTT
```
"""

from edged.trial._options import Options
from edged.trial._trial import attempt
from edged.trial._views import View, view

__all__ = ["Options", "View", "attempt", "view"]
