"""Draws within bounds: rejection, SciPy's distribution functions, exact one-dimensional laws."""

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from vneuron.forecasting.laws import truncated
from vneuron.forecasting.laws.conditioned import ConditionedTrajectory
from vneuron.forecasting.laws.drawn import DrawnNumbers, DrawnPaths
from vneuron.forecasting.laws.predictive import TrajectoryDistribution
from vneuron.forecasting.laws.truncated import Bounded, truncate


def path_of(df, steps=8, units=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return ConditionedTrajectory.of(
        TrajectoryDistribution(
            loc=torch.randn(1, steps, generator=generator).double(),
            scale=torch.rand(1, steps, generator=generator).double() + 0.3,
            df=None if df is None else torch.tensor(df).double(),
            loading=torch.randn(steps, units, generator=generator).double(),
            unit_scale=torch.ones(1, units).double(),
        )
    )


def bounded(path, lower, upper):
    def deviation(noise):
        return path.deviation(torch.from_numpy(noise)[None])[0].numpy()

    size = path.shared.shape[-1] + path.horizon
    df = None if path.df is None else float(path.df[0])
    ends = (np.broadcast_to(end, path.horizon).astype(float) for end in (lower, upper))
    return Bounded(deviation, size, path.loc[0].numpy(), path.scale()[0].numpy(), df, *ends)


@pytest.mark.parametrize("df", [4.0, None])
@pytest.mark.parametrize("equality", [False, True])
def test_stages_agree_with_rejection(df, equality, monkeypatch):
    """A probability of a few per cent, by both ways."""
    path = path_of(df)
    if equality:
        path = path.equate(torch.ones(1, 1, 8).double(), path.loc.sum(-1, keepdim=True) + 1.0)
    reach = 0.8 if equality else 0.35
    problem = bounded(path, path.loc[0].numpy() - reach * path.scale()[0].numpy(), np.inf)
    generator = np.random.default_rng(0)
    monkeypatch.setattr(truncated, "EASY", 0.0)
    rejected = truncate(problem, 20_000, generator)
    monkeypatch.setattr(truncated, "EASY", 2.0)
    staged = [truncate(problem, 2000, np.random.default_rng(seed)) for seed in range(4)]
    assert 0.005 < np.exp(rejected.log_probability) < 0.2
    logs = np.array([one.log_probability for one in staged])
    assert abs(logs.mean() - rejected.log_probability) < 0.15
    draws = np.concatenate([one.draws for one in staged])
    assert (draws >= problem.lower).all()
    if equality:
        np.testing.assert_allclose(draws.sum(1), float(path.loc.sum()))
    # standard errors with half of the draws that are said to count
    count = sum(one.effective for one in staged) / 2
    error = np.sqrt(rejected.draws.var(0) / 20_000 + draws.var(0) / count)
    assert (np.abs(draws.mean(0) - rejected.draws.mean(0)) < 4.5 * error).all()
    np.testing.assert_allclose(draws.std(0), rejected.draws.std(0), rtol=0.1)


@pytest.mark.parametrize("df", [5.0, None])
def test_a_rare_corner_of_one_step_has_the_exact_law(df):
    """One step alone: the tail of a t beyond a point of probability 1e-5."""
    path = path_of(df, steps=1, units=1)
    law = stats.norm() if df is None else stats.t(df)
    edge = law.isf(1e-5)
    loc, scale = float(path.loc), float(path.scale())
    problem = bounded(path, loc + edge * scale, np.inf)
    found = [truncate(problem, 1000, np.random.default_rng(seed)) for seed in range(6)]
    logs = np.array([one.log_probability for one in found])
    assert abs(logs.mean() - np.log(1e-5)) < 0.4
    draws = (np.concatenate([one.draws[:, 0] for one in found]) - loc) / scale
    ranks = law.sf(draws) / 1e-5  # uniform, if the law is right
    count = sum(one.effective for one in found) / 2
    assert abs(ranks.mean() - 0.5) < 4.5 * np.sqrt(1 / 12 / count)


def test_an_equicorrelated_orthant():
    """Of normals with correlation one half, by a one-dimensional integral."""
    steps = 10
    path = ConditionedTrajectory.of(
        TrajectoryDistribution(
            torch.zeros(1, steps).double(), torch.ones(1, steps).double(), None,
            torch.ones(steps, 1).double(), torch.ones(1, 1).double(),
        )
    )  # fmt: skip
    lower = np.full(steps, 0.0)
    lower[0] = 0.9
    exact = integrate.quad(
        lambda z: stats.norm.pdf(z)
        * stats.norm.cdf(z) ** (steps - 1)
        * stats.norm.sf(0.9 * np.sqrt(2) - z),
        -9, 9,
    )[0]  # fmt: skip
    logs = [
        truncate(bounded(path, lower, np.inf), 2000, np.random.default_rng(s)).log_probability
        for s in range(4)
    ]
    assert abs(np.mean(logs) - np.log(exact)) < 0.12


@pytest.mark.parametrize("df", [4.0, None])
def test_angles_are_those_within_bounds(df):
    """Against a fine grid of the circle."""
    generator = np.random.default_rng(0)
    v = generator.normal(size=(30, 5))
    w = generator.normal(size=(30, 5))
    low, high = v - generator.exponential(size=v.shape), v + generator.exponential(size=v.shape)
    high[:, 0], low[:, 1] = np.inf, -np.inf
    grid = np.linspace(0, 2 * np.pi, 20_001)[:-1]
    path = v[..., None] * np.cos(grid) + w[..., None] * np.sin(grid)
    free = ((path >= low[..., None]) & (path <= high[..., None])).all(1)
    for uniform in (0.02, 0.3, 0.77, 0.999):
        angle = truncated._angle(v, w, low, high, np.full(30, uniform))
        for row in range(30):
            share = free[row, grid <= angle[row]].sum() / free[row].sum()
            assert share == pytest.approx(uniform, abs=0.02)
            y = v[row] * np.cos(angle[row]) + w[row] * np.sin(angle[row])
            assert ((y >= low[row] - 1e-9) & (y <= high[row] + 1e-9)).all()


def test_wide_bounds_change_nothing():
    path = path_of(5.0)
    found = truncate(bounded(path, -1e9, 1e9), 4000, np.random.default_rng(0))
    assert found.log_probability == 0.0
    assert found.effective == 4000
    error = found.draws.std(0) / np.sqrt(4000)
    assert (np.abs(found.draws.mean(0) - path.loc[0].numpy()) < 4.5 * error).all()


def test_bounds_that_cannot_hold_are_refused():
    path = path_of(None)
    with pytest.raises(ValueError, match="probability below 1e-12.*widen"):
        truncate(bounded(path, 100.0, np.inf), 500, np.random.default_rng(0))


def test_the_same_seed_gives_the_same_draws():
    problem = bounded(path_of(5.0), 0.0, np.inf)
    one, two = (truncate(problem, 300, np.random.default_rng(3)).draws for _ in range(2))
    assert (one == two).all()


def test_draws_answer_like_a_law():
    draws = torch.randn(2, 1001, 3, generator=torch.Generator().manual_seed(0)).double()
    paths = DrawnPaths(draws, torch.full((2, 3), 0.25))
    assert (len(paths), paths.horizon) == (2, 3)
    np.testing.assert_allclose(paths.steps().median(), np.median(draws.numpy(), 1))
    sums = paths.functional(torch.ones(3, 2))
    np.testing.assert_allclose(sums.mean()[:, 1], draws.sum(-1).mean(1))
    again = paths.sample(1500, torch.Generator().manual_seed(1))
    assert again.shape == (2, 1500, 3)
    assert len(again[0, :1001, 0].unique()) == 1001
    numbers = DrawnNumbers(draws.numpy().transpose(0, 2, 1))
    y = np.array([[0.0, np.nan, 1.0]] * 2)
    assert np.isnan(numbers.cdf(y)[:, 1]).all()
    assert numbers.crps(y)[0, 0] == pytest.approx(0.2337, abs=0.02)  # of the standard normal at 0
