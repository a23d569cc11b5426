"""Percentiles of what was measured."""

from collections.abc import Sequence
from typing import Final

PERCENTILES: Final = (50, 95, 99)


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest rank: a value that was measured, never one between two."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99, and how many values they are of."""
    named = {f"p{percent}": round(percentile(values, percent), 6) for percent in PERCENTILES}
    return {"count": len(values), **named, "max": round(max(values), 6)}
