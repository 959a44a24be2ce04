r"""E|d + T − T'| for two independent t's: what the CRPS of a mixture of t's needs.

For Gaussians it is closed. The difference of two t's is no t, but its law depends on ν alone, so
that one table over |d| serves every window and step.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import special
from scipy.interpolate import CubicHermiteSpline

from .scores import Array

KNOTS = 241
NODES = 3001
FURTHEST = 1e4


def mean_difference(apart: Array, df: float | None) -> Array:
    r"""E|d + T − T'| with T and T' independent standard t's.

    Args:
        apart: d, any shape.
        df: ν, at least 1.5 (tails heavier than that outlast the quadrature); None is the Gaussian.

    Returns:
        The shape of `apart`, exact for the Gaussian, else within 1e-6.

    Raises:
        ValueError: ν below 1.5.

    Example:
        >>> mean_difference(np.array([0.0, 100.0]), None).round(4)
        array([  1.1284, 100.    ])
        >>> mean_difference(np.array([0.0]), 3.0).round(4)
        array([1.654])
    """
    distance = np.abs(apart)
    if df is None:
        z = distance / np.sqrt(2.0)
        density = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
        return np.asarray(distance * (2.0 * special.ndtr(z) - 1.0) + 2.0 * np.sqrt(2.0) * density)
    if df < 1.5:
        raise ValueError(f"df is {df:g}, expected at least 1.5: the tails are too heavy to score")
    excess = _excess(float(df))
    near = excess(np.arcsinh(np.minimum(distance, FURTHEST)))
    # Beyond the table the excess over |d| falls as the tails do.
    return np.asarray(distance + near * (np.maximum(distance, FURTHEST) / FURTHEST) ** (1.0 - df))


@lru_cache(maxsize=8)
def _excess(df: float) -> CubicHermiteSpline:
    """E|d + T − T'| − d = 2 E(T' − T − d)₊ over arcsinh d, from its values and its slopes."""
    # In steps of arcsinh t, out to where t times its tail is 1e-13.
    reach = max(30.0 / (df - 1.0), np.arcsinh(60.0))
    t = np.sinh(np.linspace(-reach, reach, NODES))
    weight = student_density(t, df) * np.sqrt(1.0 + t * t)
    weight /= weight.sum()
    knots = np.linspace(0.0, np.arcsinh(FURTHEST), KNOTS)
    z = t[:, None] + np.sinh(knots)
    beyond = special.stdtr(df, -z)
    over = student_density(z, df) * (df + z * z) / (df - 1.0) - z * beyond
    slope = -2.0 * weight @ beyond * np.cosh(knots)
    return CubicHermiteSpline(knots, 2.0 * weight @ over, slope)


def student_density(z: Array, df: float) -> Array:
    """Density of the standard t.

    Example:
        >>> student_density(np.zeros(1), 1.0).round(4)
        array([0.3183])
    """
    log_density = -0.5 * (df + 1.0) * np.log1p(z * z / df)
    return np.asarray(np.exp(log_density - 0.5 * np.log(df) - special.betaln(0.5, 0.5 * df)))
