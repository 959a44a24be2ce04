"""PIT, histogram and reliability: uniform for the truth, bent in the known way otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from vneuron.forecasting.scoring.calibration import (
    PitSummary,
    ensemble_pit,
    pit_histogram,
    reliability_curve,
    student_pit,
)
from vneuron.forecasting.scoring.quantile_scores import LEVELS, interval_covered

PITS = arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1))


def test_student_pit_agrees_with_scipy(rng: np.random.Generator) -> None:
    y, loc = rng.normal(0, 5, (2, 100))
    scale, df = rng.uniform(0.1, 4, 100), rng.uniform(0.5, 80, 100)
    assert_allclose(student_pit(y, loc, scale, df), stats.t.cdf(y, df, loc, scale), rtol=1e-9)
    gaussian = stats.norm.cdf(y, loc, scale)
    assert_allclose(student_pit(y, loc, scale, None), gaussian, rtol=1e-9)
    assert_allclose(student_pit(y, loc, scale, np.inf), gaussian, rtol=1e-9)


def test_the_truth_is_flat_and_on_the_diagonal() -> None:
    law = stats.t(4, 1.0, 2.0)
    y = law.rvs(40_000, random_state=0)
    pit = student_pit(y, 1.0, 2.0, 4.0)
    assert stats.kstest(pit, "uniform").pvalue > 0.001
    assert_allclose(pit_histogram(pit), 0.05, atol=5 * np.sqrt(0.05 * 0.95 / y.size))
    assert_allclose(reliability_curve(pit), LEVELS, atol=5 * 0.5 / np.sqrt(y.size))


def test_an_overconfident_forecast_covers_too_little() -> None:
    y = stats.norm.rvs(size=20_000, random_state=0)
    narrow = reliability_curve(student_pit(y, 0.0, 0.5, None))
    wide = reliability_curve(student_pit(y, 0.0, 2.0, None))
    assert (narrow < np.asarray(LEVELS) - 0.01).all()
    assert (wide > np.asarray(LEVELS) + 0.01).all()
    exact = 2 * stats.norm.cdf(0.5 * stats.norm.ppf(0.9)) - 1
    assert narrow[LEVELS.index(0.8)] == pytest.approx(exact, abs=0.015)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_coverage_by_pit_is_coverage_by_bounds(level: float, rng: np.random.Generator) -> None:
    y, loc, scale = rng.normal(size=500), rng.normal(size=500), rng.uniform(0.5, 2, 500)
    law = stats.t(3.0, loc, scale)
    bounds = interval_covered(y, law.ppf(0.5 - level / 2), law.ppf(0.5 + level / 2)).mean()
    assert reliability_curve(student_pit(y, loc, scale, 3.0), [level])[0] == pytest.approx(bounds)


def test_a_value_on_the_bound_is_covered() -> None:
    levels = np.asarray(LEVELS)
    on_bound = student_pit(stats.t(5).ppf(0.5 + levels / 2), 0.0, 1.0, 5.0)
    assert_allclose(reliability_curve(on_bound), np.arange(1, 20) / 19)


@given(pit=PITS)
def test_reliability_counts_what_lies_within(pit: np.ndarray) -> None:
    levels = [0.9, 0.1, 0.5]  # any order
    expected = [(np.abs(2 * pit - 1) <= level + 1e-9).mean() for level in levels]
    assert_allclose(reliability_curve(pit, levels), expected)
    assert_allclose(pit_histogram(pit, 7).sum(), 1.0)


@given(pit=PITS, cut=st.integers(0, 40))
def test_a_stream_gives_what_the_whole_gives(pit: np.ndarray, cut: int) -> None:
    summary = PitSummary(bins=5)
    summary.update(pit[:cut])
    summary.update(np.append(pit[cut:], np.nan))
    assert summary.count == len(pit)
    coverage, histogram = summary.coverage(), summary.histogram()
    assert coverage is not None
    assert histogram is not None
    assert_array_equal(coverage, reliability_curve(pit))
    assert_array_equal(histogram, pit_histogram(pit, 5))


def test_ensemble_pit_is_uniform_for_exchangeable_draws_with_ties() -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(1.5, (30_000, 8))
    pit = ensemble_pit(counts[:, 0], counts[:, 1:], rng)
    assert stats.kstest(pit, "uniform").pvalue > 0.001


def test_ensemble_pit_of_a_missing_value_is_missing() -> None:
    pit = ensemble_pit([np.nan, 5.0], [[0.0, 1.0], [0.0, 1.0]], np.random.default_rng(0))
    assert np.isnan(pit[0])
    assert 2 / 3 <= pit[1] < 1


def test_nothing_seen_is_said() -> None:
    assert PitSummary().coverage() is None
    assert PitSummary().histogram() is None
    with pytest.raises(ValueError, match="found no PIT value"):
        reliability_curve([np.nan])
    with pytest.raises(ValueError, match="found no PIT value"):
        pit_histogram([])
    with pytest.raises(ValueError, match=r"from -1 to 2, expected values within \[0, 1\]"):
        pit_histogram([-1.0, 2.0])
