"""The sentence about a process that keeps the network although it should not, in one wording everywhere."""

from __future__ import annotations

REMEDY = "install libseccomp2, or write isolation: optional to run all the same"


def not_isolated(who: str) -> str:
    """Return the sentence; ``who`` is such as ``the sensor worker`` or ``WARNING: this process``."""
    return (
        f"{who} is not cut off from the network: "
        "neither a seccomp filter nor a network namespace is available here"
    )
