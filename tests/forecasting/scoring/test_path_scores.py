"""Scores of trajectories against loops, closed forms and the dependence they must see."""

from __future__ import annotations

import numpy as np
import pytest
import scoringrules
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from vneuron.forecasting.scoring.path_scores import energy_score, energy_score_point, path_mean
from vneuron.forecasting.scoring.scores import crps_ensemble, crps_point


def energy_by_loops(y: np.ndarray, paths: np.ndarray) -> float:
    draws = len(paths)
    error = np.mean([np.linalg.norm(x - y) for x in paths])
    pairs = sum(np.linalg.norm(a - b) for a in paths for b in paths) / (draws * (draws - 1))
    return (error - 0.5 * pairs) / np.sqrt(len(y))


@given(
    seed=st.integers(0, 10_000),
    draws=st.integers(2, 7),
    steps=st.integers(1, 6),
    offset=st.sampled_from([0.0, 100.0, -1e5]),
)
def test_energy_score_is_the_sum_over_pairs(
    seed: int, draws: int, steps: int, offset: float
) -> None:
    rng = np.random.default_rng(seed)
    y, paths = rng.normal(size=(3, steps)), rng.normal(size=(3, draws, steps)) + offset
    expected = [energy_by_loops(a, b) for a, b in zip(y, paths, strict=True)]
    # Tight enough that the diagonal, or a forecast far off, may not cost half of the digits.
    assert_allclose(energy_score(y, paths), expected, rtol=1e-11, atol=1e-11)


def test_energy_score_agrees_with_scoringrules(rng: np.random.Generator) -> None:
    y, paths = rng.normal(size=(6, 9)), rng.normal(size=(6, 20, 9))
    expected = scoringrules.es_ensemble(y, paths, estimator="fair") / 3.0
    assert_allclose(energy_score(y, paths), expected, rtol=1e-6)


def test_identical_paths_are_a_point(rng: np.random.Generator) -> None:
    y, path = rng.normal(size=(2, 5, 8))
    same = np.repeat(path[:, None], 6, axis=1)
    # Rounding of a squared distance enters by its root: 1e-8 is all that float64 can promise.
    assert_allclose(energy_score(y, same), energy_score_point(y, path), atol=1e-7)


def test_one_step_is_the_crps(rng: np.random.Generator) -> None:
    y, draws = rng.normal(size=(20, 1)), rng.normal(size=(20, 9, 1))
    fair = crps_ensemble(y[:, 0], draws[:, :, 0])
    assert_allclose(energy_score(y, draws), fair, atol=1e-7)
    point = draws[:, 0]
    assert_allclose(energy_score_point(y, point), crps_point(y, point)[:, 0])


def test_it_is_unbiased_in_the_number_of_paths() -> None:
    """Two paths or sixteen estimate the same score, to standard error."""
    rng = np.random.default_rng(0)
    windows, steps = 8_000, 4
    y = rng.normal(size=(windows, steps))
    few = energy_score(y, rng.normal(size=(windows, 2, steps)))
    many = energy_score(y, rng.normal(size=(windows, 16, steps)))
    error = np.sqrt((few.var() + many.var()) / windows)
    assert abs(few.mean() - many.mean()) < 4 * error


def test_it_sees_dependence_that_margins_do_not() -> None:
    rng = np.random.default_rng(1)
    windows, steps = 6_000, 8
    shared = np.full((steps, steps), 0.9) + 0.1 * np.eye(steps)
    root = np.linalg.cholesky(shared)
    y = rng.normal(size=(windows, steps)) @ root.T
    noise = rng.normal(size=(windows, 8, steps))
    gain = energy_score(y, noise) - energy_score(y, noise @ root.T)
    assert gain.mean() > 4 * gain.std() / np.sqrt(windows)


@given(seed=st.integers(0, 1000), turn=st.integers(0, 1000), shift=st.floats(-10, 10))
def test_rotations_and_shifts_change_nothing(seed: int, turn: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    y, paths = rng.normal(size=(2, 5)), rng.normal(size=(2, 4, 5))
    q, _ = np.linalg.qr(np.random.default_rng(turn).normal(size=(5, 5)))
    moved = energy_score(y @ q + shift, paths @ q + shift)
    assert_allclose(moved, energy_score(y, paths), atol=1e-9)


def test_missing_steps_are_left_out(rng: np.random.Generator) -> None:
    y, paths = rng.normal(size=(3, 6)), rng.normal(size=(3, 5, 6))
    y[0, [1, 4]] = np.nan
    y[2] = np.nan
    kept = [0, 2, 3, 5]
    scores = energy_score(y, paths)
    assert_allclose(scores[0], energy_score(y[:1, kept], paths[:1][..., kept])[0])
    assert_allclose(scores[1], energy_score(y[1:2], paths[1:2])[0])
    points = energy_score_point(y, paths[:, 0])
    assert_allclose(points[0], energy_score_point(y[:1, kept], paths[:1, 0, kept])[0])
    assert_array_equal(np.isnan(scores), [False, False, True])
    assert_array_equal(np.isnan(points), [False, False, True])


def test_path_mean_needs_every_step() -> None:
    assert_array_equal(path_mean([[1.0, 2.0, 6.0], [1.0, np.nan, 2.0]]), [3.0, np.nan])


@pytest.mark.parametrize("shape", [(2, 1, 3), (2, 4, 5), (3, 4, 3), (2, 3)])
def test_wrong_shapes_are_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"found y of shape \(2, 3\).*S >= 2"):
        energy_score(np.zeros((2, 3)), np.zeros(shape))
