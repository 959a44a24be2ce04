"""The law of a sum of counts, which is known by draws and its mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..scoring.scores import Array, crps_ensemble
from .law import AbstractLaw


@dataclass(frozen=True)
class DrawnCounts(AbstractLaw):
    """An empirical distribution, with the mean that is known exactly.

    Attributes:
        draws: on the last axis, [..., S].
        expectation: [...].

    Example:
        >>> law = DrawnCounts(np.array([[1.0, 2.0, 4.0]]), np.array([2.4]))
        >>> law.quantile(0.5), law.mean(), law.cdf(np.array([2.0])).round(2)
        (array([2.]), array([2.4]), array([0.67]))
    """

    draws: Array
    expectation: Array

    def mean(self) -> Array:
        """As known."""
        return self.expectation

    def quantile(self, probability: float) -> Array:
        """One of the draws: whole numbers stay whole."""
        return np.asarray(np.quantile(self.draws, probability, axis=-1, method="inverted_cdf"))

    def cdf(self, y: Array) -> Array:
        """Share of draws up to y."""
        y = np.asarray(y, dtype=np.float64)
        share = (self.draws <= y[..., None]).mean(-1)
        return np.where(np.isnan(y), np.nan, share)

    def pit(self, y: Array) -> Array:
        """In the middle between the shares below y and up to it, which ties draw apart."""
        y = np.asarray(y, dtype=np.float64)
        below = (self.draws < y[..., None]).mean(-1)
        return np.asarray(0.5 * (below + self.cdf(y)))

    def nll(self, y: Array) -> Array:
        """Of a Gaussian with the draws' standard deviation: draws alone have no density."""
        sd = np.maximum(self.draws.std(-1), 1e-12)
        z = (np.asarray(y) - self.expectation) / sd
        return np.asarray(0.5 * z * z + np.log(sd) + 0.5 * np.log(2.0 * np.pi))

    def crps(self, y: Array) -> Array:
        """Unbiased for the distribution that was drawn from."""
        return crps_ensemble(y, self.draws)
