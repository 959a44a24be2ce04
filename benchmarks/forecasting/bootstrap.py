"""Intervals for means over windows that overlap: blocks of origins are drawn, whole."""

from __future__ import annotations

import numpy as np


def means(values: np.ndarray, block: int, draws: int = 2000, seed: int = 0) -> np.ndarray:
    """Bootstrap means of values [origins, ...] by circular blocks of origins, [draws, ...]."""
    count = len(values)
    block = min(block, count)
    generator = np.random.default_rng(seed)
    starts = generator.integers(count, size=(draws, -(-count // block)))
    picked = (starts[..., None] + np.arange(block)).reshape(draws, -1)[:, :count] % count
    flat = values.reshape(count, -1)
    weights = np.stack([np.bincount(row, minlength=count) for row in picked]) / count
    return (weights @ flat).reshape(draws, *values.shape[1:])


def interval(values: np.ndarray, block: int, level: float = 0.95) -> tuple[float, float, float]:
    """Mean of values [origins], and the ends of its interval."""
    tail = 0.5 - level / 2
    low, high = np.quantile(means(values, block), [tail, 1 - tail])
    return float(values.mean()), float(low), float(high)
