"""Laws of counts against SciPy, scoringrules and enumeration; paths against their own laws."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
import scoringrules
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vneuron.forecasting.laws.count_law import CountLaw, counts_at
from vneuron.forecasting.laws.counts import CountTrajectory
from vneuron.forecasting.laws.drawn_counts import DrawnCounts
from vneuron.forecasting.laws.predictive import TrajectoryDistribution
from vneuron.functional.low_rank import correlation


def scipy_law(rate: float, dispersion: float | None) -> object:
    if dispersion is None:
        return scipy.stats.poisson(rate)
    return scipy.stats.nbinom(1 / dispersion, 1 / (1 + rate * dispersion))


RATES = st.floats(1e-2, 2e3)
DISPERSIONS = st.none() | st.floats(1e-4, 4.0)


@given(RATES, DISPERSIONS, st.floats(1e-4, 1 - 1e-4))
def test_cdf_and_quantile_are_those_of_scipy(
    rate: float, dispersion: float | None, p: float
) -> None:
    law = CountLaw(np.array([rate]), None if dispersion is None else np.array([dispersion]))
    expected = scipy_law(rate, dispersion)
    k = expected.ppf([p, 0.5, 0.999])  # type: ignore[attr-defined]
    found = [law.cdf(np.array([value]))[0] for value in k]
    np.testing.assert_allclose(found, expected.cdf(k), rtol=1e-7)  # type: ignore[attr-defined]
    q = law.quantile(p)[0]
    assert law.cdf(np.array([q]))[0] >= p > law.cdf(np.array([q - 1]))[0]
    assert law.sd()[0] == pytest.approx(expected.std())  # type: ignore[attr-defined]


@given(st.lists(RATES, min_size=1, max_size=4), DISPERSIONS, st.integers(0, 99))
def test_bisection_draws_what_tables_draw(
    rates: list[float], dispersion: float | None, seed: int
) -> None:
    rate = np.array(rates)
    law = CountLaw(rate, None if dispersion is None else np.full_like(rate, dispersion))
    u = np.random.default_rng(seed).uniform(1e-6, 1 - 1e-6, (len(rate), 2))
    tables = counts_at(u, law)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("vneuron.forecasting.laws.count_law.WIDE", 0)
        np.testing.assert_array_equal(counts_at(u, law), tables)
        np.testing.assert_array_equal(counts_at(u, law, budget=2), tables)


@pytest.mark.parametrize("dispersion", [None, 0.3])
def test_draws_of_huge_counts_have_the_moments_of_their_law(dispersion: float | None) -> None:
    rate = np.array([3.0, 1e7, 1e9])
    law = CountLaw(rate, None if dispersion is None else np.full_like(rate, dispersion))
    n = 4000
    u = (np.random.default_rng(0).random((3, n)) + np.arange(n)) / n  # one in each n-th
    drawn = counts_at(u, law)
    assert (drawn == np.floor(drawn)).all()
    # stratified, so far closer than by chance
    np.testing.assert_allclose((drawn.mean(-1) - rate) / law.sd(), 0.0, atol=0.01)
    np.testing.assert_allclose(drawn.std(-1), law.sd(), rtol=0.02)
    for k, row in ((1, drawn[1]), (2, drawn[2])):
        one = CountLaw(rate[k : k + 1], None if dispersion is None else law.dispersion[k : k + 1])
        assert (one.cdf(row) >= u[k]).all()
        assert (one.cdf(row - 1.0) < u[k]).all()


@given(RATES, DISPERSIONS, st.floats(0.01, 0.99))
def test_crps_is_the_sum_over_counts(rate: float, dispersion: float | None, p: float) -> None:
    law = CountLaw(np.array([rate]), None if dispersion is None else np.array([dispersion]))
    y = law.quantile(p)
    k = np.arange(law.quantile(1 - 1e-13)[0] + 1)
    below = scipy_law(rate, dispersion).cdf(k)  # type: ignore[attr-defined]
    expected = np.square(below - (k >= y)).sum()
    assert law.crps(y)[0] == pytest.approx(expected, abs=2e-6 * law.sd()[0], rel=1e-5)


def test_crps_is_that_of_scoringrules() -> None:
    y, rate = np.array([0.0, 3.0, 12.0]), np.array([0.5, 4.0, 9.0])
    np.testing.assert_allclose(
        CountLaw(rate, None).crps(y), scoringrules.crps_poisson(y, rate), rtol=1e-7
    )
    n = np.array([2.0, 3.0, 1.0])
    np.testing.assert_allclose(
        CountLaw(rate, 1 / n).crps(y), scoringrules.crps_negbinom(y, n, n / (n + rate)), rtol=1e-6
    )


def test_missing_counts_have_no_score() -> None:
    law = CountLaw(np.full(2, 3.0), np.full(2, 0.5))
    y = np.array([np.nan, 2.0])
    for score in (law.cdf, law.pit, law.nll, law.crps):
        assert np.isnan(score(y)).tolist() == [True, False]


@pytest.mark.parametrize("dispersion", [None, 0.7])
@pytest.mark.parametrize("rate", [0.2, 5.0, 300.0])
def test_pit_is_uniform(rate: float, dispersion: float | None) -> None:
    law = CountLaw(
        np.full(20_000, rate), None if dispersion is None else np.full(20_000, dispersion)
    )
    y = scipy_law(rate, dispersion).rvs(20_000, random_state=1)  # type: ignore[attr-defined]
    assert scipy.stats.kstest(law.pit(y.astype(float)), "uniform").pvalue > 1e-3


def test_tables_give_the_quantiles() -> None:
    rng = np.random.default_rng(0)
    rate, dispersion = rng.gamma(1.0, 50.0, 40) + 0.01, rng.gamma(1.0, 0.5, 40) + 1e-4
    law, p = CountLaw(rate, dispersion), rng.random((40, 7))
    found = counts_at(p, law, budget=2000)  # many small tables
    expected = np.stack(
        [law.quantile(0.5)] * 0
        + [
            [CountLaw(rate[i : i + 1], dispersion[i : i + 1]).quantile(q)[0] for q in p[i]]
            for i in range(40)
        ]
    )
    np.testing.assert_array_equal(found, expected)


def tied(batch: int = 1, dispersion: float | None = 0.3) -> CountTrajectory:
    generator = torch.Generator().manual_seed(0)
    rate = torch.tensor([[0.6, 2.0, 5.0]]).expand(batch, -1)
    copula = TrajectoryDistribution(
        torch.zeros(batch, 3),
        torch.ones(batch, 3),
        None,
        torch.randn(3, 2, generator=generator),
        torch.full((batch, 2), 0.8),
    )
    alpha = None if dispersion is None else torch.full_like(rate, dispersion)
    return CountTrajectory(rate, alpha, copula)


@pytest.mark.parametrize("dispersion", [None, 0.3])
def test_draws_have_the_margins_and_the_dependence(dispersion: float | None) -> None:
    path = tied(dispersion=dispersion)
    n = 40_000
    y = path.sample(n, torch.Generator().manual_seed(1))[0].double()
    assert torch.equal(y, y.round())
    law = path.steps()
    for h in range(3):
        for k in range(4):
            p = CountLaw(law.rate[0], None if law.dispersion is None else law.dispersion[0]).cdf(
                np.full(3, float(k))
            )[h]
            error = math.sqrt(p * (1 - p) / n)
            assert abs(float((y[:, h] <= k).double().mean()) - p) < 4.5 * error
    # Ranks follow the copula: of w between F(y − 1) and F(y), the correlation is C.
    w = CountTrajectory(
        path.rate.expand(n, -1),
        None if path.dispersion is None else path.dispersion.expand(n, -1),
        None,
    ).scores(y.float(), None, torch.Generator().manual_seed(2))
    assert path.copula is not None
    expected = correlation(path.copula.loading, path.copula.unit_scale[0])  # type: ignore[arg-type,index]
    found = torch.corrcoef(w.T)
    assert (found.abs() <= expected.abs() + 0.03).all()  # jitter within a step loosens the tie
    assert (found[expected.abs() > 0.2].sign() == expected[expected.abs() > 0.2].sign()).all()


def box(path: CountTrajectory, y: tuple[int, ...]) -> float:
    """Mass of a path of counts, by SciPy's normal distribution function over its box."""
    assert path.copula is not None
    c = correlation(path.copula.loading, path.copula.unit_scale[0]).double().numpy()  # type: ignore[arg-type,index]
    law = path.steps()
    upper = scipy.stats.norm.ppf(law.cdf(np.array([y], dtype=float)))[0]
    lower = scipy.stats.norm.ppf(law.cdf(np.array([y], dtype=float) - 1))[0]
    total = 0.0
    for signs in itertools.product((0, 1), repeat=len(y)):
        corner = np.where(signs, lower, upper)
        if not np.isneginf(corner).any():
            mass = scipy.stats.multivariate_normal(cov=c).cdf(corner)
            total += (-1) ** sum(signs) * float(mass)
    return total


