"""The periods of the calendar that a forecast can go by: day, week, year."""

from __future__ import annotations

import numpy as np

from .frame import Panel
from .frequency import DAY
from .place import Period
from .rows import Ints

ROUNDS = 2
"""A period has to be seen so often in the training rows before anything is learned from it."""


DAILY = Period(DAY, 4)
WEEKLY = Period(7 * DAY, 3)
YEARLY = Period(round(365.2425 * DAY), 2)


def periods_of(panel: Panel, rows: Ints) -> tuple[Period, ...]:
    """The periods that are longer than two steps, and that the training rows hold twice.

    Args:
        panel: the series.
        rows: rows of each series for training.

    Returns:
        None of them where time is counted in integers.

    Example:
        >>> import pandas as pd
        >>> hours = pd.date_range("2026-01-01", periods=500, freq="h")
        >>> panel = Panel.from_frame(pd.DataFrame({"unique_id": "a", "ds": hours, "y": 1.0}))
        >>> [period.length // DAY for period in periods_of(panel, np.array([400]))]
        [1, 7]
    """
    if panel.times.dtype.kind != "M":
        return ()
    stamps = panel.times.view(np.int64)
    longest = int(np.argmax(rows))
    first = panel.offsets[longest]
    count = int(rows[longest])
    if count < 2:
        return ()
    span = int(stamps[first + count - 1] - stamps[first])
    step = span / (count - 1)
    return tuple(
        period
        for period in (DAILY, WEEKLY, YEARLY)
        if 2 * step < period.length and ROUNDS * period.length <= span + step
    )
