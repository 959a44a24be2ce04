"""Series that share sources: exact densities, and every series' own law as it was."""

import numpy as np
import pytest
import torch
from scipy import stats

from vneuron.forecasting.laws.coupled import (
    Factors,
    Loadings,
    excess_nll,
    gaussian_sources,
    sample_coupled,
)
from vneuron.forecasting.laws.predictive import TrajectoryDistribution
from vneuron.forecasting.laws.radial import gaussian_radius, student_radius
from vneuron.functional.coupling import bounded
from vneuron.functional.own_noise import OwnNoise

SERIES, STEPS, UNITS, RANK = 3, 4, 2, 2


def paths(df=5.0, noise="steered", seed=0):
    """One path for each series."""
    make = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=make, dtype=torch.float64)

    own = {
        "white": None,
        "lasting": OwnNoise(torch.tensor(0.6, dtype=torch.float64)),
        "steered": OwnNoise(uniform(SERIES) - 0.3, uniform(SERIES, STEPS) + 0.5),
    }[noise]
    return TrajectoryDistribution(
        loc=uniform(SERIES, STEPS),
        scale=uniform(SERIES, STEPS) + 0.5,
        df=None if df is None else torch.tensor(df, dtype=torch.float64),
        loading=2 * uniform(STEPS, UNITS) - 1,
        unit_scale=uniform(SERIES, UNITS) + 0.5,
        own_noise=own,
    )


def loadings(seed=1):
    make = torch.Generator().manual_seed(seed)
    units = torch.randn(SERIES, UNITS, RANK, generator=make, dtype=torch.float64)
    return Loadings(bounded(2 * units), bounded(2 * units[:, 0]))


def root_of(path):
    """Of each series' scale matrix, by sources: [series, steps, units + steps]."""
    eye = torch.eye(STEPS + UNITS, dtype=torch.float64).expand(SERIES, -1, -1)
    from_sources = path.deviation(eye[..., UNITS:], eye[..., :UNITS])
    return (path.place(from_sources) - path.loc[:, None]).mT


def dense(path, tied):
    """Covariance of all series' Gaussian paths."""
    root, between = root_of(path), []
    for c in range(SERIES):
        for d in range(SERIES):
            units = (tied.units[c] * tied.units[d]).sum(-1)
            noise = (tied.noise[c] @ tied.noise[d]).expand(STEPS)
            alike = torch.cat([units, noise]) if c != d else torch.ones(UNITS + STEPS)
            between.append(root[c] * alike @ root[d].T)
    rows = [torch.cat(between[c * SERIES : (c + 1) * SERIES], 1) for c in range(SERIES)]
    return torch.cat(rows)


def joint_nll(path, target, tied):
    sources = gaussian_sources(path, target)
    one = type(sources)(*(each[None] for each in sources))
    return float(path.joint_nll(target).sum() + excess_nll(one, tied)[0])


def gaussian_path(path, target):
    """Series by series, by the definition: along its ray to the Gaussian radius."""
    root = root_of(path)
    found = []
    for c, error in enumerate((target - path.loc).numpy()):
        q = error @ np.linalg.solve((root[c] @ root[c].T).numpy(), error)
        found.append(error * np.sqrt(gaussian_radius(q, STEPS, float(path.df)) / q))
    return np.stack(found)


@pytest.mark.parametrize("noise", ["white", "lasting", "steered"])
def test_the_gaussian_density_is_that_of_the_dense_matrix(noise):
    path, tied = paths(None, noise), loadings()
    target = path.loc + torch.randn(SERIES, STEPS, dtype=torch.float64)
    whole = stats.multivariate_normal(path.loc.flatten(), dense(path, tied))
    assert joint_nll(path, target, tied) == pytest.approx(-whole.logpdf(target.flatten()))


@pytest.mark.parametrize("noise", ["white", "steered"])
def test_the_density_under_heavy_tails_is_that_of_the_map(noise):
    """By change of variables, with a Jacobian by differences."""
    path, tied = paths(5.0, noise), loadings()
    make = torch.Generator().manual_seed(3)
    target = path.loc + 2 * torch.randn(SERIES, STEPS, generator=make, dtype=torch.float64)
    step, size = 1e-6, SERIES * STEPS
    jacobian = np.empty((size, size))
    for at in range(size):
        moved = torch.zeros(size, dtype=torch.float64)
        moved[at] = step
        moved = moved.view(SERIES, STEPS)
        up, down = gaussian_path(path, target + moved), gaussian_path(path, target - moved)
        jacobian[:, at] = ((up - down) / (2 * step)).ravel()
    whole = stats.multivariate_normal(np.zeros(size), dense(path, tied))
    density = whole.logpdf(gaussian_path(path, target).ravel())
    expected = density + np.linalg.slogdet(jacobian)[1]
    assert joint_nll(path, target, tied) == pytest.approx(-expected, rel=1e-6)


def test_without_loadings_it_is_the_sum_over_series():
    path = paths()
    target = path.loc + 1.0
    nothing = Loadings(*(0 * each for each in loadings()))
    assert joint_nll(path, target, nothing) == pytest.approx(float(path.joint_nll(target).sum()))


def test_one_series_alone_keeps_its_density():
    path = paths().windows(torch.tensor([1]))
    target = path.loc + 1.0
    tied = loadings().take(torch.tensor([1]))
    assert joint_nll(path, target, tied) == pytest.approx(float(path.joint_nll(target).sum()))


