"""Chooses the best model within a budget of time. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def choose(results: Sequence[dict[str, Any]], budget_ms: float) -> dict[str, Any] | None:
    """Return the most accurate result whose median latency is within a budget; None where none is.

    The accuracy is what was measured, or without photographs what the catalogue says was published; where
    nothing is known of any model, the choice is the fastest, and ``by`` is empty. ``as_good`` names those
    that are faster and whose accuracy cannot be told apart on so few photographs.
    """
    within = [r for r in results if not r["error"] and r["latency_ms"]["p50"] <= budget_ms]
    if not within:
        return None
    key = next((k for k in ("top1", "published") if any(r.get(k) is not None for r in within)), "")
    known = [r for r in within if not key or r[key] is not None]
    best = min(known, key=lambda r: (-r[key] if key else 0, r["latency_ms"]["p50"]))
    chosen = {name: best[name] for name in ("model", "runtime", "threads", "accelerator")}
    return chosen | {
        "p50_ms": best["latency_ms"]["p50"],
        "accuracy": best[key] if key else None,
        "by": {"top1": "measured", "published": "published"}.get(key, ""),
        "as_good": _as_good(best, known) if key == "top1" else [],
    }


def _as_good(best: dict[str, Any], others: Sequence[dict[str, Any]]) -> list[str]:
    low = best["top1_interval"][0]
    names = (
        other["model"]
        for other in sorted(others, key=lambda r: r["latency_ms"]["p50"])
        if other["latency_ms"]["p50"] < best["latency_ms"]["p50"]
        and other["model"] != best["model"]
        and other["top1"] >= low
    )
    return list(dict.fromkeys(names))
