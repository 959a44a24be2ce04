r"""Paths of a multivariate t as paths of a Gaussian, by their radius alone, and back.

Let y be an H-dimensional t_ν with scale matrix Σ and q = (y − m)' Σ⁻¹ (y − m) its squared radius.
Then q / H is F(H, ν), and of a Gaussian it would be χ²_H. Moving each path along its ray until the
radius sits at the same probability,

.. math:: a(q) = F_{\chi^2_H}^{-1}\bigl(F_{F(H,\nu)}(q/H)\bigr), \qquad
          x = (y - m) \sqrt{a(q)/q} \sim N(0, \Sigma),

is one to one and exact. Directions stay as they are, so what ties the steps together does too.

Source: Lyu and Simoncelli (2009), Nonlinear extraction of independent components of natural images
using radial Gaussianization, Neural Computation 21.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from ..data.rows import Floats

SMALLEST = np.finfo(np.float64).tiny


def gaussian_radius(quadratic: Floats, steps: int, df: float | None) -> Floats:
    """a, the squared radius of the Gaussian path, for q of the t.

    Args:
        quadratic: q, any shape.
        steps: H.
        df: ν; None is the Gaussian itself.

    Example:
        >>> gaussian_radius(np.array([3.0]), 3, None)
        array([3.])
        >>> bool(gaussian_radius(np.array([40.0]), 3, 5.0)[0] < 40.0)
        True
    """
    if df is None:
        return quadratic
    part = quadratic / (quadratic + df)
    below = special.betainc(0.5 * steps, 0.5 * df, part)
    # each half by the tail that it is near, which keeps its digits
    above = special.betaincc(0.5 * steps, 0.5 * df, part)
    low = special.gammaincinv(0.5 * steps, np.minimum(below, 0.5))
    high = special.gammainccinv(0.5 * steps, np.clip(above, SMALLEST, 0.5))
    return np.asarray(2.0 * np.where(below < 0.5, low, high))


def student_radius(squared: Floats, steps: int, df: float | None) -> Floats:
    """q, the squared radius of the path of a t, for a of the Gaussian: the inverse.

    Args:
        squared: a, any shape.
        steps: H.
        df: ν; None is the Gaussian itself.

    Example:
        >>> there = student_radius(np.array([0.5, 3.0, 30.0]), 3, 5.0)
        >>> gaussian_radius(there, 3, 5.0).round(6)
        array([ 0.5,  3. , 30. ])
    """
    if df is None:
        return squared
    below = special.gammainc(0.5 * steps, 0.5 * squared)
    above = special.gammaincc(0.5 * steps, 0.5 * squared)
    # q = ν b / (1 − b): of the upper half 1 − b is what is found
    low = special.betaincinv(0.5 * steps, 0.5 * df, np.minimum(below, 0.5))
    rest = special.betaincinv(0.5 * df, 0.5 * steps, np.clip(above, SMALLEST, 0.5))
    odds = np.where(below < 0.5, low / (1.0 - low), (1.0 - rest) / np.maximum(rest, SMALLEST))
    return np.asarray(df * odds)