@pytest.mark.parametrize("y", [(0, 1, 4), (2, 2, 9), (0, 0, 0)])
def test_the_joint_mass_is_that_of_the_box_or_less(y: tuple[int, ...]) -> None:
    path = tied()
    target = torch.tensor([y], dtype=torch.float32)
    exact = -math.log(box(path, y))
    generator = torch.Generator().manual_seed(5)
    ties = torch.stack([path.tie_nll(target, None, generator) for _ in range(3000)])
    margin = path.marginal_nll(target).sum()
    averaged = margin + math.log(len(ties)) - torch.logsumexp(-ties, 0)
    assert averaged.item() == pytest.approx(exact, abs=0.06)  # E c(v) is the exact ratio
    assert (margin + ties.mean()).item() > exact - 1e-3  # what training minimises is above it
    assert path.joint_nll(target).item() == pytest.approx(exact, abs=0.35)


def test_without_a_copula_the_joint_is_the_sum_of_the_steps() -> None:
    path, y = tied().without_latent(), torch.tensor([[0.0, 3.0, 4.0]])
    torch.testing.assert_close(path.joint_nll(y), path.marginal_nll(y).sum(-1))
    observed = torch.tensor([[True, False, True]])
    missing = y.masked_fill(~observed, math.nan)
    assert path.marginal_nll(missing, observed)[0, 1] == 0
    tied_joint = tied().joint_nll(missing, observed)
    assert tied_joint.isfinite().all()