@pytest.mark.parametrize("df", [2.1, 5.0, 80.0])
@pytest.mark.parametrize("steps", [1, 6, 96])
def test_radii_are_at_the_same_probability(df, steps):
    probability = np.array([1e-9, 1e-3, 0.3, 0.5, 0.9, 1 - 1e-9])
    gaussian = stats.chi2.ppf(probability, steps)
    student = steps * stats.f.ppf(probability, steps, df)
    np.testing.assert_allclose(gaussian_radius(student, steps, df), gaussian, rtol=1e-5)
    np.testing.assert_allclose(student_radius(gaussian, steps, df), student, rtol=1e-5)


def test_extreme_radii_stay_finite():
    q = np.array([0.0, 1e-300, 1e-3, 1e12])
    for steps in (1, 720):
        there = gaussian_radius(q, steps, 3.0)
        assert np.isfinite(there).all()
        assert (np.diff(there) >= 0).all()
        assert np.isfinite(student_radius(there, steps, 3.0)).all()


def draw(path, tied, draws, seed=0):
    make = torch.Generator().manual_seed(seed)
    factors = Factors.draw(draws, tied, STEPS, make)
    return sample_coupled(path, tied, factors, make)


@pytest.mark.parametrize("noise", ["white", "steered"])
def test_gaussian_draws_have_the_covariance(noise):
    path, tied, draws = paths(None, noise), loadings(), 40_000
    drawn = draw(path, tied, draws).transpose(0, 1).flatten(1).numpy()
    expected = dense(path, tied).numpy()
    found = np.cov(drawn.T)
    variance = np.outer(expected.diagonal(), expected.diagonal()) + expected**2
    assert np.abs((found - expected) / np.sqrt(variance / draws)).max() < 5.0
    mean = (drawn.mean(0) - path.loc.flatten().numpy()) / np.sqrt(expected.diagonal() / draws)
    assert np.abs(mean).max() < 5.0


def test_draws_of_each_series_have_its_own_law():
    path, tied = paths(), loadings()
    drawn = draw(path, tied, 20_000)
    weights = torch.tensor([[1.0, 0, 0, 0], [1.0, 1, 1, 1], [1.0, -1, 0, 2]]).double().T
    law = path.functional(weights)
    for series in range(SERIES):
        for column, values in enumerate((drawn[series] @ weights).T.numpy()):
            pit = stats.t.cdf(values, 5.0, law.loc[series, column], law.scale[series, column])
            assert stats.kstest(pit, "uniform").pvalue > 1e-4


@pytest.mark.parametrize("steps", [4, 96])
def test_loadings_move_no_deviation_of_a_series_by_itself(steps):
    """At the sizes of a real horizon too, where arrays are laid out in other ways."""
    make = torch.Generator().manual_seed(0)
    size, units, rank, draws = 5, 32, 4, 4000
    path = TrajectoryDistribution(
        loc=torch.zeros(size, steps, dtype=torch.float64),
        scale=torch.ones(size, steps, dtype=torch.float64),
        df=torch.tensor(8.0, dtype=torch.float64),
        loading=torch.randn(steps, units, generator=make, dtype=torch.float64),
        unit_scale=torch.ones(size, units, dtype=torch.float64),
        own_noise=OwnNoise(torch.full((size,), 0.9, dtype=torch.float64)),
    )
    tied = Loadings(
        bounded(torch.randn(size, units, rank, generator=make, dtype=torch.float64)),
        bounded(torch.randn(size, rank, generator=make, dtype=torch.float64)),
    )
    weights = torch.full((steps,), 1.0 / steps, dtype=torch.float64)
    law = path.functional(weights)
    for loadings in (tied, Loadings(0 * tied.units, tied.noise)):
        factors = Factors.draw(draws, loadings, steps, make)
        drawn = (sample_coupled(path, loadings, factors, make) @ weights).numpy()
        for series in range(size):
            pit = stats.t.cdf(drawn[series], 8.0, law.loc[series], law.scale[series])
            assert stats.kstest(pit, "uniform").pvalue > 1e-4


def test_draws_have_the_density():
    """E[p_tied / p_free] over free draws is 1, and its logarithm negative: both laws are proper."""
    path, tied = paths(), Loadings(*(0.5 * each for each in loadings()))
    nothing = Loadings(*(0 * each for each in tied))
    free = draw(path, nothing, 4000).transpose(0, 1)
    ratios = []
    for target in free:
        sources = gaussian_sources(path, target)
        one = type(sources)(*(each[None] for each in sources))
        ratios.append(-float(excess_nll(one, tied)[0]))
    ratio = np.exp(ratios)
    assert abs(ratio.mean() - 1.0) < 5.0 * ratio.std() / np.sqrt(len(ratio))
    assert np.mean(ratios) < 0.0


def test_sums_over_series_are_wider_than_of_independent_ones():
    path, draws = paths(), 20_000
    positive = Loadings(*(each.abs() for each in loadings()))
    nothing = Loadings(*(0 * each for each in positive))
    together = draw(path, positive, draws).sum((0, 2)).std()
    assert together > 1.1 * draw(path, nothing, draws).sum((0, 2)).std()


def test_windows_are_those_windows():
    for noise in ("white", "lasting", "steered"):
        path, at = paths(noise=noise), torch.tensor([2, 0])
        target = path.loc + 0.3
        torch.testing.assert_close(
            path.windows(at).joint_nll(target[at]), path.joint_nll(target)[at]
        )


def test_a_path_without_units_is_refused():
    path = TrajectoryDistribution(torch.zeros(2, 3), torch.ones(2, 3), None)
    with pytest.raises(ValueError, match="no units"):
        gaussian_sources(path, torch.zeros(2, 3))
