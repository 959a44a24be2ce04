"""Whether series are counts: whole numbers, none below zero."""

from __future__ import annotations

import numpy as np

from .errors import DataError
from .frame import Panel

LARGEST = 2**24
"""Single precision holds whole numbers up to here."""


def check_counts(panel: Panel, likelihood: str) -> None:
    """Refuse values that a count likelihood gives no mass.

    Args:
        panel: the series; missing values are not looked at.
        likelihood: its name, for the message.

    Raises:
        DataError: naming the first such value, its series and time.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"unique_id": "a", "ds": [1, 2, 3], "y": [1.0, 2.5, 0.0]})
        >>> check_counts(Panel.from_frame(frame), "poisson")
        Traceback (most recent call last):
        ...
        vneuron.forecasting.data.errors.DataError: series 'a' has y = 2.5 at ds = 2...
    """
    values = panel.values[:]
    known = panel.observed
    wrong = known & ((values < 0) | (values != np.floor(values)) | (values > LARGEST))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"series {panel.ids[int(panel.series[row])]!r} has y = {values[row]:g} at ds = "
            f"{panel.times[row]}, expected whole numbers from 0 to {LARGEST:,} under likelihood "
            f"{likelihood!r} ({int(wrong.sum())} such values): pass counts, with missing='mask' "
            "for gaps, or likelihood='student'"
        )
