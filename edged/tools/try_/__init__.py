"""``edged try``: one pipeline without a configuration, run by the daemon's supervisor and workers.

```
 --source ─▶ choice ─▶ one PipelineSection ─▶ Supervisor ─▶ Trial ─▶ View: table, lines, JSON
                                                               └───▶ --broker: EventPublisher ─▶ MQTT
```
"""

from edged.tools.try_.choice import Options
from edged.tools.try_.run import View, run_trial

__all__ = ["Options", "View", "run_trial"]
