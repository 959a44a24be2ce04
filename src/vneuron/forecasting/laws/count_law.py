r"""Laws of one count, many at a time: negative binomial, and Poisson."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special

from ...functional import negative_binomial
from ..scoring.scores import Array, as_float64
from .law import AbstractLaw

_TAIL = 1e-12
_SUMMED = 48
WIDE = 4096
"""Counts in a table from which on bisection may be shorter."""
_NODES, _WEIGHTS = (np.asarray(part) for part in np.polynomial.legendre.leggauss(48))


@dataclass(frozen=True)
class CountLaw(AbstractLaw):
    """Counts of mean µ and variance µ + α µ².

    Attributes:
        rate: µ, [...].
        dispersion: α, [...]; None is Poisson.

    Example:
        >>> law = CountLaw(np.array([3.0]), None)
        >>> law.quantile(0.5), law.cdf(np.array([0.0])).round(4)
        (array([3.]), array([0.0498]))
    """

    rate: Array
    dispersion: Array | None

    def mean(self) -> Array:
        """The rate."""
        return self.rate

    def quantile(self, probability: float) -> Array:
        """The smallest count with F(k) ≥ p, by bisection between whole numbers."""
        low = np.full(self.rate.shape, -1.0)
        high = np.ceil(self.rate + 8.0 * self.sd()) + 1.0
        while bool((short := self.cdf(high) < probability).any()):
            high = np.where(short, 2.0 * high, high)
        while bool((high - low > 1.0).any()):
            middle = np.floor(0.5 * (low + high))
            enough = self.cdf(middle) >= probability
            # Where the bracket has closed, middle is low, and stays below.
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return high

    def sd(self) -> Array:
        """Standard deviation, [...]."""
        extra = 0.0 if self.dispersion is None else self.dispersion * self.rate**2
        return np.asarray(np.sqrt(self.rate + extra))

    def cdf(self, y: Array) -> Array:
        """Probability of a count up to y, by the incomplete beta or gamma function."""
        k = np.floor(np.asarray(y, dtype=np.float64))
        return self._below(k)

    def pit(self, y: Array) -> Array:
        """Uniform between F(y − 1) and F(y): where the law holds, uniform as a whole.

        The place in between is drawn from a fixed seed. Source: Czado, Gneiting and Held,
        Biometrics 65 (2009), section 2.1.
        """
        above = self.cdf(y)
        below = self.cdf(np.asarray(y) - 1.0)
        place = np.random.default_rng(0).random(np.shape(above))
        return np.asarray(below + place * (above - below))

    def nll(self, y: Array) -> Array:
        """Negative log mass at y, nats; NaN where y is."""
        known = np.isfinite(y)
        counts = torch.from_numpy(np.where(known, y, 0.0))
        dispersion = None if self.dispersion is None else torch.as_tensor(self.dispersion)
        nats = negative_binomial.nll(counts, torch.as_tensor(self.rate), dispersion)
        return np.where(known, as_float64(nats), np.nan)

    def crps(self, y: Array) -> Array:
        r"""E|Y − y| − ½ E|Y − Y'|, the second as \sum_k F(k) (1 − F(k)).

        .. math:: E|Y - y| = y (2 F(y) - 1) + \mu (1 - 2 F^*(y - 1))

        with F* the law of n + 1 in place of n = 1/α: k f(k) = µ f*(k − 1). Exact, but for wide
        laws, whose sum over k ≥ 48 is an integral by 48 nodes (within 1e-6 standard deviations).
        """
        y = np.asarray(y, dtype=np.float64)
        moved = self._below(np.floor(y) - 1.0, more=1.0)
        apart = y * (2.0 * self.cdf(y) - 1.0) + self.rate * (1.0 - 2.0 * moved)
        return np.asarray(apart - self._half_difference())

    def _half_difference(self) -> Array:
        last = self.quantile(1.0 - _TAIL)
        first = np.maximum(self.quantile(_TAIL), 0.0)
        total = np.zeros(self.rate.shape)
        for k in range(_SUMMED):  # whole numbers one by one, from the lowest that counts
            below = self._below(first + k)
            total += np.where(first + k <= last, below * (1.0 - below), 0.0)
        start = first + _SUMMED
        if bool((start < last).any()):
            # Midpoints: \sum_{k=a}^{b} g(k) = \int_{a−½}^{b+½} g + g'(a − ½)/24, as g' ends at 0.
            inside = start <= last
            edge = [self._below(start - back) for back in (0.0, 1.0)]
            slope = edge[0] * (1.0 - edge[0]) - edge[1] * (1.0 - edge[1])
            total += np.where(inside, slope / 24.0, 0.0)
            length = np.maximum(last - start + 1.0, 0.0)
            for node, weight in zip(_NODES, _WEIGHTS, strict=True):
                part = 0.5 * (node + 1.0)  # cubed: nodes lie where the law falls, not in its tail
                below = self._below(start - 0.5 + part**3 * length)
                total += 1.5 * weight * part**2 * length * below * (1.0 - below)
        return total

    def _below(self, k: NDArray[np.float64], more: float = 0.0) -> Array:
        """F(k), with `more` added to the shape 1/α; NaN where k is."""
        at = np.maximum(k, 0.0) + 1.0
        if self.dispersion is None:
            found = special.gammaincc(at, self.rate)
        else:
            shape = np.minimum(1.0 / self.dispersion, negative_binomial.MOST_SHAPE)
            odds = shape / (shape + self.rate)  # of the rate as it is, whatever is added
            found = special.betainc(shape + more, at, odds)
        return np.where(k < 0.0, 0.0, found)


def counts_at(probability: Array, law: CountLaw, budget: int = 4_000_000) -> Array:
    """The counts with given cumulative probabilities: many for each law.

    From tables of each law's counts between its quantiles 1e-9 and 1 − 1e-9; where a table would
    be wide, and longer than bisection for every draw takes, by bisection between the same ends.

    Args:
        probability: within (0, 1), [n, draws].
        law: over [n].
        budget: entries of tables held at once.

    Returns:
        Whole numbers, [n, draws].

    Example:
        >>> law = CountLaw(np.array([3.0]), None)
        >>> counts_at(np.array([[0.01, 0.5, 0.99]]), law)
        array([[0., 3., 8.]])
    """
    first = np.maximum(law.quantile(1e-9), 0.0)
    width = law.quantile(1.0 - 1e-9) - first + 1.0
    result = np.empty_like(probability)
    draws = probability.shape[1]
    wide = width > np.maximum(WIDE, draws * np.log2(width + 1.0))
    at_once = max(budget // max(draws, 1), 1)
    for rows in np.array_split(np.flatnonzero(wide), -(-int(wide.sum()) // at_once) or 1):
        last = first[rows] + width[rows] - 1.0
        result[rows] = _bisected(probability[rows], _some(law, rows), first[rows], last)
    order = np.argsort(width, kind="stable")
    order = order[~wide[order]]
    start = 0
    while start < len(order):
        # Laws in order of width: as many at once as their widest allows.
        count = 1
        while start + count < len(order) and (count + 1) * width[order[start + count]] <= budget:
            count += 1
        rows = order[start : start + count]
        k = first[rows, None] + np.arange(width[rows].max())
        table = torch.from_numpy(_some(law, rows).cdf(k))
        place = torch.searchsorted(table, torch.from_numpy(probability[rows].copy()))
        result[rows] = first[rows, None] + np.minimum(as_float64(place), k.shape[1] - 1.0)
        start += count
    return result


def _some(law: CountLaw, rows: NDArray[np.intp]) -> CountLaw:
    """Some of the laws, [rows, 1]."""
    dispersion = None if law.dispersion is None else law.dispersion[rows, None]
    return CountLaw(law.rate[rows, None], dispersion)


def _bisected(probability: Array, law: CountLaw, first: Array, last: Array) -> Array:
    """The smallest counts from first to last with F(k) ≥ p, [rows, draws]; last where none is."""
    low = np.broadcast_to(first[:, None] - 1.0, probability.shape)
    high = np.broadcast_to(last[:, None], probability.shape)
    while bool((high - low > 1.0).any()):
        middle = np.floor(0.5 * (low + high))
        enough = law.cdf(middle) >= probability
        open_still = high - low > 1.0
        low = np.where(open_still & ~enough, middle, low)
        high = np.where(open_still & enough, middle, high)
    return np.asarray(high)