def test_gradients_of_the_tie_reach_the_copula_alone() -> None:
    path = tied()
    assert path.copula is not None
    loading: Tensor = path.copula.loading.requires_grad_()  # type: ignore[union-attr]
    rate = path.rate.clone().requires_grad_()
    path = CountTrajectory(rate, path.dispersion, path.copula)
    path.tie_nll(torch.tensor([[1.0, 2.0, 3.0]])).sum().backward()
    assert rate.grad is None
    assert loading.grad is not None
    assert (loading.grad != 0).any()


def test_sums_come_from_draws_with_an_exact_mean() -> None:
    path = tied(batch=2)
    law = path.functional(torch.ones(3))
    np.testing.assert_allclose(law.mean(), path.rate.sum(1).numpy(), rtol=1e-6)
    many = path.sample(20_000, torch.Generator().manual_seed(9)).sum(-1).numpy()
    assert abs(law.quantile(0.9)[0] - np.quantile(many[0], 0.9)) <= 2
    assert law.quantile(0.9)[0] == round(law.quantile(0.9)[0])
    blocks = path.functional(torch.eye(3)[:, :2])
    assert blocks.mean().shape == (2, 2)


def test_counts_cannot_be_rescaled() -> None:
    path = tied()
    same = path.rescale(torch.zeros(1), torch.ones(1))
    assert same.rate.dtype == torch.float64
    with pytest.raises(ValueError, match="rescaled"):
        path.rescale(torch.zeros(1), torch.full((1,), 2.0))


def test_a_law_of_draws_scores_as_an_ensemble() -> None:
    draws = np.random.default_rng(0).normal(2.0, 3.0, (1, 4000))
    law = DrawnCounts(draws, np.array([2.0]))
    y = np.array([1.0])
    assert law.cdf(y)[0] == pytest.approx(scipy.stats.norm(2, 3).cdf(1.0), abs=0.03)
    assert law.crps(y)[0] == pytest.approx(scoringrules.crps_normal(1.0, 2.0, 3.0), rel=0.05)
    assert law.nll(y)[0] == pytest.approx(-scipy.stats.norm(2, 3).logpdf(1.0), abs=0.05)
    assert np.isnan(law.cdf(np.array([np.nan]))[0])
