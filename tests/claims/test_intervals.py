"""Intervals against scipy's, and their coverage on drawn data."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from study.intervals import (
    mean_interval,
    number,
    rank_correlation,
    relative_change,
    variance_ratio,
)


def test_mean_interval_is_students() -> None:
    x = np.array([0.3, 0.5, 0.1, 0.9])
    low, high = stats.t.interval(0.95, 3, x.mean(), stats.sem(x))
    assert mean_interval(x)[:3] == pytest.approx((x.mean(), low, high))


def test_one_value_says_nothing_of_its_spread() -> None:
    found = mean_interval([0.4])
    assert found.value == 0.4
    assert math.isinf(found.low)
    assert found.sign == 0


def test_relative_change_pairs_by_index_and_is_a_factor() -> None:
    theirs = pd.Series([1.0, 2.0, 4.0, 9.0], index=[0, 1, 2, 9])
    ours = pd.Series([4.4, 2.2, 1.1], index=[2, 1, 0])
    found = relative_change(ours, theirs)
    assert found[:3] == pytest.approx((0.1, 0.1, 0.1))
    assert found.count == 3


def test_rank_correlation_agrees_with_scipy_and_covers() -> None:
    random = np.random.default_rng(0)
    inside = 0
    truth = 6 / math.pi * math.asin(0.6 / 2)
    for trial in range(60):
        x = random.normal(size=60)
        y = 0.6 * x + 0.8 * random.normal(size=60)
        found = rank_correlation(pd.Series(x), pd.Series(y), draws=300, seed=trial)
        assert found.value == pytest.approx(stats.spearmanr(x, y).statistic)
        inside += found.low <= truth <= found.high
    assert inside >= 51  # of 60; 57 expected, and 51 is 3 standard deviations below


def test_rank_correlation_of_a_constant_is_unknown() -> None:
    found = rank_correlation(pd.Series([1.0] * 8), pd.Series(np.arange(8.0)))
    assert found.text() == "–"


def test_variance_ratio_covers() -> None:
    random = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        ours = [pd.Series(2.0 * random.normal(size=5) + g) for g in range(4)]
        theirs = [pd.Series(random.normal(size=5) - g) for g in range(4)]
        found = variance_ratio(ours, theirs)
        inside += found.low <= 4.0 <= found.high
    assert 0.88 * 200 <= inside <= 0.995 * 200


@pytest.mark.parametrize(
    ("value", "text"), [(0.1234, ".123"), (-0.0004, ".000"), (-1.5, "−1.500"), (math.nan, "–")]
)
def test_numbers_are_written_as_the_pages_write_them(value: float, text: str) -> None:
    assert number(value) == text
