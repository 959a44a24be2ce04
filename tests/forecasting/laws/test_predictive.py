"""The predictive distribution: SciPy's multivariate t, exact linear functionals, Monte Carlo."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from vneuron.forecasting.laws.predictive import TrajectoryDistribution
from vneuron.functional.low_rank import correlation
from vneuron.functional.own_noise import OwnNoise

KINDS = ["dynamic", "static", "independent", "lasting", "static lasting", "steered"]


def path_of(kind="dynamic", df=4.0, batch=3, steps=5, columns=2):
    generator = torch.Generator().manual_seed(3)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    loc, scale = normal(batch, steps), normal(batch, steps).abs() + 0.2
    loading, unit_scale = normal(steps, columns), normal(batch, columns).abs() + 0.3
    lasting = OwnNoise(torch.tensor(0.6, dtype=torch.float64))
    steered = OwnNoise(normal(batch).tanh(), normal(batch, steps).exp())
    return TrajectoryDistribution(
        loc=loc,
        scale=scale,
        df=None if df is None else torch.tensor(df, dtype=torch.float64),
        loading=None if kind == "independent" else loading,
        unit_scale=None
        if kind == "independent"
        else unit_scale[0]
        if kind.startswith("static")
        else unit_scale,
        own_noise=steered if kind == "steered" else lasting if "lasting" in kind else None,
    )


def shape_matrix(path, window):
    """D C D of one window, dense."""
    d = np.diag(path.scale[window].numpy())
    if path.loading is None:
        return d @ d
    scale = path.unit_scale if path.unit_scale.dim() == 1 else path.unit_scale[window]
    own = path.own_noise
    if own is not None and own.weight is not None:
        own = OwnNoise(own.persistence[window], own.weight[window])
    return d @ correlation(path.loading, scale, own).numpy() @ d


def scipy_law(path, window, rows=slice(None)):
    loc, shape = path.loc[window].numpy()[rows], shape_matrix(path, window)[rows][:, rows]
    if path.df is None:
        return stats.multivariate_normal(loc, shape)
    return stats.multivariate_t(loc, shape, df=float(path.df))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("df", [2.2, 4.0, None])
def test_the_joint_density_is_scipys(kind, df):
    path = path_of(kind, df)
    y = torch.randn(3, 5, dtype=torch.float64) * 2
    expected = [-scipy_law(path, b).logpdf(y[b].numpy()) for b in range(3)]
    np.testing.assert_allclose(path.joint_nll(y), expected, rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("df", [4.0, None])
def test_missing_steps_leave_the_density_of_the_others(kind, df):
    path = path_of(kind, df)
    y = torch.randn(3, 5, dtype=torch.float64)
    observed = torch.tensor([[1, 0, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 1, 0]]).bool()
    rows = [np.flatnonzero(mask) for mask in observed.numpy()]
    expected = [-scipy_law(path, b, r).logpdf(y[b].numpy()[r]) for b, r in enumerate(rows)]
    y = y.masked_fill(~observed, 1e6)
    np.testing.assert_allclose(path.joint_nll(y, observed), np.ravel(expected), rtol=1e-9)
    steps = path.marginal_nll(y, observed)
    assert bool((steps[~observed] == 0).all())
    torch.testing.assert_close(steps[observed], path.marginal_nll(y)[observed])


def test_nothing_observed_costs_nothing():
    path = path_of()
    nothing = torch.zeros(3, 5, dtype=torch.bool)
    y = torch.zeros(3, 5, dtype=torch.float64)
    torch.testing.assert_close(path.joint_nll(y, nothing), torch.zeros(3).double())


@pytest.mark.parametrize("kind", KINDS)
def test_each_step_is_the_margin_of_the_path(kind):
    """Observing one step alone, joint and marginal densities are one."""
    path = path_of(kind)
    y = torch.randn(3, 5, dtype=torch.float64)
    for step in range(5):
        only = torch.zeros(3, 5, dtype=torch.bool)
        only[:, step] = True
        torch.testing.assert_close(path.joint_nll(y, only), path.marginal_nll(y)[:, step])


@pytest.mark.parametrize("kind", KINDS)
def test_a_linear_functional_is_exact(kind):
    path = path_of(kind)
    weights = torch.randn(5, 4, dtype=torch.float64)
    loc, scale = path.linear(weights)
    assert loc.shape == scale.shape == (3, 4)
    for b in range(3):
        w = weights.numpy()
        np.testing.assert_allclose(loc[b], w.T @ path.loc[b].numpy(), rtol=1e-10)
        variance = np.einsum("hf,hg,gf->f", w, shape_matrix(path, b), w)
        np.testing.assert_allclose(scale[b], np.sqrt(variance), rtol=1e-10)
    one = path.linear(weights[:, 2])
    torch.testing.assert_close(one, (loc[:, 2], scale[:, 2]))


def test_a_single_step_is_a_linear_functional():
    path = path_of()
    loc, scale = path.linear(torch.eye(5))
    torch.testing.assert_close(loc, path.loc)
    torch.testing.assert_close(scale, path.scale)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("df", [9.0, None])
def test_moments_of_sample_paths(kind, df):
    path = path_of(kind, df)
    draws = path.sample(40_000, torch.Generator().manual_seed(0)).numpy()
    assert draws.shape == (3, 40_000, 5)
    factor = 1.0 if df is None else df / (df - 2)
    for b in range(3):
        covariance = factor * shape_matrix(path, b)
        error = draws[b] - path.loc[b].numpy()
        standard = error.std(0) / np.sqrt(len(error))
        assert (np.abs(error.mean(0)) < 4.5 * standard).all()
        products = error[:, :, None] * error[:, None, :]
        standard = products.std(0) / np.sqrt(len(error))
        assert (np.abs(products.mean(0) - covariance) < 4.5 * standard).all()


@pytest.mark.parametrize("df", [3.0, None])
def test_sample_paths_follow_their_law_in_the_tails(df):
    """The path's mean and one step, against the exact law, by Kolmogorov and Smirnov's test."""
    path = path_of("dynamic", df, batch=1)
    draws = path.sample(20_000, torch.Generator().manual_seed(1)).numpy()[0]
    law = stats.norm() if df is None else stats.t(df)
    loc, scale = (float(part) for part in path.linear(torch.full((5,), 0.2)))
    for values, m, s in (
        (draws.mean(-1), loc, scale),
        (draws[:, 3], float(path.loc[0, 3]), float(path.scale[0, 3])),
    ):
        assert stats.kstest((values - m) / s, law.cdf).pvalue > 1e-3


def test_all_steps_of_a_path_share_one_mixing_variable():
    """Squares of independent steps are correlated under a t with C = I, and not under a normal."""
    for df, sign in ((5.0, True), (None, False)):
        path = path_of("independent", df, batch=1)
        draws = path.sample(20_000, torch.Generator().manual_seed(0))[0]
        size = ((draws - path.loc) / path.scale).abs().numpy()
        correlated = stats.spearmanr(size[:, 0], size[:, 1]).pvalue < 1e-6
        assert correlated == sign


def test_the_same_generator_gives_the_same_paths():
    path = path_of()

    def draw(seed):
        return path.sample(4, torch.Generator().manual_seed(seed))

    assert torch.equal(draw(5), draw(5))
    assert not torch.equal(draw(5), draw(6))


@pytest.mark.parametrize("kind", KINDS)
def test_rescaling_is_a_change_of_unit(kind):
    path = path_of(kind)
    mean, sd = torch.tensor([1e9, -5.0, 0.0]), torch.tensor([2.0, 1e-3, 1e6])
    raw = path.rescale(mean, sd)
    y = torch.randn(3, 5, dtype=torch.float64)
    there = y * sd.double()[:, None] + mean.double()[:, None]
    moved = raw.joint_nll(there) - 5 * sd.double().log()
    torch.testing.assert_close(moved, path.joint_nll(y), atol=1e-5, rtol=0)
    torch.testing.assert_close(raw.sd(), path.sd() * sd.double()[:, None])
    torch.testing.assert_close(raw.unit_share(), path.unit_share())


def test_a_single_precision_path_is_rescaled_in_double():
    path = path_of()
    single = TrajectoryDistribution(
        path.loc.float(), path.scale.float(), path.df.float(), path.loading.float(),
        path.unit_scale.float(),
    )  # fmt: skip
    raw = single.rescale(torch.full((3,), 1e9), torch.ones(3))
    assert raw.loc.dtype == torch.float64
    torch.testing.assert_close(raw.loc - 1e9, path.loc, atol=1e-6, rtol=0)


def test_the_units_share_of_the_variance_is_between_zero_and_one():
    path = path_of()
    share = path.unit_share()
    shared = (path.loading * path.unit_scale[:, None]).square().sum(-1)
    torch.testing.assert_close(share, shared / (shared + 1))
    assert bool((path_of("independent").unit_share() == 0).all())
    assert path_of("static").unit_share().shape == (3, 5)


def test_the_standard_deviation_is_that_of_the_t():
    torch.testing.assert_close(path_of(df=4.0).sd(), path_of().scale * 2**0.5)
    torch.testing.assert_close(path_of(df=None).sd(), path_of().scale)


def test_fixed_margins_keep_values_and_cut_gradients():
    path = path_of()
    leaves = {
        name: getattr(path, name).clone().requires_grad_()
        for name in ("loc", "scale", "df", "loading", "unit_scale")
    }
    path = replace(path, **leaves)
    y = torch.randn(3, 5, dtype=torch.float64)
    torch.testing.assert_close(path.with_fixed_margins().joint_nll(y), path.joint_nll(y))
    path.with_fixed_margins().joint_nll(y).sum().backward()
    reached = {name for name, leaf in leaves.items() if leaf.grad is not None}
    assert reached == {"loading", "unit_scale"}
