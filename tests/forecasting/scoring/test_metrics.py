"""The accumulators: chunks give what the whole gives, and what is undefined is None."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from vneuron.forecasting.scoring.calibration import reliability_curve, student_pit
from vneuron.forecasting.scoring.metrics import MetricAccumulator, RunningMean
from vneuron.forecasting.scoring.path_scores import energy_score
from vneuron.forecasting.scoring.quantile_scores import LEVELS
from vneuron.forecasting.scoring.scores import crps_ensemble, crps_student, nll_student

KEYS = [
    *("mse", "mae", "crps", "nll", "coverage_80", "coverage_95"),
    *("joint_nll", "path_crps", "path_coverage_80", "energy"),
]


@pytest.fixture
def forecast(rng: np.random.Generator) -> dict[str, np.ndarray]:
    windows, steps = 60, 7
    y = rng.normal(size=(windows, steps))
    y[3, 2] = np.nan
    return {
        "y": y,
        "loc": rng.normal(size=(windows, steps)),
        "scale": rng.uniform(0.5, 2, (windows, steps)),
        "df": rng.uniform(2.5, 20, (windows, 1)),
        "paths": rng.normal(size=(windows, 5, steps)),
        "joint": rng.normal(size=windows),
    }


def accumulate(forecast: dict[str, np.ndarray], parts: int) -> MetricAccumulator:
    scores = MetricAccumulator(chunk=16)
    for rows in np.array_split(np.arange(len(forecast["y"])), parts):
        y, loc, scale, df, paths, joint = (forecast[name][rows] for name in forecast)
        scores.update_student(y, loc, scale, df)
        scores.update_path(y, loc.mean(1), scale.mean(1), df[:, 0])
        scores.update_joint_nll(joint, (~np.isnan(y)).sum(1))
        scores.update_paths(y, paths)
    return scores


@pytest.mark.parametrize("parts", [1, 4, 60])
def test_every_score_is_the_mean_over_what_was_observed(
    forecast: dict[str, np.ndarray], parts: int
) -> None:
    y, loc, scale, df, paths, joint = forecast.values()
    scores = accumulate(forecast, parts)
    result = scores.result()
    assert list(result) == KEYS
    mean_law = (y.mean(1), loc.mean(1), scale.mean(1), df[:, 0])
    expected = {
        "mse": np.nanmean((y - loc) ** 2),
        "mae": np.nanmean(np.abs(y - loc)),
        "crps": np.nanmean(crps_student(y, loc, scale, df)),
        "nll": np.nanmean(nll_student(y, loc, scale, df)),
        "coverage_80": reliability_curve(student_pit(y, loc, scale, df), [0.8])[0],
        "coverage_95": reliability_curve(student_pit(y, loc, scale, df), [0.95])[0],
        "joint_nll": np.mean(joint / (~np.isnan(y)).sum(1)),
        "path_crps": np.nanmean(crps_student(*mean_law)),
        "path_coverage_80": reliability_curve(student_pit(*mean_law), [0.8])[0],
        "energy": energy_score(y, paths).mean(),
    }
    for key, value in expected.items():
        assert result[key] == pytest.approx(value, rel=1e-10), key
    curves = scores.calibration()
    assert curves["levels"] == list(LEVELS)
    assert curves["coverage"] is not None
    assert curves["path_coverage"] is not None
    assert_allclose(curves["coverage"], reliability_curve(student_pit(y, loc, scale, df)))
    assert_allclose(curves["path_coverage"], reliability_curve(student_pit(*mean_law)))
    json.dumps([result, curves], allow_nan=False)


def test_a_point_forecast_leaves_probabilities_undefined(rng: np.random.Generator) -> None:
    y, path = rng.normal(size=(2, 30, 4))
    scores = MetricAccumulator()
    scores.update_certain(y, path)
    result = scores.result()
    assert result["crps"] == result["mae"] == pytest.approx(np.abs(y - path).mean())
    assert result["path_crps"] == pytest.approx(np.abs(y.mean(1) - path.mean(1)).mean())
    assert result["energy"] == pytest.approx(np.sqrt(((y - path) ** 2).mean(1)).mean())
    undefined = {"nll", "coverage_80", "coverage_95", "joint_nll", "path_coverage_80"}
    assert {key for key, value in result.items() if value is None} == undefined
    curves = scores.calibration()
    assert curves["coverage"] is curves["path_coverage"] is curves["pit"] is None


def test_an_ensemble_is_scored_by_its_mean_median_and_ranks(rng: np.random.Generator) -> None:
    y, draws = rng.normal(size=(50, 3)), rng.gamma(1.0, size=(50, 3, 9))
    scores = MetricAccumulator()
    scores.update_ensemble(y, draws, rng)
    result = scores.result()
    assert result["mse"] == pytest.approx(((y - draws.mean(-1)) ** 2).mean())
    assert result["mae"] == pytest.approx(np.abs(y - np.median(draws, -1)).mean())
    assert result["crps"] == pytest.approx(crps_ensemble(y, draws).mean())
    assert result["nll"] is None
    assert result["coverage_80"] is not None


def test_levels_name_their_keys_and_other_scores_may_join() -> None:
    scores = MetricAccumulator(coverages=[0.5, 0.975], path_coverages=[])
    scores.add("winkler_80", [1.0, np.nan, 3.0])
    result = scores.result()
    assert [key for key in result if "coverage" in key] == ["coverage_50", "coverage_97.5"]
    assert result["winkler_80"] == 2.0


def test_nothing_seen_gives_none_throughout() -> None:
    assert MetricAccumulator().result() == dict.fromkeys(KEYS)
    scores = MetricAccumulator()
    scores.update_student(np.empty((0, 4)), 0.0, 1.0, 5.0)
    scores.update_paths(np.empty((0, 4)), np.empty((0, 2, 4)))
    scores.update_joint_nll([3.0], 0)  # a window without one observed step
    assert scores.result() == dict.fromkeys(KEYS)


@given(values=st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), max_size=30))
def test_a_running_mean_is_the_mean(values: list[float]) -> None:
    mean = RunningMean()
    for value in values:
        mean.update(value)
    seen = [value for value in values if not np.isnan(value)]
    assert mean.count == len(seen)
    assert mean.value == (pytest.approx(np.mean(seen), abs=1e-6) if seen else None)
