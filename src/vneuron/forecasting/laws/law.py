r"""Laws of one number, many at a time: what is read from, and scored against, a trajectory.

A step of a path, or a sum over its steps, follows a Student t (`StudentLaw`) or a mixture of t's
with one scale and ν (`MixtureLaw`); ν = None is the Gaussian. Everything is float64 numpy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..scoring.calibration import student_pit
from ..scoring.mean_difference import mean_difference, student_density
from ..scoring.scores import Array, crps_student, nll_student

TOLERANCE = 1e-12
"""Of a mixture's quantiles, in its scale."""

MOST_STEPS = 100
"""Bisection alone needs 40 for that tolerance over a spread of a scale."""


class AbstractNumbers(ABC):
    """The distributions of an array of numbers, each by itself, as far as draws show them too."""

    @abstractmethod
    def mean(self) -> Array:
        """Expectation, [...]."""

    @abstractmethod
    def quantile(self, probability: float) -> Array:
        """The value that is not exceeded with this probability, [...].

        Args:
            probability: above 0, below 1.
        """

    @abstractmethod
    def cdf(self, y: Array) -> Array:
        """Probability of a value up to y, [...]; NaN where y is."""

    @abstractmethod
    def crps(self, y: Array) -> Array:
        """Continuous ranked probability score of y, in its unit, [...]; NaN where y is."""

    def pit(self, y: Array) -> Array:
        """Probability integral transform: F(y), but for laws with steps, which spread them."""
        return self.cdf(y)

    def median(self) -> Array:
        """The quantile of one half, [...]."""
        return self.quantile(0.5)


class AbstractLaw(AbstractNumbers):
    """The distributions of an array of numbers, each by itself, with densities."""

    @abstractmethod
    def nll(self, y: Array) -> Array:
        """Negative log density at y, nats, [...]; NaN where y is."""


@dataclass(frozen=True)
class StudentLaw(AbstractLaw):
    """t_ν(loc, scale), all in closed form.

    Attributes:
        loc: mean and median, [...].
        scale: of the t, not its standard deviation, [...].
        df: ν above 1, one or broadcastable; None is the Gaussian.

    Example:
        >>> law = StudentLaw(np.zeros(1), np.ones(1), None)
        >>> law.quantile(0.975).round(2), law.cdf(np.zeros(1))
        (array([1.96]), array([0.5]))
    """

    loc: Array
    scale: Array
    df: float | Array | None

    def mean(self) -> Array:
        """The location."""
        return self.loc

    def median(self) -> Array:
        """The location."""
        return self.loc

    def quantile(self, probability: float) -> Array:
        """In closed form."""
        return self.loc + standard_quantile(probability, self.df) * self.scale

    def cdf(self, y: Array) -> Array:
        """In closed form."""
        return student_pit(y, self.loc, self.scale, self.df)

    def nll(self, y: Array) -> Array:
        """In closed form."""
        return nll_student(y, self.loc, self.scale, self.df)

    def crps(self, y: Array) -> Array:
        """In closed form."""
        return crps_student(y, self.loc, self.scale, self.df)


