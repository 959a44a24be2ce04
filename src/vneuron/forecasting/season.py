"""How many steps a season has, for the seasonal naive forecast."""

from __future__ import annotations

import pandas as pd

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
