"""The ensemble's law against scipy, scoringrules and draws."""

from __future__ import annotations

import numpy as np
import pytest
import scoringrules as sr
import torch
from harness.baselines.mixture import MixedForecasts, MixedLaws
from scipy import stats

from vneuron.forecasting.laws.law import StudentLaw
from vneuron.forecasting.laws.predictive import TrajectoryDistribution


def laws() -> MixedLaws:
    rng = np.random.default_rng(0)
    return MixedLaws(
        tuple(
            StudentLaw(rng.normal(0, 0.4, 50), rng.uniform(0.5, 1.5, 50), 4.0 + 0.2 * k)
            for k in range(5)
        )
    )


def components(law: MixedLaws):
    return [stats.t(df=one.df, loc=one.loc, scale=one.scale) for one in law.laws]


def test_density_and_distribution_are_means() -> None:
    law, y = laws(), np.random.default_rng(1).normal(0, 2, 50)
    own = components(law)
    assert np.allclose(law.cdf(y), np.mean([one.cdf(y) for one in own], 0))
    assert np.allclose(law.nll(y), -np.log(np.mean([one.pdf(y) for one in own], 0)))


@pytest.mark.parametrize("probability", [0.01, 0.1, 0.5, 0.975])
def test_quantiles_invert_the_distribution(probability) -> None:
    law = laws()
    assert np.allclose(law.cdf(law.quantile(probability)), probability, atol=1e-7)


def test_crps_of_members_that_agree_is_the_members() -> None:
    one = StudentLaw(np.linspace(-1, 1, 7), np.full(7, 0.7), 4.0)
    y = np.linspace(-3, 3, 7)
    assert np.allclose(MixedLaws((one,) * 5).crps(y), one.crps(y), rtol=1e-6)


def test_crps_against_an_integral_of_the_distribution() -> None:
    law, y = laws(), np.random.default_rng(2).normal(0, 1.5, 50)
    places = np.sinh(np.linspace(-8, 8, 8_001))
    cdf = np.stack([law.cdf(np.full(50, x)) for x in places], -1)
    exact = np.trapezoid(np.square(cdf - (places >= y[:, None])), places, axis=-1)
    error = law.crps(y) - exact
    assert np.abs(error).max() < 0.005
    assert abs(error.mean()) < 0.001


def test_crps_of_gaussians_is_exact() -> None:
    law = MixedLaws(tuple(StudentLaw(one.loc, one.scale, None) for one in laws().laws))
    y = np.random.default_rng(5).normal(0, 1.5, 50)
    weights = np.full(5, 0.2)
    loc, scale = (
        np.stack([getattr(one, name) for one in law.laws], -1) for name in ("loc", "scale")
    )
    assert np.allclose(law.crps(y), sr.crps_mixnorm(y, loc, scale, weights), atol=1e-9)


def test_crps_against_scoringrules_on_draws() -> None:
    law, y = laws(), np.random.default_rng(3).normal(0, 1.5, 50)
    rng = np.random.default_rng(4)
    draws = np.concatenate(
        [one.rvs(size=(4000, 50), random_state=rng) for one in components(law)]
    ).T
    drawn = sr.crps_ensemble(y, draws)
    assert abs(law.crps(y).mean() - drawn.mean()) < 0.006


def forecasts() -> MixedForecasts:
    torch.manual_seed(0)
    parts = []
    for df in (3.0, 6.0, 9.0):
        loading = torch.randn(8, 2)
        parts.append(
            TrajectoryDistribution(
                torch.randn(4, 8), torch.rand(4, 8) + 0.5, torch.tensor(df), loading, torch.ones(2)
            )
        )
    return MixedForecasts(tuple(parts))


def test_whole_paths_are_mixed_and_not_steps() -> None:
    mixed, y = forecasts(), torch.randn(4, 8)
    each = torch.stack([one.joint_nll(y) for one in mixed.components]).double()
    assert torch.allclose(mixed.joint_nll(y).double(), -(-each).exp().mean(0).log(), atol=1e-5)
    steps = mixed.marginal_nll(y)
    assert np.allclose(steps.numpy(), mixed.steps().nll(y.double().numpy()), atol=1e-5)
    assert not torch.allclose(mixed.joint_nll(y), steps.sum(-1), atol=0.1)


def test_draws_have_the_mixtures_moments() -> None:
    mixed = forecasts()
    draws = mixed.sample(40_000, torch.Generator().manual_seed(1))
    assert draws.shape == (4, 40_000, 8)
    error = 4 * mixed.sd() / 200
    assert ((draws.mean(1) - mixed.point()).abs() < 2 * error).all()
    mean = mixed.functional(torch.full((8,), 0.125))
    covered = (draws.mean(-1).numpy() <= mean.quantile(0.8)[:, None]).mean(1)
    assert np.abs(covered - 0.8).max() < 0.02


def test_scale_and_unit_pass_through() -> None:
    mixed = forecasts()
    moved = mixed.rescale(torch.full((4,), 10.0), torch.full((4,), 2.0))
    assert torch.allclose(moved.point(), 10 + 2 * mixed.point().double(), atol=1e-6)
    assert torch.allclose(moved.sd(), 2 * mixed.sd().double(), atol=1e-5)
    assert ((mixed.unit_share() > 0) & (mixed.unit_share() < 1)).all()
