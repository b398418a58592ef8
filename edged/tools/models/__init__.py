"""``edged models``: the catalogue, and models that are downloaded, tried and installed by name.

```
 catalogue, address or file ─▶ download ─▶ checks ─▶ self-test in a worker's process ─▶ STATE_DIR/models
```
"""

from edged.tools.models.download import Watcher
from edged.tools.models.inspection import describe, listing
from edged.tools.models.installation import Installer, Wish, in_use, publishers, state_dir

__all__ = ["Installer", "Watcher", "Wish", "describe", "in_use", "listing", "publishers", "state_dir"]
