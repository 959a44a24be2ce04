r"""Scores of quantiles and intervals: pinball, Winkler, coverage, and the weighted quantile loss.

Levels are probabilities in (0, 1), never percentages. Functions are elementwise and keep NaN
where the target is missing, except the weighted quantile loss, which is a ratio of sums.
"""

from __future__ import annotations

import numpy as np

from .scores import Array, Values, as_float64, check_levels

#: The 19 levels .05, .10, ..., .95 of the ProbTS evaluation (its ``quantiles_num: 20``).
LEVELS = tuple(round(0.05 * i, 2) for i in range(1, 20))


def quantile_loss(y: Values, quantiles: Values, levels: Values) -> Array:
    r"""Pinball loss of each quantile, proper for the quantile of its level.

    .. math:: \rho_q(y, \hat y) = (y-\hat y)\,(q - 1\{y < \hat y\})

    Twice its mean over a fine even grid of levels tends to the CRPS.

    Args:
        y: what came, [...].
        quantiles: [..., levels].
        levels: probabilities, [levels].

    Returns:
        Units of y, [..., levels].

    Raises:
        ValueError: a level outside (0, 1), or not one level for each quantile.

    Example:
        >>> quantile_loss(1.0, [0.0, 3.0], [0.5, 0.9]).round(2)
        array([0.5, 0.2])
    """
    levels = check_levels(levels)
    quantiles = as_float64(quantiles)
    if quantiles.ndim == 0 or quantiles.shape[-1] != levels.size:
        raise ValueError(
            f"found quantiles of shape {quantiles.shape}, expected {levels.size} on the last axis, "
            "one for each level: give the levels that were predicted"
        )
    error = as_float64(y)[..., None] - quantiles
    return np.asarray(np.maximum(levels * error, (levels - 1.0) * error))


def _bounds(lower: Values, upper: Values) -> tuple[Array, Array]:
    lower, upper = as_float64(lower), as_float64(upper)
    if bool((lower > upper).any()):
        worst = float(np.nanmax(lower - upper))
        raise ValueError(
            f"found a lower bound {worst:g} above its upper bound, expected lower <= upper: "
            "sort the quantiles"
        )
    return lower, upper


def interval_covered(y: Values, lower: Values, upper: Values) -> Array:
    """1 where lower ≤ y ≤ upper, 0 where not, NaN where y is missing; its mean is the coverage.

    Raises:
        ValueError: a lower bound above its upper bound.

    Example:
        >>> interval_covered([0.0, 2.0, float("nan")], -1.0, 1.0)
        array([ 1.,  0., nan])
    """
    lower, upper = _bounds(lower, upper)
    y = as_float64(y)
    inside = ((y >= lower) & (y <= upper)).astype(np.float64)
    return np.where(np.isnan(y + lower + upper), np.nan, inside)


def interval_score(y: Values, lower: Values, upper: Values, level: float) -> Array:
    r"""Winkler score of a central interval: its width, and a fine of 2/α per unit of a miss.

    .. math:: (u-l) + \tfrac2\alpha (l-y)_+ + \tfrac2\alpha (y-u)_+, \qquad \alpha = 1 - level

    It equals 2/α times the sum of the two bounds' pinball losses. Source: Gneiting and Raftery
    (2007), JASA 102, eq. 43.

    Args:
        y: what came, any shape.
        lower: the α/2 quantile, broadcastable.
        upper: the 1 − α/2 quantile, broadcastable.
        level: nominal coverage in (0, 1).

    Returns:
        Units of y, broadcast shape.

    Raises:
        ValueError: a level outside (0, 1), or a lower bound above its upper bound.

    Example:
        >>> interval_score([0.0, 1.5], -1.0, 1.0, level=0.8).round(2)
        array([2., 7.])
    """
    alpha = 1.0 - float(check_levels(level)[0])
    lower, upper = _bounds(lower, upper)
    y = as_float64(y)
    missed = np.maximum(lower - y, 0.0) + np.maximum(y - upper, 0.0)
    return np.asarray(upper - lower + 2.0 / alpha * missed)


class WeightedQuantileLoss:
    r"""CRPS and NMAE of the ProbTS evaluation, summed window by window in any order.

    For window w, over all its steps h and channels c,

    .. math:: wQL_q(w) = \frac{\sum_{h,c} 2\rho_q(y_{hc}, \hat y_{hc})}{\sum_{h,c}|y_{hc}|},\qquad
              CRPS = \mathrm{mean}_w\,\mathrm{mean}_q\, wQL_q(w)

    and NMAE is wQL at the median. Both are unitless; in raw units large channels dominate.
    Channels of one window may come in separate updates, so nothing but [windows, levels] sums
    is held. A window whose |y| sum to nought has no score and is left out.

    Source: ProbTS, ``probts/utils/evaluator.py`` (Zhang et al. 2024, arXiv 2310.07446).

    Args:
        windows: number of windows.
        levels: probabilities; the default is the 19 of ProbTS.

    Example:
        >>> loss = WeightedQuantileLoss(windows=1, levels=[0.5])
        >>> loss.update([0, 0], y=[[2.0], [2.0]], quantiles=[[[1.0]], [[3.0]]])
        >>> loss.result()
        {'crps': 0.5, 'nmae': 0.5}
    """

    def __init__(self, windows: int, levels: Values = LEVELS) -> None:
        self.levels = check_levels(levels)
        self._loss = np.zeros((windows, self.levels.size))
        self._magnitude = np.zeros(windows)

    def update(self, window: Values, y: Values, quantiles: Values) -> None:
        """Add rows; the rows of one window, say its channels, may come in any order.

        Args:
            window: the window of each row, integers in [0, windows), [rows].
            y: what came, [rows, ...]; missing values are left out.
            quantiles: [rows, ..., levels].

        Raises:
            ValueError: a window out of range, or shapes that do not match.
        """
        index = np.asarray(as_float64(window), dtype=np.int64)
        if index.size and (index.min() < 0 or index.max() >= self._magnitude.size):
            raise ValueError(
                f"found window {index.min() if index.min() < 0 else index.max()}, expected 0 to "
                f"{self._magnitude.size - 1}: number the windows from 0"
            )
        y = as_float64(y)
        losses = 2.0 * quantile_loss(y, quantiles, self.levels)
        steps = tuple(range(1, y.ndim))
        np.add.at(self._loss, index, np.nansum(losses, axis=steps))
        np.add.at(self._magnitude, index, np.nansum(np.abs(y), axis=steps))

    def per_window(self) -> Array:
        """wQL_q of each window, [windows, levels]; NaN where the window has no magnitude."""
        magnitude = np.where(self._magnitude > 0, self._magnitude, np.nan)
        return np.asarray(self._loss / magnitude[:, None])

    def result(self) -> dict[str, float | None]:
        """``crps`` and ``nmae``, means over windows; None where no window, or no median, is there.

        Example:
            >>> WeightedQuantileLoss(windows=2).result()
            {'crps': None, 'nmae': None}
        """
        scores = self.per_window()
        scores = scores[~np.isnan(scores).any(axis=1)]
        median = np.flatnonzero(np.isclose(self.levels, 0.5))
        if not len(scores):
            return {"crps": None, "nmae": None}
        return {
            "crps": float(scores.mean()),
            "nmae": float(scores[:, median[0]].mean()) if median.size else None,
        }
