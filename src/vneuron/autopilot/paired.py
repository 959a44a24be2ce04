"""Whether one model's losses are below another's on the same windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Paired", "paired_test"]

DRAWS = 2000


@dataclass(frozen=True)
class Paired:
    """A mean difference and how sure it is.

    Attributes:
        mean: first less second; below zero the first is better.
        low: lower end of its 95% interval.
        high: upper end.
        p: two-sided, of no difference.
        origins: forecasts' origins it rests on.
    """

    mean: float
    low: float
    high: float
    p: float
    origins: int


def paired_test(
    first: npt.NDArray[np.float64], second: npt.NDArray[np.float64], block: int, seed: int = 0
) -> Paired:
    """Mean of the differences, by a circular block bootstrap over origins.

    Windows that overlap share what they are judged on, so that origins are drawn in blocks of a
    horizon (Politis and Romano 1992). The p-value is twice the smaller share of bootstrap means on
    one side of zero, at least 2 / (draws + 1).

    Args:
        first: losses by origin, in the order of time, [origins].
        second: the other's.
        block: origins per block: the horizon over the step between origins.
        seed: of the draws.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=400)
        >>> found = paired_test(noise - 1.0, noise, block=10)
        >>> found.mean, found.high < 0
        (-1.0, True)
    """
    difference = first - second
    count = len(difference)
    block = min(max(block, 1), count)
    generator = np.random.default_rng(seed)
    around = np.concatenate([difference, difference[: block - 1]])
    sums = np.cumsum(np.concatenate([[0.0], around]))
    blocks = (sums[block:] - sums[:-block])[:count] / block
    picks = generator.integers(count, size=(DRAWS, max(-(-count // block), 1)))
    means = blocks[picks].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    tail = min(int((means >= 0).sum()), int((means <= 0).sum()))
    p = min(1.0, 2.0 * (tail + 1) / (DRAWS + 1))
    return Paired(float(difference.mean()), float(low), float(high), float(p), count)
