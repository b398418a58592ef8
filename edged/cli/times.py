"""Times as people read them."""

from __future__ import annotations


def duration(seconds: int) -> str:
    """Return a duration in its two largest units, such as ``2 h 5 min``."""
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
