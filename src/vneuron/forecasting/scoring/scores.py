r"""Scores of one number: a forecast distribution, or a point, against the value that came.

Every function is elementwise over any broadcastable shape, takes numpy arrays or CPU tensors,
computes in float64 and reduces nothing; a missing target (NaN) gives NaN, which the accumulators
in ``metrics`` leave out. Scores are negatively oriented: smaller is better. Apart from the NLL
(nats) they are in the units of the target. ``scale`` is a t's or a Gaussian's scale parameter,
not a variance; a t's standard deviation is scale · √(ν/(ν−2)). ``df`` is ν, and None, or an
infinite element, is the Gaussian limit.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import special

Array: TypeAlias = NDArray[np.float64]
Values: TypeAlias = ArrayLike | torch.Tensor


def as_float64(values: Values) -> Array:
    """A float64 numpy view or copy of an array, a nested list or a tensor on any device.

    Example:
        >>> as_float64(torch.tensor([1.0, 2.0], requires_grad=True))
        array([1., 2.])
    """
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    return np.asarray(values, dtype=np.float64)


def standardise(y: Values, loc: Values, scale: Values) -> tuple[Array, Array]:
    """The residual in units of the scale, (y − loc)/scale, and the scale as an array.

    Raises:
        ValueError: a scale that is not positive.

    Example:
        >>> standardise(3.0, 1.0, 4.0)
        (array(0.5), array(4.))
    """
    scale = as_float64(scale)
    if bool((scale <= 0).any()):
        raise ValueError(
            f"found a scale of {np.nanmin(scale):g}, expected every scale > 0: "
            "floor the predicted scale before scoring"
        )
    return np.asarray((as_float64(y) - as_float64(loc)) / scale), scale


def _degrees(df: Values | None, above: float) -> Array | None:
    """ν as an array, checked to lie above a bound; None where every element is infinite."""
    if df is None:
        return None
    nu = as_float64(df)
    if bool((nu <= above).any()):
        raise ValueError(
            f"found df = {np.nanmin(nu):g}, expected df > {above:g}: "
            "the score has no finite value for heavier tails"
        )
    return None if bool(np.isposinf(nu).all()) else nu


def _limit(student: Array, gaussian: Array, nu: Array) -> Array:
    """The Gaussian's value where ν is infinite, the t's elsewhere."""
    return np.where(np.isposinf(nu), gaussian, student) if np.isposinf(nu).any() else student


def squared_error(y: Values, point: Values) -> Array:
    """(y − point)², proper for the mean; in squared units of y.

    Example:
        >>> squared_error([1.0, 2.0], 0.0)
        array([1., 4.])
    """
    return np.asarray(np.square(as_float64(y) - as_float64(point)))


def absolute_error(y: Values, point: Values) -> Array:
    """|y − point|, proper for the median; in units of y.

    It is also the CRPS of a point mass at ``point``, so a point forecast and a distribution can
    be compared by CRPS.

    Example:
        >>> absolute_error([1.0, -2.0], 0.0)
        array([1., 2.])
    """
    return np.asarray(np.abs(as_float64(y) - as_float64(point)))


def crps_point(y: Values, point: Values) -> Array:
    """CRPS of a point mass: the absolute error, in units of y.

    Example:
        >>> crps_point(3.0, 1.0)
        array(2.)
    """
    return absolute_error(y, point)


def crps_gaussian(y: Values, loc: Values, scale: Values) -> Array:
    r"""CRPS of N(loc, scale²) in closed form.

    .. math:: \sigma\,[z(2\Phi(z) - 1) + 2\varphi(z) - 1/\sqrt\pi],\quad z = (y-\mu)/\sigma

    Source: Gneiting and Raftery (2007), JASA 102, eq. 21 (with the sign turned).

    Args:
        y: what came, any shape.
        loc: mean, broadcastable.
        scale: standard deviation, broadcastable.

    Returns:
        Units of y, broadcast shape.

    Raises:
        ValueError: a scale that is not positive.

    Example:
        >>> crps_gaussian(0.0, 0.0, 1.0).round(4)
        np.float64(0.2337)
    """
    z, scale = standardise(y, loc, scale)
    density = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    return np.asarray(
        scale * (z * (2.0 * special.ndtr(z) - 1.0) + 2.0 * density - 1.0 / np.sqrt(np.pi))
    )


def crps_student(y: Values, loc: Values, scale: Values, df: Values | None) -> Array:
    r"""CRPS of a Student t with location, scale and ν degrees of freedom, in closed form.

    .. math:: \tau\Big[z(2F_\nu(z)-1) + 2 f_\nu(z)\frac{\nu+z^2}{\nu-1}
              - \frac{2\sqrt\nu}{\nu-1}\,\frac{B(\frac12, \nu-\frac12)}{B(\frac12,\frac\nu2)^2}\Big]

    Source: Jordan, Krüger and Lerch (2019), J. Stat. Softw. 90(12), appendix A (Student's t).

    Args:
        y: what came, any shape.
        loc: location, broadcastable.
        scale: scale τ (not the standard deviation), broadcastable.
        df: ν > 1, broadcastable; None or infinite for the Gaussian.

    Returns:
        Units of y, broadcast shape.

    Raises:
        ValueError: a scale that is not positive, or ν ≤ 1, where the CRPS is infinite.

    Example:
        >>> crps_student(0.0, 0.0, 1.0, 5.0).round(4)
        np.float64(0.257)
    """
    nu = _degrees(df, above=1.0)
    if nu is None:
        return crps_gaussian(y, loc, scale)
    z, tau = standardise(y, loc, scale)
    finite = np.where(np.isposinf(nu), 2.0, nu)
    log_beta = special.betaln(0.5, 0.5 * finite)
    log_density = -0.5 * (finite + 1.0) * np.log1p(z * z / finite) - 0.5 * np.log(finite) - log_beta
    spread = np.exp(
        0.5 * np.log(finite) + special.betaln(0.5, finite - 0.5) - 2.0 * log_beta
    )  # (ν − 1) times half the mean absolute difference of two draws
    student = tau * (
        z * (2.0 * special.stdtr(finite, z) - 1.0)
        + 2.0 * (np.exp(log_density) * (finite + z * z) - spread) / (finite - 1.0)
    )
    if not np.isposinf(nu).any():
        return np.asarray(student)
    return _limit(student, crps_gaussian(y, loc, scale), nu)


def crps_ensemble(y: Values, draws: Values, *, fair: bool = True) -> Array:
    r"""CRPS from exchangeable draws, by sorting: O(m log m) a value.

    .. math:: \frac1m\sum_i|x_i-y| - \frac{1}{2c}\sum_{i,j}|x_i-x_j|,
              \qquad \sum_{i,j}|x_i-x_j| = 2\sum_i (2i-m-1)\,x_{(i)}

    with c = m(m−1) where ``fair`` (unbiased for the distribution that was drawn from; Ferro 2014,
    Q. J. R. Meteorol. Soc. 140) and c = m² otherwise (exact for the empirical distribution).

    Args:
        y: what came, [...].
        draws: [..., m], the draws on the last axis.
        fair: the estimator, as above.

    Returns:
        Units of y, [...]; a fair estimate may be slightly negative.

    Raises:
        ValueError: fewer than two draws for the fair estimator, or none at all.

    Example:
        >>> crps_ensemble(0.0, [-1.0, 1.0], fair=False)
        array(0.5)
        >>> crps_ensemble(0.0, [-1.0, 1.0])
        array(0.)
    """
    # Offsets from y first: the weighted sum below cancels any common level, but not its rounding.
    offsets = as_float64(draws) - as_float64(y)[..., None]
    m = offsets.shape[-1]
    if m < (2 if fair else 1):
        raise ValueError(
            f"found {m} draw(s), expected at least {2 if fair else 1}: "
            "draw more, or score a point by crps_point"
        )
    error = np.abs(offsets).mean(axis=-1)
    offsets.sort(axis=-1)
    weights = 2.0 * np.arange(1, m + 1) - m - 1.0
    return np.asarray(error - offsets @ weights / (m * (m - 1.0 if fair else m)))


def nll_gaussian(y: Values, loc: Values, scale: Values) -> Array:
    r"""Negative log density of N(loc, scale²): ½ z² + ln σ + ½ ln 2π, nats.

    Args:
        y: what came, any shape.
        loc: mean, broadcastable.
        scale: standard deviation, broadcastable.

    Returns:
        Nats, broadcast shape. A change of the target's units by a factor c adds ln c.

    Raises:
        ValueError: a scale that is not positive.

    Example:
        >>> nll_gaussian(0.0, 0.0, 1.0).round(4)
        np.float64(0.9189)
    """
    z, scale = standardise(y, loc, scale)
    return np.asarray(0.5 * z * z + np.log(scale) + 0.5 * np.log(2.0 * np.pi))


def nll_student(y: Values, loc: Values, scale: Values, df: Values | None) -> Array:
    r"""Negative log density of a Student t, nats.

    .. math:: \ln\tau + \tfrac12\ln\nu + \ln B(\tfrac12, \tfrac\nu2)
              + \tfrac{\nu+1}{2}\ln(1 + z^2/\nu)

    Args:
        y: what came, any shape.
        loc: location, broadcastable.
        scale: scale τ (not the standard deviation), broadcastable.
        df: ν > 0, broadcastable; None or infinite for the Gaussian.

    Returns:
        Nats, broadcast shape.

    Raises:
        ValueError: a scale or ν that is not positive.

    Example:
        >>> nll_student(0.0, 0.0, 1.0, 3.0).round(4)
        np.float64(1.0009)
    """
    nu = _degrees(df, above=0.0)
    if nu is None:
        return nll_gaussian(y, loc, scale)
    z, tau = standardise(y, loc, scale)
    finite = np.where(np.isposinf(nu), 1.0, nu)
    normaliser = 0.5 * np.log(finite) + special.betaln(0.5, 0.5 * finite)
    student = np.log(tau) + normaliser + 0.5 * (finite + 1.0) * np.log1p(z * z / finite)
    if not np.isposinf(nu).any():
        return np.asarray(student)
    return _limit(student, nll_gaussian(y, loc, scale), nu)


def check_levels(levels: Values) -> Array:
    """Probabilities strictly between 0 and 1, as a float64 array [levels].

    Raises:
        ValueError: a value outside; percentages are the usual cause.

    Example:
        >>> check_levels([0.5, 0.8])
        array([0.5, 0.8])
    """
    array = np.atleast_1d(as_float64(levels))
    bad: Any = array[~((array > 0) & (array < 1))]
    if bad.size:
        raise ValueError(
            f"found the level {bad[0]:g}, expected a probability strictly between 0 and 1: "
            "divide percentages by 100"
        )
    return array
