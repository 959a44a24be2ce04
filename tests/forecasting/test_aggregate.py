"""Sums and means exact, extremes and ramps by draws, blocks by steps or duration."""

import numpy as np
import pytest
import torch
from scipy import stats

from vneuron.forecasting.aggregate import aggregate_columns, block_length
from vneuron.forecasting.laws.predictive import TrajectoryDistribution


def path_of(batch=2, steps=6, df=6.0, loading=True):
    generator = torch.Generator().manual_seed(0)
    return TrajectoryDistribution(
        loc=torch.randn(batch, steps, generator=generator).double(),
        scale=torch.rand(batch, steps, generator=generator).double() + 0.2,
        df=None if df is None else torch.tensor(df).double(),
        loading=torch.randn(steps, 2, generator=generator).double() if loading else None,
        unit_scale=torch.ones(batch, 2).double() if loading else None,
    )


def columns_of(path, statistic, steps, levels=(80,), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return aggregate_columns("EVE", path, statistic, steps, levels, generator)


@pytest.mark.parametrize("statistic", ["sum", "mean"])
@pytest.mark.parametrize("df", [6.0, None])
def test_linear_aggregates_are_exact(statistic, df):
    path = path_of(df=df)
    columns = columns_of(path, statistic, 2)
    draws = path.sample(50_000, torch.Generator().manual_seed(1)).numpy()
    blocks = getattr(draws.reshape(2, -1, 3, 2), statistic)(-1)
    assert columns["EVE"].shape == (2, 3)
    standard = blocks.std(1) / np.sqrt(blocks.shape[1])
    assert (np.abs(blocks.mean(1) - columns["EVE"]) < 4 * standard).all()
    inside = (blocks > columns["EVE-lo-80"][:, None]) & (blocks < columns["EVE-hi-80"][:, None])
    assert np.abs(inside.mean(1) - 0.8).max() < 4 * (0.8 * 0.2 / 50_000) ** 0.5


def test_a_block_of_one_step_is_the_step():
    path = path_of()
    columns = columns_of(path, "sum", 1)
    np.testing.assert_allclose(columns["EVE"], path.loc)
    reach = stats.t(6).ppf(0.9) * path.scale.numpy()
    np.testing.assert_allclose(columns["EVE-hi-80"], path.loc.numpy() + reach)


@pytest.mark.parametrize("statistic", ["max", "min", "ramp"])
def test_extremes_against_draws_of_their_own(statistic):
    path = path_of()
    columns = columns_of(path, statistic, 3)
    draws = path.sample(50_000, torch.Generator().manual_seed(9)).numpy().reshape(2, -1, 2, 3)
    if statistic == "ramp":
        change = np.diff(draws, axis=-1)
        first, second = change[..., 0], change[..., 1]
        values = np.where(np.abs(first) >= np.abs(second), first, second)
    else:
        values = getattr(draws, statistic)(-1)
    standard = values.std(1) * np.sqrt(1 / 50_000 + 1 / 2000)
    assert (np.abs(values.mean(1) - columns["EVE"]) < 4 * standard).all()
    below = (values < columns["EVE-lo-80"][:, None]).mean(1)
    assert np.abs(below - 0.1).max() < 4 * (0.1 * 0.9 / 2000) ** 0.5


def test_the_sign_of_a_ramp_is_its_direction():
    """A path that is nearly certain: up by 5, then down by 7."""
    path = TrajectoryDistribution(
        torch.tensor([[0.0, 5.0, -2.0, 0.0, 3.0, 2.0]]), torch.full((1, 6), 1e-4), None
    )
    columns = columns_of(path, "ramp", 3)
    np.testing.assert_allclose(columns["EVE"], [[-7.0, 3.0]], atol=1e-3)


def test_dependence_matters_to_sums():
    path = path_of()
    wide = columns_of(path, "sum", 6)
    bare = columns_of(path_of(loading=False), "sum", 6)
    assert not np.allclose(wide["EVE-hi-80"], bare["EVE-hi-80"])
    np.testing.assert_allclose(wide["EVE"], bare["EVE"])


def test_a_remainder_is_left_out():
    path = path_of(steps=7)
    for statistic in ("sum", "max", "ramp"):
        assert columns_of(path, statistic, 3)["EVE"].shape == (2, 2)
    np.testing.assert_allclose(columns_of(path, "sum", 3)["EVE"][:, 1], path.loc[:, 3:6].sum(-1))


def test_draws_follow_the_seed():
    first, again, other = (columns_of(path_of(), "max", 3, seed=s)["EVE"] for s in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize(
    ("over", "freq", "horizon", "steps"),
    [
        (None, "h", 96, 96), (24, "h", 96, 24), (1, "h", 1, 1), ("24h", "h", 96, 24),
        ("1D", "h", 96, 24), ("1 day", "15min", 96, 96), ("7D", "D", 14, 7), ("2W", "W", 4, 2),
        ("90min", "30min", 8, 3), (3, "MS", 12, 3), (3, 1, 12, 3), ("2D", "2D", 3, 1),
        (np.int64(3), "h", 96, 3), ("3", "h", 96, 3),
    ],
)  # fmt: skip
def test_length_of_a_block(over, freq, horizon, steps):
    assert block_length(over, freq, horizon) == steps


@pytest.mark.parametrize(
    ("over", "freq", "message"),
    [
        (0, "h", "0 steps, expected from 1 to the horizon of 96"),
        (97, "h", "97 steps"),
        (-3, "h", "-3 steps"),
        ("5D", "h", "120 steps"),
        ("90min", "h", "1.5 steps of frequency 'h', expected a whole number"),
        ("30D", "MS", "no fixed number of steps of frequency 'MS'"),
        ("2 moons", "h", "no fixed number of steps"),
        ("24h", 1, "no fixed number of steps of frequency 1"),
        (2.5, "h", "over is '2.5'"),
        (True, "h", "over is 'True'"),
        ("NaT", "h", "nan steps"),
    ],
)
def test_blocks_that_do_not_fit(over, freq, message):
    with pytest.raises(ValueError, match=message):
        block_length(over, freq, 96)


def test_wrong_statistics():
    with pytest.raises(ValueError, match="statistic is 'median'.*'ramp'"):
        columns_of(path_of(), "median", 2)
    with pytest.raises(ValueError, match="ramp needs at least 2 steps"):
        columns_of(path_of(), "ramp", 1)
