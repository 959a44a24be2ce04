"""Fits that take about the same CPU time, whatever the model; and intervals over seeds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.stats

from vneuron.imaging import AbstractImageModel

Build = Callable[..., AbstractImageModel]


def fit_for(
    build: Build, images: np.ndarray, seconds: float, **arguments: Any
) -> tuple[AbstractImageModel, float, float]:
    """A model trained for about so many CPU seconds, how many they were, and its passes."""
    share = images[: max(2000, len(images) // 8)]
    build(epochs=1, **arguments).fit(images[:400])  # first imports are not training
    start = time.process_time()
    build(epochs=1, **arguments).fit(share)
    a_pass = (time.process_time() - start) * len(images) / len(share)
    passes = max(1, round(seconds / a_pass))
    if a_pass > seconds:
        images = images[: int(len(images) * seconds / a_pass)]
    start = time.process_time()
    model = build(epochs=passes, **arguments).fit(images)
    return model, round(time.process_time() - start, 1), passes


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half of the 95% t interval over seeds."""
    found = np.asarray(values, dtype=float)
    if len(found) < 2:
        return float(found.mean()), float("nan")
    width = scipy.stats.t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / len(found) ** 0.5
    return float(found.mean()), float(width)
