"""Finds out which regular expressions can take for ever on a line that a device made up.

Python's ``re`` tries every way to match: a repeated group that holds a repetition or an alternative has twice
as many ways for each character more. It cannot be interrupted, and while it tries, no other sensor is read.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]"  # an escape, a class
    r"|(?P<open>\()|(?P<close>\))|(?P<either>\|)"
    r"|(?P<repeat>[*+]|\{[0-9]*,?[0-9]*\})[?+]?|\?[?+]?|.",
    re.DOTALL,
)
_ONCE = {"{0}", "{1}", "{0,1}", "{,1}", "{1,1}"}


def may_run_away(pattern: str) -> bool:
    """Return whether a group that is repeated holds a repetition or an alternative.

    Args:
        pattern: a regular expression that compiles, not in verbose mode.
    """
    outer = [False]  # of each open group: it holds a repetition or an alternative
    closed = False  # of the group that ended just now
    for token in _TOKEN.finditer(pattern):
        ended, closed = closed, False
        if token["open"]:
            outer.append(False)
        elif token["close"]:
            closed = outer.pop()
            outer[-1] = outer[-1] or closed
        elif token["either"]:
            outer[-1] = True
        elif token["repeat"] and token["repeat"] not in _ONCE:
            if ended:
                return True
            outer[-1] = True
    return False
