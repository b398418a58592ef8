"""Removes user and password from addresses before they are shown."""

from __future__ import annotations

import re

# Greedy up to the last @: a password may contain characters that a well-formed address would escape.
_IN_URL = re.compile(r"(?<=://)[^\s\"']*@")


def redact(text: str) -> str:
    """Return the text with ``user:password@`` of every address in it replaced by ``***@``."""
    return _IN_URL.sub("***@", text)
