"""Scores of one number against other libraries, quadrature, Monte Carlo and their own laws."""

from __future__ import annotations

import numpy as np
import pytest
import scoringrules
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.integrate import quad

from vneuron.forecasting.scoring.scores import (
    absolute_error,
    as_float64,
    check_levels,
    crps_ensemble,
    crps_gaussian,
    crps_point,
    crps_student,
    nll_gaussian,
    nll_student,
    squared_error,
)

VALUE = st.floats(-50, 50)
SCALE = st.floats(0.01, 50)
DF = st.floats(1.2, 200)


def test_crps_student_agrees_with_scoringrules(rng: np.random.Generator) -> None:
    y, loc = rng.normal(0, 5, (2, 300))
    scale, df = rng.uniform(0.1, 4, 300), rng.uniform(1.5, 80, 300)
    assert_allclose(
        crps_student(y, loc, scale, df), scoringrules.crps_t(y, df, loc, scale), rtol=1e-9
    )


def test_crps_gaussian_agrees_with_scoringrules(rng: np.random.Generator) -> None:
    y, loc = rng.normal(0, 5, (2, 300))
    scale = rng.uniform(0.1, 4, 300)
    expected = scoringrules.crps_normal(y, loc, scale)
    assert_allclose(crps_gaussian(y, loc, scale), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("df", [1.3, 2.1, 5.0, 40.0])
@pytest.mark.parametrize("y", [-7.0, 0.4, 2.0])
def test_crps_student_is_the_integral_that_defines_it(df: float, y: float) -> None:
    law = stats.t(df, 0.4, 1.7)
    below = quad(lambda x: law.cdf(x) ** 2, -np.inf, y, epsabs=1e-11)[0]
    above = quad(lambda x: law.sf(x) ** 2, y, np.inf, epsabs=1e-11)[0]
    assert_allclose(crps_student(y, 0.4, 1.7, df), below + above, rtol=1e-6)


@pytest.mark.parametrize("df", [1e4, 1e6, 1e8, 1e12])
def test_student_tends_to_the_gaussian(df: float) -> None:
    y = np.linspace(-4, 4, 33)
    assert_allclose(crps_student(y, 0.5, 2.0, df), crps_gaussian(y, 0.5, 2.0), atol=4 / df + 1e-7)
    assert_allclose(nll_student(y, 0.5, 2.0, df), nll_gaussian(y, 0.5, 2.0), atol=40 / df + 1e-7)


def test_infinite_df_is_the_gaussian_element_by_element() -> None:
    y, df = np.array([0.3, 0.3, -2.0]), np.array([np.inf, 4.0, np.inf])
    for student, gaussian in ((crps_student, crps_gaussian), (nll_student, nll_gaussian)):
        mixed = student(y, 0.1, 1.5, df)
        assert_array_equal(mixed[[0, 2]], gaussian(y, 0.1, 1.5)[[0, 2]])
        assert_array_equal(mixed[1], student(y[1], 0.1, 1.5, 4.0))
        assert_array_equal(student(y, 0.1, 1.5, None), gaussian(y, 0.1, 1.5))
        assert_array_equal(student(y, 0.1, 1.5, np.inf), gaussian(y, 0.1, 1.5))


def test_nll_agrees_with_scipy(rng: np.random.Generator) -> None:
    y, loc = rng.normal(0, 5, (2, 200))
    scale, df = rng.uniform(0.1, 4, 200), rng.uniform(0.3, 80, 200)
    assert_allclose(nll_student(y, loc, scale, df), -stats.t.logpdf(y, df, loc, scale), rtol=1e-9)
    assert_allclose(nll_gaussian(y, loc, scale), -stats.norm.logpdf(y, loc, scale), rtol=1e-9)


@given(y=VALUE, loc=VALUE, scale=SCALE, df=DF, shift=VALUE, factor=st.floats(0.01, 100))
def test_crps_moves_with_the_units_of_the_target(
    y: float, loc: float, scale: float, df: float, shift: float, factor: float
) -> None:
    moved = crps_student(factor * y + shift, factor * loc + shift, factor * scale, df)
    kept = crps_student(y, loc, scale, df)
    assert_allclose(moved, factor * kept, rtol=1e-6, atol=1e-9 * (1 + abs(shift)))
    assert kept >= 0
    # CRPS is 1-Lipschitz in y and at most the absolute error of the median.
    assert kept <= absolute_error(y, loc) + 1e-9 + crps_student(loc, loc, scale, df)


@given(y=VALUE, loc=VALUE, scale=SCALE, df=DF, factor=st.floats(0.01, 100))
def test_nll_gains_the_log_of_a_change_of_units(
    y: float, loc: float, scale: float, df: float, factor: float
) -> None:
    moved = nll_student(factor * y, factor * loc, factor * scale, df)
    expected = nll_student(y, loc, scale, df) + np.log(factor)
    assert_allclose(moved, expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("score", [crps_student, nll_student])
@pytest.mark.parametrize(("loc", "scale", "df"), [(0.3, 1.0, 5.0), (0.0, 1.3, 5.0), (0, 1, 2.2)])
def test_the_truth_scores_best(score, loc: float, scale: float, df: float) -> None:
    """Proper: under draws of t_5 the true law beats another by many standard errors."""
    y = stats.t(5).rvs(40_000, random_state=1)
    gain = score(y, loc, scale, df) - score(y, 0.0, 1.0, 5.0)
    assert gain.mean() > 4 * gain.std() / np.sqrt(gain.size)


def test_crps_gaussian_under_its_own_law_is_half_the_mean_difference() -> None:
    y = np.random.default_rng(2).normal(1.0, 3.0, 100_000)
    scores = crps_gaussian(y, 1.0, 3.0)
    error = scores.std() / np.sqrt(scores.size)
    assert abs(scores.mean() - 3.0 / np.sqrt(np.pi)) < 4 * error


DRAWS = arrays(np.float64, st.integers(2, 12), elements=st.floats(-100, 100))


@given(draws=DRAWS, y=VALUE)
def test_crps_ensemble_is_the_sum_over_pairs(draws: np.ndarray, y: float) -> None:
    m = len(draws)
    error = np.abs(draws - y).mean()
    pairs = np.abs(draws[:, None] - draws).sum() / 2
    assert_allclose(crps_ensemble(y, draws), error - pairs / (m * (m - 1)), atol=1e-10)
    assert_allclose(crps_ensemble(y, draws, fair=False), error - pairs / m**2, atol=1e-10)


@given(draws=DRAWS, y=VALUE, seed=st.integers(0, 9))
def test_crps_ensemble_ignores_the_order_of_draws(draws: np.ndarray, y: float, seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(draws)
    assert_allclose(crps_ensemble(y, draws), crps_ensemble(y, shuffled), atol=1e-12)


def test_crps_ensemble_agrees_with_scoringrules(rng: np.random.Generator) -> None:
    y, draws = rng.normal(size=(4, 6)), rng.normal(size=(4, 6, 25))
    before = draws.copy()
    for fair, name in ((True, "fair"), (False, "nrg")):
        expected = scoringrules.crps_ensemble(y, draws, estimator=name)
        assert_allclose(crps_ensemble(y, draws, fair=fair), expected, atol=1e-12)
    assert_array_equal(draws, before)  # sorted a copy, not the caller's


def test_crps_ensemble_keeps_its_digits_far_from_zero() -> None:
    draws, y = np.array([0.0, 1.0, 4.0]), 2.0
    assert_allclose(crps_ensemble(y + 1e9, draws + 1e9), crps_ensemble(y, draws), atol=1e-6)


def test_a_fair_ensemble_is_unbiased_for_the_law_it_is_drawn_from() -> None:
    rng = np.random.default_rng(3)
    loc, scale, df, y = 0.5, 2.0, 4.0, 1.7
    draws = loc + scale * rng.standard_t(df, (20_000, 5))
    scores = crps_ensemble(np.full(20_000, y), draws)
    error = scores.std() / np.sqrt(scores.size)
    assert abs(scores.mean() - crps_student(y, loc, scale, df)) < 4 * error
    biased = crps_ensemble(np.full(20_000, y), draws, fair=False)
    assert biased.mean() - crps_student(y, loc, scale, df) > 10 * error


@given(y=VALUE, point=VALUE)
def test_a_point_mass_is_an_ensemble_of_one(y: float, point: float) -> None:
    assert_allclose(crps_point(y, point), crps_ensemble(y, [point], fair=False), atol=1e-12)
    assert_allclose(squared_error(y, point), absolute_error(y, point) ** 2)
    assert_allclose(crps_point(y, point), crps_gaussian(y, point, 1e-9), atol=1e-8)


def test_a_missing_target_stays_missing() -> None:
    y = [np.nan, 1.0]
    for score in (
        crps_student(y, 0.0, 1.0, 5.0),
        crps_gaussian(y, 0.0, 1.0),
        crps_student(y, 0.0, 1.0, [np.inf, 5.0]),
        nll_student(y, 0.0, 1.0, 5.0),
        crps_ensemble(y, [[0.0, 1.0], [0.0, 1.0]]),
        squared_error(y, 0.0),
    ):
        assert_array_equal(np.isnan(score), [True, False])


def test_tensors_are_scored_in_float64() -> None:
    y = torch.tensor([0.5, 2.0])
    loc = torch.zeros(2, requires_grad=True)
    scale = torch.ones(2, dtype=torch.float32)
    scores = crps_student(y, loc, scale, torch.tensor(4.0))
    assert scores.dtype == np.float64
    assert_array_equal(scores, crps_student([0.5, 2.0], 0.0, 1.0, 4.0))
    assert as_float64(y).dtype == np.float64


def test_wrong_parameters_are_named() -> None:
    with pytest.raises(ValueError, match=r"found a scale of -1.*floor the predicted scale"):
        crps_gaussian(0.0, 0.0, [1.0, -1.0])
    with pytest.raises(ValueError, match=r"found a scale of 0, expected every scale > 0"):
        nll_student(0.0, 0.0, 0.0, 5.0)
    with pytest.raises(ValueError, match=r"found df = 1, expected df > 1"):
        crps_student(0.0, 0.0, 1.0, [3.0, 1.0])
    with pytest.raises(ValueError, match=r"found df = 0, expected df > 0"):
        nll_student(0.0, 0.0, 1.0, 0.0)
    with pytest.raises(ValueError, match=r"found 1 draw\(s\), expected at least 2"):
        crps_ensemble(0.0, [1.0])
    with pytest.raises(ValueError, match="found the level 80.*divide percentages by 100"):
        check_levels([0.5, 80])
