r"""Calibration: do stated probabilities come true?

All of it follows from the probability integral transform u = F(y), which is uniform on [0, 1] for
a calibrated forecast: the central interval of nominal coverage ℓ holds y exactly when
|2u − 1| ≤ ℓ. ``PitSummary`` keeps bins only, so a test set of any size passes through it.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from .quantile_scores import LEVELS
from .scores import Array, Values, as_float64, check_levels, standardise


def student_pit(y: Values, loc: Values, scale: Values, df: Values | None) -> Array:
    r"""F(y) under a Student t, F_ν((y − loc)/scale); the Gaussian's where df is None or infinite.

    Args:
        y: what came, any shape.
        loc: location, broadcastable.
        scale: scale (not the standard deviation), broadcastable.
        df: ν > 0, broadcastable, or None.

    Returns:
        Probabilities, broadcast shape; NaN where y is missing.

    Raises:
        ValueError: a scale that is not positive.

    Example:
        >>> student_pit([0.0, 1.0], 0.0, 1.0, None).round(4)
        array([0.5   , 0.8413])
        >>> student_pit(1.0, 0.0, 1.0, 1.0).round(4)
        np.float64(0.75)
    """
    z, _ = standardise(y, loc, scale)
    if df is None:
        return np.asarray(special.ndtr(z))
    return np.asarray(special.stdtr(as_float64(df), z))


def ensemble_pit(y: Values, draws: Values, rng: np.random.Generator) -> Array:
    """Randomised PIT of draws: uniform when y and the draws are exchangeable, ties included.

    Args:
        y: what came, [...].
        draws: [..., m].
        rng: breaks ties, and spreads each rank over its 1/(m + 1).

    Returns:
        Probabilities in [0, 1), [...]; NaN where y is missing. Source: Czado, Gneiting and Held
        (2009), Biometrics 65, eq. 1, in its form for ranks.

    Example:
        >>> u = ensemble_pit(0.5, [0.0, 1.0, 2.0], np.random.default_rng(0))
        >>> bool(0.25 <= u < 0.5)
        True
    """
    y = as_float64(y)
    draws = as_float64(draws)
    below = (draws < y[..., None]).sum(axis=-1)
    equal = (draws == y[..., None]).sum(axis=-1)
    place = (below + rng.random(y.shape) * (equal + 1)) / (draws.shape[-1] + 1)
    return np.where(np.isnan(y), np.nan, place)


def pit_histogram(pit: Values, bins: int = 20) -> Array:
    """Share of the PIT in each of ``bins`` equal cells of [0, 1]; flat at 1/bins if calibrated.

    Raises:
        ValueError: no value that is not missing.

    Example:
        >>> pit_histogram([0.1, 0.4, 0.6, 0.9], bins=2)
        array([0.5, 0.5])
    """
    counts = _counts(pit, bins)
    if not counts.sum():
        raise ValueError("found no PIT value, expected at least one: score some windows first")
    return np.asarray(counts / counts.sum())


def reliability_curve(pit: Values, levels: Values = LEVELS) -> Array:
    """Observed coverage of the central interval of each nominal coverage; the diagonal is honest.

    Args:
        pit: F(y), any shape; missing values are left out.
        levels: nominal coverages in (0, 1), [levels].

    Returns:
        Shares, [levels].

    Raises:
        ValueError: a level outside (0, 1), or no value that is not missing.

    Example:
        >>> reliability_curve([0.05, 0.3, 0.5, 0.95], [0.5, 0.8])
        array([0.5, 0.5])
    """
    summary = PitSummary(levels)
    summary.update(pit)
    coverage = summary.coverage()
    if coverage is None:
        raise ValueError("found no PIT value, expected at least one: score some windows first")
    return coverage


def _counts(pit: Values, bins: int) -> Array:
    pit = as_float64(pit).ravel()
    pit = pit[~np.isnan(pit)]
    if pit.size and (pit.min() < 0.0 or pit.max() > 1.0):
        raise ValueError(
            f"found a PIT from {pit.min():g} to {pit.max():g}, expected values within [0, 1]: "
            "pass F(y), not y"
        )
    cells = np.minimum((pit * bins).astype(np.int64), bins - 1)
    return np.bincount(cells, minlength=bins).astype(np.float64)


class PitSummary:
    """The PIT histogram and the reliability curve of a stream, in [bins] + [levels] numbers.

    Args:
        levels: nominal coverages of central intervals, in (0, 1).
        bins: cells of the histogram.

    Example:
        >>> summary = PitSummary(levels=[0.5, 0.9], bins=2)
        >>> summary.update([0.1, 0.4])
        >>> summary.update([0.6, 0.99])
        >>> summary.coverage(), summary.histogram()
        (array([0.5 , 0.75]), array([0.5, 0.5]))
    """

    def __init__(self, levels: Values = LEVELS, bins: int = 20) -> None:
        self.levels = check_levels(levels)
        # Ascending edges let one sorted search place a value for every level at once.
        self._order = np.argsort(self.levels)
        self._cells = np.zeros(bins)
        self._inside = np.zeros(self.levels.size + 1)

    @property
    def count(self) -> int:
        """Values seen, missing ones apart."""
        return int(self._cells.sum())

    def update(self, pit: Values) -> None:
        """Add values F(y) of any shape; missing ones (NaN) are left out.

        Raises:
            ValueError: a value outside [0, 1].
        """
        self._cells += _counts(pit, self._cells.size)
        pit = as_float64(pit).ravel()
        distance = np.abs(2.0 * pit[~np.isnan(pit)] - 1.0)
        # A value on a bound that a quantile function computed comes back to within 1e-11 only.
        edges = self.levels[self._order] + 1e-9
        first = np.searchsorted(edges, distance, side="left")
        self._inside += np.bincount(first, minlength=self._inside.size)

    def coverage(self) -> Array | None:
        """Observed coverage at each level, [levels]; None before any value."""
        if not self.count:
            return None
        shares = np.cumsum(self._inside[:-1]) / self.count
        coverage = np.empty_like(shares)
        coverage[self._order] = shares
        return coverage

    def histogram(self) -> Array | None:
        """Share of each cell, [bins]; None before any value."""
        return np.asarray(self._cells / self.count) if self.count else None
