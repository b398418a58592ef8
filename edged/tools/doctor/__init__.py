"""``edged doctor``: checks what this board can do, what is wrong, and how to fix it.

```
 examine ─▶ one check after the other, each with a deadline ─▶ the verb: lines, JSON
              │ a thread          files, sysfs, the broker, systemctl
              │ probe             a process per question: runtimes, cameras, libraries
              └ Workers           Supervisor ─▶ fork server ─▶ workers, as in the daemon
```

Anything that may crash or hang runs in another process; one that keeps hanging is left behind. A check that
fails in an unforeseen way becomes an error of that check, and the others go on.
"""

from edged.tools.doctor.examination import examine
from edged.tools.doctor.verdict import Check, Status

__all__ = ["Check", "Status", "examine"]
