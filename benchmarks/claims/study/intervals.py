"""Intervals: of means over seeds, of paired differences, of rank correlations, of variances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.95


class Interval(NamedTuple):
    """A figure with a 95% interval, and how many values it stands on."""

    value: float
    low: float
    high: float
    count: int

    @property
    def sign(self) -> int:
        """1 above nought, −1 below, 0 where the interval holds nought or is not known."""
        if self.low > 0.0:
            return 1
        return -1 if self.high < 0.0 else 0

    def text(self, digits: int = 3) -> str:
        """As tables have it: .123 [.110, .136]."""
        if self.count == 0 or math.isnan(self.value):
            return "–"
        value, low, high = (number(v, digits) for v in self[:3])
        return f"{value} [{low}, {high}]"


def number(value: float, digits: int = 3) -> str:
    """A number as the pages write it: no nought before the point, a true minus sign."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{abs(value):.{digits}f}"
    if text.startswith("0.") and digits:
        text = text[1:]
    return f"−{text}" if value < 0 and float(f"{value:.{digits}f}") else text


def mean_interval(values: Sequence[float] | np.ndarray | pd.Series) -> Interval:
    """Mean with Student's interval over independent values, such as seeds."""
    x = np.asarray(values, dtype=float)
    x = x[~np.isnan(x)]
    if not len(x):
        return Interval(math.nan, math.nan, math.nan, 0)
    mean = float(x.mean())
    if len(x) == 1:
        return Interval(mean, -math.inf, math.inf, 1)
    half = float(stats.t.ppf(0.5 + LEVEL / 2, len(x) - 1) * x.std(ddof=1) / math.sqrt(len(x)))
    return Interval(mean, mean - half, mean + half, len(x))


def relative_change(ours: pd.Series, theirs: pd.Series) -> Interval:
    """Mean of ln(ours / theirs) over common indices (seeds, or sets and seeds), as a factor − 1."""
    both = pd.concat([ours, theirs], axis=1, join="inner").dropna()
    found = mean_interval(np.log(both.iloc[:, 0] / both.iloc[:, 1]))
    return Interval(*(math.expm1(v) for v in found[:3]), found.count)


def difference(ours: pd.Series, theirs: pd.Series) -> Interval:
    """Mean of ours − theirs over common indices."""
    both = pd.concat([ours, theirs], axis=1, join="inner").dropna()
    return mean_interval(both.iloc[:, 0] - both.iloc[:, 1])


def rank_correlation(x: pd.Series, y: pd.Series, draws: int = 2000, seed: int = 0) -> Interval:
    """Spearman's ρ with the percentile interval of a bootstrap over pairs."""
    both = pd.concat([x, y], axis=1).dropna().to_numpy(dtype=float)
    if len(both) < 4 or np.ptp(both[:, 0]) == 0.0:
        return Interval(math.nan, math.nan, math.nan, len(both))
    random = np.random.default_rng(seed)
    picked = random.integers(len(both), size=(draws, len(both)))
    ranks = stats.rankdata(both[picked], axis=1)
    ranks = ranks - ranks.mean(1, keepdims=True)
    top = (ranks[..., 0] * ranks[..., 1]).sum(1)
    found = top / np.sqrt((ranks**2).sum(1).prod(1)).clip(1e-12)
    low, high = np.quantile(found, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    value = float(stats.spearmanr(both[:, 0], both[:, 1]).statistic)
    return Interval(value, float(low), float(high), len(both))


def variance_ratio(ours: Sequence[pd.Series], theirs: Sequence[pd.Series]) -> Interval:
    """Ratio of variances between seeds, pooled over groups with a mean of their own each (F)."""

    def pooled(groups: Sequence[pd.Series]) -> tuple[float, int]:
        free = sum(len(g) - 1 for g in groups)
        return sum(float(((g - g.mean()) ** 2).sum()) for g in groups) / free, free

    (top, n), (bottom, m) = pooled(ours), pooled(theirs)
    ratio = top / bottom
    low, high = stats.f.ppf([0.5 + LEVEL / 2, 0.5 - LEVEL / 2], n, m)
    return Interval(ratio, float(ratio / low), float(ratio / high), n)