@dataclass(frozen=True)
class MixtureLaw(AbstractLaw):
    r"""A mixture of t's that differ in location: \sum_s w_s t_ν(loc_s, scale).

    Density, distribution function and mean are sums over the components. Quantiles solve
    F(q) = p by Newton's method inside a bracket, to 1e-12 scales. The CRPS is exact for Gaussians
    and, for t's, exact up to the tabulated E|d + T − T'| (`mean_difference`, 1e-7 scales).

    Attributes:
        loc: of the components, [..., S].
        scale: of every component, [...].
        df: ν above 1; None is the Gaussian.
        weights: of the components, summing to one over the last axis, broadcastable to `loc`.

    Example:
        >>> law = MixtureLaw(np.array([[-1.0, 1.0]]), np.array([0.1]), None, np.full((1, 2), 0.5))
        >>> law.mean(), law.quantile(0.75).round(6), law.crps(np.zeros(1)).round(3)
        (array([0.]), array([1.]), array([0.472]))
    """

    loc: Array
    scale: Array
    df: float | None
    weights: Array

    def mean(self) -> Array:
        """Weighted mean of the locations."""
        return np.asarray((self.weights * self.loc).sum(-1))

    def quantile(self, probability: float) -> Array:
        """By Newton's method, safeguarded by a bracket."""
        components = self.loc.shape[-1]
        loc = self.loc.reshape(-1, components)
        scale = np.broadcast_to(self.scale, self.loc.shape[:-1]).reshape(-1)
        weights = np.broadcast_to(self.weights, self.loc.shape).reshape(-1, components)
        # Between the components' own quantiles lies the mixture's.
        reach = standard_quantile(probability, self.df) * scale
        low, high = loc.min(-1) + reach, loc.max(-1) + reach
        q = (weights * loc).sum(-1) + reach
        left = np.arange(q.size)
        for _ in range(MOST_STEPS):
            one = MixtureLaw(loc[left], scale[left], self.df, weights[left])
            following = one._closer(q[left], probability, low, high, left)
            moved = np.abs(following - q[left])
            q[left] = following
            left = left[moved > TOLERANCE * one.scale + np.spacing(np.abs(following))]
            if not left.size:
                break
        return np.asarray(q.reshape(self.loc.shape[:-1]))

    def _closer(
        self, q: Array, probability: float, low: Array, high: Array, rows: NDArray[np.int64]
    ) -> Array:
        """A Newton step, or half the bracket where that would leave it; narrows the bracket."""
        below, density = self._cdf_and_density(q)
        under = below < probability
        low[rows], high[rows] = np.where(under, q, low[rows]), np.where(under, high[rows], q)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            tried = q - (below - probability) / density
        # Not strictly inside: where q has been found, the step is nought and q a bound.
        inside = (tried >= low[rows]) & (tried <= high[rows])
        return np.where(inside, tried, 0.5 * (low[rows] + high[rows]))

    def _cdf_and_density(self, q: Array) -> tuple[Array, Array]:
        z = (q[..., None] - self.loc) / self.scale[..., None]
        if self.df is None:
            below, density = special.ndtr(z), np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
        else:
            below, density = special.stdtr(self.df, z), student_density(z, self.df)
        return (self.weights * below).sum(-1), (self.weights * density).sum(-1) / self.scale

    def cdf(self, y: Array) -> Array:
        """Weighted mean over the components."""
        below = student_pit(np.asarray(y)[..., None], self.loc, self.scale[..., None], self.df)
        return np.asarray((self.weights * below).sum(-1))

    def nll(self, y: Array) -> Array:
        """By log-sum-exp over the components."""
        nats = nll_student(np.asarray(y)[..., None], self.loc, self.scale[..., None], self.df)
        return np.asarray(-special.logsumexp(-nats, axis=-1, b=self.weights))

    def crps(self, y: Array) -> Array:
        r"""\sum_s w_s crps_s(y) + ½ [E|T − T'| − \sum_{rs} w_r w_s E|loc_r − loc_s + T − T'|].

        Source: Grimit, Gneiting, Berrocal and Johnson (2006), Q. J. R. Meteorol. Soc. 132, eq. 5,
        with the components' own scores put in.
        """
        own = crps_student(np.asarray(y)[..., None], self.loc, self.scale[..., None], self.df)
        weights = np.broadcast_to(self.weights, self.loc.shape)
        score = (weights * own).sum(-1)
        alone = mean_difference(np.zeros(()), self.df)
        for s in range(1, self.loc.shape[-1]):
            apart = (self.loc[..., s:] - self.loc[..., :-s]) / self.scale[..., None]
            pair = weights[..., s:] * weights[..., :-s]
            more = mean_difference(apart, self.df) - alone
            score -= self.scale * (pair * more).sum(-1)
        return np.asarray(score)


def standard_quantile(probability: float, df: float | Array | None) -> Array:
    """Quantile of the standard t with df degrees of freedom; of the normal where df is None.

    Example:
        >>> standard_quantile(0.975, None).round(2), standard_quantile(0.975, 3.0).round(2)
        (np.float64(1.96), np.float64(3.18))
    """
    if df is None:
        return np.asarray(special.ndtri(probability))
    return np.asarray(special.stdtrit(df, probability))
