"""The learning rate over a run, as a function of the step alone."""

from __future__ import annotations

import math

__all__ = ["cosine"]


def cosine(step: int, total: int, warmup: int = 0) -> float:
    """The factor on the learning rate: a linear rise, then half a cosine from one to zero.

    (step + 1) / (warmup + 1) while step < warmup, then
    ½ [1 + cos(π (step − warmup) / (total − warmup))].
    A function of the step, so that nothing has to be saved to resume it. Loshchilov and Hutter,
    "SGDR" (arXiv:1608.03983, eq. 5), without restarts.

    Args:
        step: optimiser steps done so far, from 0.
        total: steps of the whole run.
        warmup: steps of the rise; if it is `total` or more, all steps rise.

    Example:
        >>> [round(cosine(step, total=4), 2) for step in range(5)]
        [1.0, 0.85, 0.5, 0.15, 0.0]
        >>> [round(cosine(step, total=4, warmup=2), 2) for step in range(4)]
        [0.33, 0.67, 1.0, 0.5]
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if step >= total:
        return 0.0
    return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / (total - warmup)))
