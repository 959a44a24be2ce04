"""How far forecasts should be moved, by what recent ones have missed by on one side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..data.rows import Floats, Ints
from .by_series import BySeries
from .recent_errors import RecentErrors

MOST_SCORE = 2.0
"""A t's own bound at ν = 7 is 1.9."""

MOST_GAIN = 5.0
"""Nats of one error. A spike must not decide."""


class LevelRates(NamedTuple):
    """How fast levels follow, and on what evidence; chosen as those of the spread are.

    Attributes:
        rate: how far the errors of a whole horizon move a level, in Fisher steps.
        half_life: horizons after which half of that is forgotten.
        evidence: nats per step, times horizons, that moved forecasts must have gained.
        evidence_half_life: horizons after which half of what was gained is forgotten.
    """

    rate: float = 0.3
    half_life: float = 4.0
    evidence: float = 0.1
    evidence_half_life: float = 8.0


@dataclass(frozen=True, eq=False)
class FollowedLevel:
    r"""Shifts of forecasts in their own scales, by series and time, that follow known errors.

    Each series has a level of its errors, which moves by their mean score and falls back:

    .. math:: b \leftarrow \phi b + \frac{\kappa}{H}\, \frac{(\nu + 3)\, x}{\nu + x^2},
              \qquad x = r - b

    (the score of a t's location over its information; x for the Gaussian). Forecasts are moved by
    b only while that would have paid: what the density of outcomes gained, had forecasts been moved
    by the b that was known when they were made, less what it lost, is added up over all series and
    forgotten by and by, and must be more than some evidence. Levels of errors that come and go, as
    those of exchange rates do, gain nothing by then, and nothing moves.

    Attributes:
        stamps: ascending, [T] int64 as the panel's times.
        gained: nats per step, times horizons, by each stamp, [T].
        level: b of each series, by its position at the fit.
        evidence: what `gained` must be more than.
        used: shift of each forecast that was followed, [forecasts].
    """

    stamps: Ints
    gained: Floats
    level: BySeries
    evidence: float
    used: Floats

    @classmethod
    def of(
        cls, errors: RecentErrors, at_fit: Ints, horizon: int, rates: LevelRates
    ) -> FollowedLevel:
        """From errors that are ordered by time.

        Args:
            errors: of forecasts as fitted.
            at_fit: position at the fit of each series of the errors, −1 for one new to it, whose
                forecasts are not moved.
            horizon: H.
            rates: how fast to follow.
        """
        keep = 0.5 ** (1.0 / (rates.half_life * horizon))
        keep_gain = 0.5 ** (errors.pace / (rates.evidence_half_life * horizon))
        rate, weight = rates.rate / horizon, errors.pace / horizon
        level, gain = np.zeros(len(at_fit)), 0.0
        known_then, used = np.zeros(len(errors.made)), np.zeros(len(errors.made))
        gained = np.zeros(len(errors.stamps))
        changes: list[tuple[Ints, Floats, int]] = []
        made, done = np.argsort(errors.made, kind="stable"), 0
        for t, until in enumerate(np.searchsorted(errors.made[made], errors.stamps)):
            # forecasts made since the stamp before know what was known then
            fresh, done = made[done:until], until
            known_then[fresh] = level[errors.owner[fresh]]
            used[fresh] = known_then[fresh] if gain > rates.evidence else 0.0
            part = slice(errors.ends[t], errors.ends[t + 1])
            series, at = np.unique(errors.series[part], return_inverse=True)
            count = np.bincount(at)
            missed = errors.residual[part].astype(np.float64)
            then = known_then[errors.forecast[part]]
            told = at_fit[series] >= 0
            paid = np.bincount(at, _gain(missed, then, errors.df)) / count
            scores = np.bincount(at, location_score(missed - level[series][at], errors.df)) / count
            level[series] = np.where(told, keep * level[series] + rate * scores, 0.0)
            if told.any():
                gain = keep_gain * gain + weight * float(paid[told].mean())
            gained[t] = gain
            changes.append((at_fit[series[told]], level[series[told]], t))
        left = made[done:]
        used[left] = level[errors.owner[left]] if gain > rates.evidence else 0.0
        by_series = BySeries.of(changes, len(errors.stamps))
        return cls(errors.stamps, gained, by_series, rates.evidence, used)

    def shift(self, series: Ints, time: Ints) -> Floats:
        """How many scales to move forecasts by.

        Args:
            series: of each, by its position at the fit.
            time: stamp at which it is made.
        """
        t = np.searchsorted(self.stamps, time, side="right") - 1
        if not len(self.stamps):
            return np.zeros(len(time))
        pays = (t >= 0) & (self.gained[t] > self.evidence)
        return np.where(pays, self.level.at(series, t), 0.0)


def location_score(x: Floats, df: float | None) -> Floats:
    """The score of a t's location over its Fisher information, in scales; at most 2.

    Args:
        x: standardised errors.
        df: ν; None is the Gaussian.

    Example:
        >>> location_score(np.array([0.0, 1.0, -1e9]), 7.0).round(2)
        array([ 0.  ,  1.25, -0.  ])
    """
    found = np.asarray(x, dtype=np.float64)
    if df is not None:
        found = (df + 3.0) * found / (df + np.square(found))
    return np.clip(found, -MOST_SCORE, MOST_SCORE)


def _gain(missed: Floats, shift: Floats, df: float | None) -> Floats:
    """Log density of errors from forecasts that are moved, less that from those as they were."""
    moved = missed - shift
    if df is None:
        found = 0.5 * (np.square(missed) - np.square(moved))
    else:
        found = 0.5 * (df + 1.0) * (np.log1p(missed**2 / df) - np.log1p(moved**2 / df))
    return np.clip(found, -MOST_GAIN, MOST_GAIN)
