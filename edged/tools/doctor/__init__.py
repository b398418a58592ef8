"""``edged doctor``: what this board can do, what is wrong, how to mend it.

```
 examine ─▶ one check after the other, each with a deadline ─▶ view: lines, JSON
              │ own thread        files, sysfs, the broker, systemctl
              │ survey            a process for each question: runtimes, cameras, libraries
              └ Workers           Supervisor ─▶ fork server ─▶ workers, as the daemon has them
```

What can crash or hang happens in other processes, and what goes on hanging is left behind. A check that fails
in a way that nobody thought of is an error of this check, and the others go on.
"""

from edged.tools.doctor.examination import examine
from edged.tools.doctor.verdict import Check, Status

__all__ = ["Check", "Status", "examine"]
