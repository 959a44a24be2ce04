"""How far the spread of forecasts should be scaled, by what recent ones have missed by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..data.rows import Floats, Ints
from .by_series import BySeries
from .recent_errors import RecentErrors

MOST_SCORE = 5.0
"""A t's own bound at ν = 7. One spike in a series with Gaussian errors must not widen all."""


class SpreadRates(NamedTuple):
    """How fast factors follow.

    The defaults were chosen on rows before the test rows (`benchmarks/forecasting/following.py
    --choose`); rates from .1 to .3 and half-lives from 4 horizons on do within .1% of them in CRPS.

    Attributes:
        rate: how far the errors of a whole horizon move the logarithm of the common factor, in
            Fisher steps.
        half_life: horizons after which half of that is forgotten.
        own_rate: the same of what a series has beside.
        own_half_life: likewise.
    """

    rate: float = 0.2
    half_life: float = 8.0
    own_rate: float = 0.1
    own_half_life: float = 2.0


@dataclass(frozen=True, eq=False)
class FollowedSpread:
    r"""Factors of spread, by series and time, that follow the errors known by then.

    Every standardised error :math:`r` whose target has come by a stamp says whether the spread was
    right. The logarithm of the factor moves by their mean score, and falls back towards nought:

    .. math:: \ln c \leftarrow \phi \ln c + \frac{\kappa}{H}\,\frac{\nu + 3}{2\nu}
              \left(\frac{(\nu + 1)\, x^2}{\nu + x^2} - 1\right), \qquad x = r / c

    which is the score of a t's log-scale over its information (Harvey, 2013, Dynamic Models for
    Volatility and Heavy Tails, ch. 4; for the Gaussian :math:`(x^2 - 1)/2`), at most 5, so that no
    single error moves it far. One factor follows all series together, each counting the same; a
    second one follows what a series has beside it. Errors are those of unscaled forecasts, so that
    a forecast's own factor cannot feed back.

    Attributes:
        stamps: ascending, [T] int64 as the panel's times.
        common: ln of the common factor once the errors of a stamp are known, [T].
        own: ln of what each series has beside, by its position at the fit.
    """

    stamps: Ints
    common: Floats
    own: BySeries

    @classmethod
    def of(
        cls, errors: RecentErrors, at_fit: Ints, horizon: int, rates: SpreadRates
    ) -> FollowedSpread:
        """From errors that are ordered by time.

        Args:
            errors: of forecasts that are not scaled.
            at_fit: position at the fit of each series of the errors, −1 for one new to it, which
                has the common factor alone.
            horizon: H.
            rates: how fast to follow.
        """
        keep = 0.5 ** (errors.pace / (rates.half_life * horizon))
        own_keep = 0.5 ** (1.0 / (rates.own_half_life * horizon))
        rate, own_rate = rates.rate / horizon * errors.pace, rates.own_rate / horizon
        level, beside = 0.0, np.zeros(len(at_fit))
        common = np.zeros(len(errors.stamps))
        changed: list[tuple[Ints, Floats, int]] = []
        for t, (first, stop) in enumerate(zip(errors.ends[:-1], errors.ends[1:], strict=True)):
            series, at = np.unique(errors.series[first:stop], return_inverse=True)
            spread = np.exp(level + beside[series])[at]
            moves = log_scale_score(errors.residual[first:stop] / spread, errors.df)
            mean = np.bincount(at, moves) / np.bincount(at)
            of_all = float(mean.mean())
            level = keep * level + rate * of_all
            beside[series] = own_keep * beside[series] + own_rate * (mean - of_all)
            common[t] = level
            known = series[at_fit[series] >= 0]
            changed.append((at_fit[known], beside[known], t))
        return cls(errors.stamps, common, BySeries.of(changed, len(errors.stamps)))

    def factor(self, series: Ints, time: Ints) -> Floats:
        """Factors of forecasts of these series (position at the fit) made at these stamps."""
        if not len(self.stamps):
            return np.ones(len(time))
        t = np.searchsorted(self.stamps, time, side="right") - 1
        common = np.where(t >= 0, self.common[t], 0.0)
        return np.asarray(np.exp(common + self.own.at(series, t)))


def log_scale_score(x: Floats, df: float | None) -> Floats:
    """The score of a t's log-scale over its Fisher information, at x scales from its centre.

    At most `MOST_SCORE`.

    Args:
        x: standardised errors.
        df: ν; None is the Gaussian.

    Example:
        >>> log_scale_score(np.array([0.0, 1.0, 1e9]), 6.0).round(3)
        array([-0.75,  0.  ,  4.5 ])
    """
    squared = np.square(x, dtype=np.float64)
    if df is None:
        return np.minimum(0.5 * (squared - 1.0), MOST_SCORE)
    score = (df + 1.0) * (squared / (df + squared)) - 1.0
    return np.minimum((df + 3.0) / (2.0 * df) * score, MOST_SCORE)
