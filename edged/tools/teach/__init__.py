"""``edged teach``: teaches a model a few examples of each label, on this device.

::

    examples ──▶ a process without a network ──features, head──▶ this process ──▶ STATE_DIR/models/taught/NAME
                 that sees the pictures                         that writes files

The process that sees pictures can write nothing, and the one that writes sees no picture. What comes through
the pipe between them is checked like a file that others made.
"""

from edged.models.bundled import MODEL as BUNDLED
from edged.tools.teach.examples import Examples, checked, photographs, texts
from edged.tools.teach.setting import Setting, setting
from edged.tools.teach.teacher import Teacher, Watcher

__all__ = [
    "BUNDLED",
    "Examples",
    "Setting",
    "Teacher",
    "Watcher",
    "checked",
    "photographs",
    "setting",
    "texts",
]
