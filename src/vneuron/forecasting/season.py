"""How many steps a season has: for the seasonal naive forecast, and for priors with a memory."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .data.frame import Panel
from .data.rows import Floats, Ints, portions

PEAK = 0.3
"""A lower peak of the autocorrelation is not taken for a season."""

_DAY = pd.Timedelta(days=1)


def season_length(freq: str | int) -> int:
    """Steps of the season that a frequency suggests; 1 where it suggests none.

    Below a day it is the day, then the week (7 days, 5 business days), for weeks the year of 52,
    for months 12, for quarters 4.

    Args:
        freq: pandas offset alias, or an integer step (which says nothing of seasons).

    Example:
        >>> season_length("h"), season_length("15min"), season_length("D"), season_length("MS")
        (24, 96, 7, 12)
        >>> season_length(1)
        1
    """
    if isinstance(freq, int):
        return 1
    offset = pd.tseries.frequencies.to_offset(freq)
    name = offset.rule_code.split("-")[0]
    by_name = {"B": 5, "W": 52, "MS": 12, "ME": 12, "BMS": 12, "BME": 12}
    quarters = {"QS": 4, "QE": 4, "BQS": 4, "BQE": 4}
    if name in by_name | quarters:
        return max(1, round((by_name | quarters)[name] / offset.n))
    if not isinstance(offset, pd.offsets.Tick | pd.offsets.Day):
        return 1
    step = (
        pd.Timedelta(days=offset.n) if isinstance(offset, pd.offsets.Day) else pd.Timedelta(offset)
    )
    if step == _DAY:
        return 7
    return max(1, round(_DAY / step)) if step < _DAY else 1


def find_season(panel: Panel, rows: Ints, most: int) -> int:
    """Steps of the season: what the frequency suggests, else what the first rows themselves show.

    These show one where their autocorrelation has a peak above `PEAK`, the highest between lag 2
    and `most`; without it the answer is 1, the step before.

    Args:
        panel: the series.
        rows: how many rows of each series may be looked at: those for training.
        most: the longest season that is looked for.

    Example:
        >>> import numpy as np, pandas as pd
        >>> y = np.sin(2 * np.pi * np.arange(60) / 12)
        >>> panel = Panel.from_frame(pd.DataFrame({"unique_id": "a", "ds": range(60), "y": y}))
        >>> find_season(panel, np.array([48]), most=20)
        12
    """
    named = season_length(panel.freq)
    if named > 1:
        return named
    lags = min(most, int(rows.max()) // 2 - 1)
    if lags < 2:
        return 1
    correlation = _autocorrelation(panel, rows, lags + 2)
    if correlation is None:
        return 1
    middle = correlation[2:-1]
    peaks = (middle > correlation[1:-2]) & (middle > correlation[3:]) & (middle > PEAK)
    return int(2 + np.argmax(np.where(peaks, middle, -1.0))) if peaks.any() else 1


def _autocorrelation(panel: Panel, rows: Ints, lags: int) -> Floats | None:
    """Mean over series of the autocorrelation at lags 0 to `lags` − 1; None if none varies.

    A pass over many series at once for each lag: one for each series took minutes for a million.
    """
    total, varying = np.zeros(lags), 0
    every = np.asarray(panel.values)
    for first, stop in portions(panel.offsets):
        offsets, ends = panel.offsets[first : stop + 1], rows[first:stop]
        lengths = np.diff(offsets)
        series = np.repeat(np.arange(stop - first), lengths)
        within = np.arange(len(series)) - np.repeat(offsets[:-1] - offsets[0], lengths)
        used = within < ends[series]
        series, within = series[used], within[used]
        values = every[offsets[0] : offsets[-1]][used]
        deviation = _deviation(values, series, stop - first)
        energy = np.bincount(series, weights=deviation**2, minlength=stop - first)
        varies = energy > 0.0
        varying += int(varies.sum())
        # Each row by its own series' energy, so that one sum over all rows adds the series up.
        weighted = deviation / np.where(varies, energy, np.inf)[series]
        for lag in range(min(lags, len(weighted))):
            same = within[lag:] >= lag
            total[lag] += np.where(same, weighted[lag:], 0.0) @ deviation[: len(deviation) - lag]
    return total / varying if varying else None


def _deviation(values: Floats, series: Ints, count: int) -> Floats:
    """Known values less their series' mean, 0 for those that are missing."""
    known = ~np.isnan(values)
    held = np.bincount(series, weights=known, minlength=count)
    sums = np.bincount(series, weights=np.where(known, values, 0.0), minlength=count)
    return np.where(known, values - (sums / np.maximum(held, 1.0))[series], 0.0)
