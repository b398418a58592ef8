"""How a library that is missing comes to the Python that edged runs in."""

from __future__ import annotations

import sys
from pathlib import Path


def install(extra: str) -> str:
    """Return the command: with the pip of edged's own environment, for a Debian lets no other one install."""
    pip = Path(sys.prefix, "bin", "pip") if sys.prefix != sys.base_prefix else "pip"
    return f"{pip} install 'edged[{extra}]'"
