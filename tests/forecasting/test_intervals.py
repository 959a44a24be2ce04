"""Columns of a forecast frame: exact quantiles, and the two parts of the variance."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vneuron.forecasting.intervals import (
    check_levels,
    draw_columns,
    interval_columns,
    uncertainty_columns,
)
from vneuron.forecasting.laws.law import StudentLaw, standard_quantile
from vneuron.forecasting.laws.predictive import TrajectoryDistribution


@given(st.floats(0.001, 0.999), st.floats(2.05, 100))
def test_quantiles_are_scipys(probability, df):
    student, normal = stats.t(df).ppf(probability), stats.norm.ppf(probability)
    assert standard_quantile(probability, df) == pytest.approx(student, abs=1e-7)
    assert standard_quantile(probability, None) == pytest.approx(normal, abs=1e-9)


@pytest.mark.parametrize("df", [3.0, None])
def test_intervals_hold_their_share(df):
    loc, scale = np.array([[1.0, 2.0]]), np.array([[0.5, 3.0]])
    columns = interval_columns("EVE", StudentLaw(loc, scale, df), [50, 80, 99.5])
    assert list(columns) == [
        "EVE", "EVE-median", "EVE-lo-50", "EVE-hi-50", "EVE-lo-80", "EVE-hi-80", "EVE-lo-99.5",
        "EVE-hi-99.5",
    ]  # fmt: skip
    law = stats.norm(loc, scale) if df is None else stats.t(df, loc, scale)
    for level in (50, 80, 99.5):
        held = law.cdf(columns[f"EVE-hi-{level:g}"]) - law.cdf(columns[f"EVE-lo-{level:g}"])
        np.testing.assert_allclose(held, level / 100)
    assert (columns["EVE"] == loc).all()


def test_columns_of_draws(rng):
    draws = rng.normal(size=(2, 3, 5000))
    columns = draw_columns("EVE", draws, [80])
    for name, expected in {
        "EVE": draws.mean(-1),
        "EVE-median": np.median(draws, -1),
        "EVE-lo-80": np.quantile(draws, 0.1, axis=-1),
        "EVE-hi-80": np.quantile(draws, 0.9, axis=-1),
    }.items():
        np.testing.assert_allclose(columns[name], expected)


def test_the_two_parts_add_up_to_the_variance():
    path = TrajectoryDistribution(
        torch.zeros(2, 3), torch.rand(2, 3) + 0.5, torch.tensor(5.0), torch.randn(3, 2),
        torch.ones(2, 2),
    )  # fmt: skip
    columns = uncertainty_columns("EVE", path, torch.tensor([0.5, 7.0]))
    total = columns["EVE-noise-sd"] ** 2 + columns["EVE-unit-sd"] ** 2
    np.testing.assert_allclose(total, path.sd().square(), rtol=1e-6)
    assert columns["EVE-novelty"].tolist() == [[0.5] * 3, [7.0] * 3]
    assert np.isnan(uncertainty_columns("EVE", path, None)["EVE-novelty"]).all()


@pytest.mark.parametrize("level", [0, 100, -5, 0.8, float("nan"), 101])
def test_levels_are_per_cent(level):
    with pytest.raises(ValueError, match="expected per cent"):
        check_levels([80, level])


@pytest.mark.parametrize("level", [1, 50, 99.9])
def test_levels_that_are_allowed(level):
    assert check_levels([level]) == (level,)
