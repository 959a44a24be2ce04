"""Repeated values and seasons, and the season that a frequency suggests."""

import pandas as pd
import pytest
import torch

from vneuron.forecasting.data.windows import WindowBatch
from vneuron.forecasting.naive import SeasonalNaive
from vneuron.forecasting.season import season_length


def batch_of(context):
    context = torch.tensor(context)
    return WindowBatch(context, torch.zeros(len(context), 0), torch.zeros(len(context)), None, None)


@pytest.mark.parametrize(
    ("horizon", "season", "expected"),
    [
        (3, 1, [4.0, 4.0, 4.0]),
        (3, 2, [3.0, 4.0, 3.0]),
        (3, 4, [1.0, 2.0, 3.0]),
        (6, 4, [1.0, 2.0, 3.0, 4.0, 1.0, 2.0]),
        (2, 5, [4.0, 4.0]),  # the context is shorter than the season
        (1, 3, [2.0]),
    ],
)
def test_the_last_season_repeated(horizon, season, expected):
    context = [[1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0]]
    found = SeasonalNaive(horizon, season)(batch_of(context))
    assert found.tolist() == [expected, [10 * v for v in expected]]


def test_a_season_below_one_is_refused():
    with pytest.raises(ValueError, match="season is 0"):
        SeasonalNaive(3, 0)


@pytest.mark.parametrize(
    ("freq", "steps"),
    [
        ("s", 86_400), ("min", 1440), ("15min", 96), ("h", 24), ("6h", 4), ("12h", 2), ("D", 7),
        ("2D", 1), ("B", 5), ("W", 52), ("W-SUN", 52), ("2W-MON", 26), ("MS", 12), ("ME", 12),
        ("3MS", 4), ("BMS", 12), ("QS", 4), ("QE-DEC", 4), ("YS", 1), ("YE", 1), (1, 1), (7, 1),
        ("24h", 7), ("48h", 1),
    ],
)  # fmt: skip
def test_season_of_a_frequency(freq, steps):
    assert season_length(freq) == steps


def test_every_frequency_that_pandas_infers_has_a_season():
    for alias in ("W-WED", "QS-OCT", "YS-JAN", "BQE-DEC", "BME", "ms", "90s"):
        stamps = pd.date_range("2020-01-01", periods=8, freq=alias)
        assert season_length(stamps.freqstr) >= 1
