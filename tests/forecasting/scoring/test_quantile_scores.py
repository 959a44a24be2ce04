"""Quantile and interval scores against the sums that define them."""

from __future__ import annotations

import numpy as np
import pytest
import scoringrules
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from vneuron.forecasting.scoring.quantile_scores import (
    LEVELS,
    WeightedQuantileLoss,
    interval_covered,
    interval_score,
    quantile_loss,
)
from vneuron.forecasting.scoring.scores import crps_student

VALUE = st.floats(-50, 50)


def test_the_levels_are_the_nineteen_of_the_protocol() -> None:
    assert_allclose(LEVELS, np.linspace(0, 1, 21)[1:-1])


def test_quantile_loss_agrees_with_scoringrules(rng: np.random.Generator) -> None:
    y, quantiles = rng.normal(size=(7, 5)), rng.normal(size=(7, 5, 3))
    levels = np.array([0.1, 0.5, 0.95])
    expected = scoringrules.quantile_score(y[..., None], quantiles, levels)
    assert_allclose(quantile_loss(y, quantiles, levels), expected, atol=1e-12)


@pytest.mark.parametrize("level", [0.05, 0.3, 0.5, 0.9])
def test_the_true_quantile_has_the_least_loss(level: float) -> None:
    y = np.random.default_rng(0).gamma(2.0, size=60_000)
    true = stats.gamma(2.0).ppf(level)
    for other in (true - 0.15, true + 0.15):
        losses = quantile_loss(y, np.broadcast_to([true, other], (y.size, 2)), [level, level])
        gain = losses[:, 1] - losses[:, 0]
        assert gain.mean() > 4 * gain.std() / np.sqrt(y.size)


def test_twice_the_mean_over_levels_is_the_crps() -> None:
    levels = (np.arange(4000) + 0.5) / 4000
    y = np.array([-1.0, 0.2, 4.0])
    quantiles = np.broadcast_to(stats.t(6, 0.5, 2.0).ppf(levels), (3, 4000))
    crps = 2 * quantile_loss(y, quantiles, levels).mean(axis=-1)
    assert_allclose(crps, crps_student(y, 0.5, 2.0, 6.0), rtol=1e-3)


@given(y=VALUE, lower=VALUE, width=st.floats(0, 20), level=st.floats(0.05, 0.95))
def test_interval_score_is_the_loss_of_its_two_bounds(
    y: float, lower: float, width: float, level: float
) -> None:
    upper, alpha = lower + width, 1 - level
    bounds = quantile_loss(y, [lower, upper], [alpha / 2, 1 - alpha / 2])
    score = interval_score(y, lower, upper, level)
    assert_allclose(score, 2 / alpha * bounds.sum(), rtol=1e-9, atol=1e-9)
    assert_allclose(score, scoringrules.interval_score(y, lower, upper, alpha), atol=1e-9)
    assert (score <= width + 1e-9) == bool(interval_covered(y, lower - 1e-9, upper + 1e-9))


def test_coverage_of_the_true_interval_is_its_level() -> None:
    law = stats.t(4, 1.0, 2.0)
    y = law.rvs(50_000, random_state=0)
    covered = interval_covered(y, law.ppf(0.1), law.ppf(0.9))
    assert abs(covered.mean() - 0.8) < 4 * np.sqrt(0.16 / y.size)


def test_bounds_count_as_inside_and_missing_as_missing() -> None:
    assert_array_equal(interval_covered([1.0, 2.0, 2.1, np.nan], 1.0, 2.0), [1, 1, 0, np.nan])
    assert_array_equal(interval_covered([1.0, 1.0], [0.0, np.nan], 2.0), [1, np.nan])


def weighted_loss_by_loops(y: np.ndarray, quantiles: np.ndarray, levels) -> float:
    """The protocol's formula written out: y [windows, H, C], quantiles [windows, H, C, levels]."""
    per_window = []
    for target, forecast in zip(y, quantiles, strict=True):
        per_level = [
            2
            * np.abs((forecast[..., i] - target) * ((target <= forecast[..., i]) - level)).sum()
            / np.abs(target).sum()
            for i, level in enumerate(levels)
        ]
        per_window.append(np.mean(per_level))
    return float(np.mean(per_window))


def test_weighted_loss_is_the_protocol_whatever_the_order_of_channels(
    rng: np.random.Generator,
) -> None:
    windows, steps, channels = 5, 6, 3
    y = rng.normal(size=(windows, steps, channels)) * [1.0, 10.0, 0.1]
    draws = rng.normal(size=(windows, steps, channels, 100)) * [[1.0], [10.0], [0.1]]
    quantiles = np.moveaxis(np.quantile(draws, LEVELS, axis=-1), 0, -1)
    expected = weighted_loss_by_loops(y, quantiles, LEVELS)
    nmae = np.abs(y - np.median(draws, -1)).sum((1, 2)) / np.abs(y).sum((1, 2))

    whole = WeightedQuantileLoss(windows)
    whole.update(np.arange(windows), y, quantiles)
    assert_allclose(whole.result()["crps"], expected, rtol=1e-12)
    assert_allclose(whole.result()["nmae"], nmae.mean(), rtol=1e-12)

    pieces = WeightedQuantileLoss(windows)
    rows = [(w, c) for w in range(windows) for c in range(channels)]
    for i in rng.permutation(len(rows)).reshape(3, -1):
        w, c = np.array(rows)[i].T
        pieces.update(w, y[w, :, c], quantiles[w, :, c])
    assert_allclose(pieces.per_window(), whole.per_window(), rtol=1e-12)


def test_weighted_loss_of_a_point_is_its_nmae(rng: np.random.Generator) -> None:
    y, point = rng.normal(size=(2, 4, 8))
    loss = WeightedQuantileLoss(windows=4)
    loss.update(range(4), y, np.repeat(point[..., None], 19, axis=-1))
    assert_allclose(loss.result()["crps"], loss.result()["nmae"], rtol=1e-12)


def test_weighted_loss_leaves_out_what_has_no_magnitude() -> None:
    loss = WeightedQuantileLoss(windows=3, levels=[0.5, 0.9])
    loss.update([0, 1], [[2.0, np.nan], [0.0, 0.0]], np.ones((2, 2, 2)))
    assert_allclose(loss.per_window()[0], [0.5, 0.9])
    assert np.isnan(loss.per_window()[1:]).all()
    assert loss.result()["nmae"] == pytest.approx(0.5)
    no_median = WeightedQuantileLoss(windows=1, levels=[0.9])
    no_median.update([0], [[1.0]], [[[1.0]]])
    assert no_median.result() == {"crps": 0.0, "nmae": None}


def test_wrong_shapes_and_levels_are_named() -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\), expected 2 on the last axis"):
        quantile_loss(0.0, [1.0, 2.0, 3.0], [0.1, 0.9])
    with pytest.raises(ValueError, match=r"shape \(\), expected 1 on the last axis"):
        quantile_loss(0.0, 1.0, 0.5)
    with pytest.raises(ValueError, match="found the level 95"):
        interval_score(0.0, -1.0, 1.0, level=95)
    with pytest.raises(ValueError, match="found a lower bound 2 above its upper bound"):
        interval_covered(0.0, 1.0, -1.0)
    with pytest.raises(ValueError, match="found window 2, expected 0 to 1"):
        WeightedQuantileLoss(windows=2).update([2], [[1.0]], np.ones((1, 1, 19)))
