"""Mixtures of paths against dense densities, Monte Carlo, and the closed form of one path."""

import numpy as np
import pytest
import torch
from scipy import special, stats

from vneuron.forecasting.laws.mixture import MixtureTrajectory
from vneuron.forecasting.laws.predictive import TrajectoryDistribution

B, S, H = 3, 4, 5
KINDS = [(None, False), (None, True), (5.0, False), (5.0, True)]


def path_of(df=None, weighted=False, seed=0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    loc = 2.0 * torch.randn(B, S, H, generator=g, dtype=dtype)
    scale = 0.3 + torch.rand(B, H, generator=g, dtype=dtype)
    weights = torch.randn(B, S, generator=g, dtype=dtype).log_softmax(1) if weighted else None
    return MixtureTrajectory(
        loc, scale, None if df is None else torch.tensor(df, dtype=dtype), weights
    )


def weights_of(path):
    return np.full((B, S), 1 / S) if path.log_weights is None else path.log_weights.exp().numpy()


def component(path, window, draw, rows=slice(None)):
    loc = path.loc[window, draw].numpy()[rows]
    shape = np.diag(path.scale[window].numpy()[rows] ** 2)
    if path.df is None:
        return stats.multivariate_normal(loc, shape)
    return stats.multivariate_t(loc, shape, df=float(path.df))


@pytest.mark.parametrize(("df", "weighted"), KINDS)
def test_the_joint_density_mixes_whole_paths(df, weighted):
    path = path_of(df, weighted)
    y = torch.randn(B, H, dtype=torch.float64)
    found = path.joint_nll(y)
    for b in range(B):
        logs = [component(path, b, s).logpdf(y[b].numpy()) for s in range(S)]
        expected = -special.logsumexp(logs, b=weights_of(path)[b])
        assert found[b].item() == pytest.approx(expected)


@pytest.mark.parametrize(("df", "weighted"), KINDS)
def test_missing_steps_leave_the_density_of_the_others(df, weighted):
    path = path_of(df, weighted)
    y = torch.randn(B, H, dtype=torch.float64)
    observed = torch.tensor([[True] * H, [True, False, True, True, False], [False] * H])
    y = y.masked_fill(~observed, torch.nan)
    found = path.joint_nll(y, observed)
    rows = observed[1].numpy()
    logs = [component(path, 1, s, rows).logpdf(y[1].numpy()[rows]) for s in range(S)]
    assert found[1].item() == pytest.approx(-special.logsumexp(logs, b=weights_of(path)[1]))
    assert found[2].item() == pytest.approx(0.0, abs=1e-12)
    marginal = path.marginal_nll(y, observed)
    assert bool((marginal[~observed] == 0).all())
    assert bool(marginal.isfinite().all())


@pytest.mark.parametrize(("df", "weighted"), KINDS)
def test_steps_and_marginals_agree(df, weighted):
    path = path_of(df, weighted)
    y = torch.randn(B, H, dtype=torch.float64)
    np.testing.assert_allclose(path.marginal_nll(y), path.steps().nll(y.numpy()))
    np.testing.assert_allclose(path.mean(), path.steps().mean())


def test_a_gradient_with_a_missing_target_is_finite():
    path = path_of(5.0)
    loc = path.loc.clone().requires_grad_()
    y = torch.full((B, H), torch.nan, dtype=torch.float64)
    y[:, 0] = 0.0
    MixtureTrajectory(loc, path.scale, path.df).joint_nll(y, ~y.isnan()).sum().backward()
    assert loc.grad is not None
    assert bool(loc.grad.isfinite().all())


@pytest.mark.parametrize("df", [None, 5.0])
def test_one_draw_is_the_closed_form(df):
    path = path_of(df)
    one = MixtureTrajectory(path.loc[:, :1], path.scale, path.df)
    closed = TrajectoryDistribution(path.loc[:, 0], path.scale, path.df)
    y = torch.randn(B, H, dtype=torch.float64)
    weights = torch.randn(H, 2, dtype=torch.float64)
    torch.testing.assert_close(one.joint_nll(y), closed.joint_nll(y))
    torch.testing.assert_close(one.marginal_nll(y), closed.marginal_nll(y))
    torch.testing.assert_close(one.point(), closed.point())
    torch.testing.assert_close(one.sd(), closed.sd())
    assert bool((one.unit_share() == 0).all())
    for here, there in (
        (one.steps(), closed.steps()),
        (one.functional(weights), closed.functional(weights)),
        (one.functional(weights[:, 0]), closed.functional(weights[:, 0])),
    ):
        np.testing.assert_allclose(here.mean(), there.mean())
        np.testing.assert_allclose(here.quantile(0.9), there.quantile(0.9))


@pytest.mark.parametrize(("df", "weighted"), KINDS)
def test_draws_have_the_stated_law(df, weighted):
    path = path_of(df, weighted)
    draws = path.sample(40_000, torch.Generator().manual_seed(1))
    assert draws.shape == (B, 40_000, H)
    error = path.sd() / np.sqrt(40_000)
    assert bool(((draws.mean(1) - path.mean()).abs() < 5 * error).all())
    torch.testing.assert_close(draws.std(1), path.sd(), rtol=0.08, atol=0)
    for step in (0, H - 1):
        uniform = path.steps().cdf(draws[:, :4000].transpose(0, 1).numpy())[:, 0, step]
        assert stats.kstest(uniform, "uniform").pvalue > 1e-4


@pytest.mark.parametrize(("df", "weighted"), KINDS)
def test_sums_follow_their_own_mixture(df, weighted):
    path = path_of(df, weighted)
    weights = torch.tensor([[1.0, 0.2], [1.0, 0.2], [1.0, 0.2], [1.0, 0.2], [-1.0, 0.2]])
    law = path.functional(weights)
    draws = (path.sample(4000, torch.Generator().manual_seed(2)) @ weights.double()).numpy()
    for window in range(B):
        for f in range(2):
            uniform = [law.cdf(np.full((B, 2), v))[window, f] for v in draws[window, :600, f]]
            assert stats.kstest(uniform, "uniform").pvalue > 1e-4
    np.testing.assert_allclose(path.functional(weights[:, 0]).mean(), law.mean()[:, 0])


def test_the_variance_falls_into_noise_and_draws():
    path = path_of(None, weighted=True)
    between = path.sd().square() * path.unit_share()
    for b in range(B):
        w = weights_of(path)[b]
        mean = w @ path.loc[b].numpy()
        np.testing.assert_allclose(between[b], w @ (path.loc[b].numpy() - mean) ** 2)
    noise = path.sd().square() - between
    torch.testing.assert_close(noise, path.scale.square())


def test_rescaling_commutes_with_everything():
    path = path_of(5.0, weighted=True)
    mean, sd = torch.tensor([1e6, 0.0, -3.0]), torch.tensor([2.0, 1e-3, 5.0])
    raw = path.rescale(mean, sd)
    y = torch.randn(B, H, dtype=torch.float64)
    there = y * sd[:, None] + mean[:, None]
    torch.testing.assert_close(raw.joint_nll(there), path.joint_nll(y) + H * sd.double().log())
    torch.testing.assert_close(raw.sd(), path.sd() * sd[:, None])
    torch.testing.assert_close(raw.unit_share(), path.unit_share())
    expected = path.steps().quantile(0.9) * sd[:, None].numpy() + mean[:, None].numpy()
    np.testing.assert_allclose(raw.steps().quantile(0.9), expected)


def test_without_the_latent_mean_and_spread_stay():
    for df in (None, 5.0):
        path = path_of(df, weighted=True)
        plain = path.without_latent()
        torch.testing.assert_close(plain.point(), path.mean())
        torch.testing.assert_close(plain.sd(), path.sd())
        assert bool((plain.unit_share() == 0).all())


def test_paths_that_move_together_are_worth_something():
    level = torch.tensor([-3.0, -1.0, 1.0, 3.0])[None, :, None].expand(1, 4, 6)
    path = MixtureTrajectory(level, torch.full((1, 6), 0.2), None)
    y = torch.full((1, 6), 0.9)
    assert path.joint_nll(y) < path.marginal_nll(y).sum() - 5
    assert path.joint_nll(y) < path.without_latent().joint_nll(y) - 5


def test_the_median_is_put_forward_where_asked():
    loc = torch.tensor([[[0.0], [1.0], [8.0]]])
    mean = MixtureTrajectory(loc, torch.ones(1, 1), None)
    median = MixtureTrajectory(loc, torch.ones(1, 1), None, median_point=True)
    assert mean.point().item() == 3.0
    assert median.point().item() == 1.0
    y = torch.zeros(1, 1)
    assert median.joint_nll(y) == mean.joint_nll(y)
