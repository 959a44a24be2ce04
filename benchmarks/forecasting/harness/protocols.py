"""The two protocols: which rows are test rows, how far a model looks back, which windows count.

A is the point benchmarks' own: every window of the test rows, stride 1, nothing dropped, scores in
training deviations. B is ProbTS' (arXiv:2310.07446): short look-back, a window every 96 rows, 19
quantiles from 100 samples, in the data's own units.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from vneuron.forecasting.data.flat import FlatSeries
from vneuron.forecasting.data.split import RowRange
from vneuron.forecasting.data.windows import Windows, windows_between

HORIZONS = (96, 192, 336, 720)
SHORT_HORIZONS = (24, 36, 48, 60)
PROBTS_STRIDE = 96

Sizes = dict[str, int | float | None]


@dataclass(frozen=True)
class DataSet:
    """What the field does with a file of this name.

    Attributes:
        sizes: rows, or shares, for training, validation and test.
        horizons: by default.
        input_size: look-back by protocol.
    """

    sizes: Sizes
    horizons: tuple[int, ...] = HORIZONS
    input_size: tuple[int, int] = (336, 96)

    def look_back(self, protocol: str) -> int:
        return self.input_size["AB".index(protocol)]


def _rows(train: int, val: int, test: int) -> Sizes:
    return {"train_size": train, "val_size": val, "test_size": test}


SHARES: Sizes = {"train_size": 0.7, "val_size": 0.1, "test_size": 0.2}
HOURLY, QUARTERLY = _rows(8640, 2880, 2880), _rows(34560, 11520, 11520)
WEEKLY = DataSet(SHARES, SHORT_HORIZONS, (104, 36))
PREFIXES = {
    "etth": DataSet(HOURLY),
    "ettm": DataSet(QUARTERLY),
    "national_illness": WEEKLY,
    "ili": WEEKLY,
}


def name_of(path: str | Path) -> str:
    """Of a data set: its file's, without endings."""
    return Path(path).name.split(".")[0]


def data_set(path: str | Path) -> DataSet:
    """By the file's name; 70/10/20 for a name that is not known.

    >>> data_set("ETTh2.csv").sizes["train_size"], data_set("mine.csv").sizes["train_size"]
    (8640, 0.7)
    """
    name = name_of(path).lower()
    found = [kind for prefix, kind in PREFIXES.items() if name.startswith(prefix)]
    return found[0] if found else DataSet(SHARES)


def windows_to_score(
    flat: FlatSeries, rows: RowRange, lookback: int, horizon: int, protocol: str, step: int
) -> Windows:
    """The windows that are scored: all of them, or those of ProbTS.

    ProbTS starts windows at rows 0, 96, ... below test − H, so that a last window that would just
    fit is left out: 29 on ETTh1 at H = 96, where there is room for 30.
    """
    if protocol == "A":
        return windows_between(flat, rows, lookback, horizon, step)
    before = rows._replace(stop=rows.stop - 1)
    return windows_between(flat, before, lookback, horizon, PROBTS_STRIDE * step)


def position_in_series(windows: Windows) -> torch.Tensor:
    """Which window of its series each one is, counted from 0: series side by side share it."""
    if not len(windows):
        return windows.series
    first = torch.searchsorted(windows.series.contiguous(), windows.series)
    return torch.arange(len(windows)) - first
