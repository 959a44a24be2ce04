"""Schedules that rise or fall in a straight line."""

from __future__ import annotations

__all__ = ["ramp"]


def ramp(at: float, first: float, last: float, start: float, end: float) -> float:
    """From `first`, held until `start`, in a straight line to `last`, held from `end` on.

    Args:
        at: where training is, as a share of all updates.
        first: the value before.
        last: the value after.
        start: share of updates at which it begins to move.
        end: share at which it has arrived.

    Example:
        >>> [ramp(t, 0.0, 10.0, start=0.0, end=0.5) for t in (0.0, 0.25, 1.0)]
        [0.0, 5.0, 10.0]
    """
    share = min(max((at - start) / (end - start), 0.0), 1.0)
    return first + share * (last - first)
