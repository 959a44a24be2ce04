"""The models of one run side by side: what is trained, scored, shown and found again."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from vneuron.forecasting.comparison import (
    SHOWN_PATHS,
    SHOWN_SERIES,
    read_field,
    score_field,
    shown_forecasts,
    train_field,
    write_results,
)
from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.fitting import DivergedError, open_run
from vneuron.forecasting.material import prepare

MODELS = ["EVE", "twin", "linear", "lowrank", "repeat_last", "seasonal_naive", "residual"]


@pytest.fixture(scope="module")
def config(tiny):
    return ForecasterConfig(**{k: v for k, v in tiny.items() if k != "quiet"} | {"epochs": 1})


@pytest.fixture(scope="module")
def material(frame, config):
    return prepare(Panel.from_frame(frame), config)


@pytest.fixture(scope="module")
def run(config, material, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    with open_run(path, material, {}) as folder:
        found = train_field(material, folder, quiet=True)
        metrics = score_field(found, material.panel)
        write_results(folder, found, metrics, material.panel)
    return folder, found, metrics


def test_everyone_is_scored_on_the_same_windows(run, material):
    _, found, metrics = run
    assert list(metrics["test"]) == MODELS
    assert metrics["windows"] == len(found.eve.windows_to_score(material.panel))
    assert set(found.seconds) == {"EVE", "twin", "linear", "lowrank", "residual"}
    assert not found.interrupted


def test_all_models_share_budget_location_and_scaling(run):
    _, found, _ = run
    for model in found.models.values():
        assert model.config == found.eve.config
        assert model.network.location == found.eve.network.location
        assert model.memory.scaling.mean.tolist() == found.eve.memory.scaling.mean.tolist()


def test_a_field_that_is_read_scores_the_same(run, material):
    folder, _, metrics = run
    again = score_field(read_field(folder), material.panel)
    assert again["test"] == metrics["test"]
    assert again["calibration"] == metrics["calibration"]
    assert again["health"] == metrics["health"]


def test_series_in_another_order_keep_their_own_residual_spread(run, frame, material):
    _, found, _ = run
    turned = Panel.from_frame(frame.sort_values("unique_id", ascending=False, kind="stable"))
    assert turned.ids == material.panel.ids[::-1]
    first, second = (
        score_field(found, panel)["test"]["residual"] for panel in (material.panel, turned)
    )
    assert second["nll"] == pytest.approx(first["nll"], rel=1e-6)
    assert second["raw"]["nll"] == pytest.approx(first["raw"]["nll"], rel=1e-6)


def test_what_is_written(run):
    folder, _, metrics = run
    assert folder.read_json("metrics.json")["test"].keys() == metrics["test"].keys()
    frame = folder.read_parquet("forecasts.parquet")
    assert frame["unique_id"].unique().tolist() == ["s0", "s1"]
    assert frame.groupby("unique_id")["cutoff"].nunique().tolist() == [4, 4]
    folder.verify()


def test_shown_forecasts_are_forecasts_beside_what_came(run, frame, material):
    _, found, _ = run
    shown = shown_forecasts(found.eve, material.panel)
    joined = shown.merge(frame, on=["unique_id", "ds"], suffixes=("", "_truth"))
    assert len(joined) == len(shown)
    assert (joined["y"] == joined["y_truth"]).all()
    steps = shown["step"].to_numpy()
    assert (steps.min(), steps.max()) == (1 - 24, 6)
    ahead = shown[shown["step"] > 0]
    assert (ahead["ds"] > ahead["cutoff"]).all()
    assert (shown[shown["step"] == 0]["ds"] == shown[shown["step"] == 0]["cutoff"]).all()
    paths = ahead[[f"EVE-path-{i + 1}" for i in range(SHOWN_PATHS)]].to_numpy()
    assert np.isfinite(paths).all()
    assert paths.std(axis=1).min() > 0


def test_without_test_rows_the_future_is_shown(frame, config):
    panel = Panel.from_frame(frame)
    found = train_field(prepare(panel, config, test_size=0), None, baselines=False, quiet=True)
    shown = shown_forecasts(found.eve, panel)
    ahead = shown[shown["step"] > 0]
    assert (ahead["ds"] > frame["ds"].max()).all()
    assert ahead["y"].isna().all()
    assert score_field(found, panel)["test"] == {}


def test_only_some_of_many_series_are_shown(config, make_waves):
    panel = Panel.from_frame(make_waves(series=20))
    found = train_field(prepare(panel, config), None, baselines=False, quiet=True)
    assert shown_forecasts(found.eve, panel)["unique_id"].nunique() == SHOWN_SERIES


def test_a_baseline_that_diverges_is_left_out(config, material, monkeypatch):
    from vneuron.forecasting import comparison

    real = comparison.train

    def train(contender, *arguments, **options):
        if contender in failing:
            raise DivergedError(f"{contender}: diverged")
        return real(contender, *arguments, **options)

    monkeypatch.setattr(comparison, "train", train)
    failing = ["twin"]
    found = train_field(material, None, quiet=True)
    assert list(found.models) == ["EVE", "linear", "lowrank"]
    assert found.residual is not None
    failing = ["EVE"]
    with pytest.raises(DivergedError):
        train_field(material, None, quiet=True)


def test_one_series_of_few_rows(config):
    frame = pd.DataFrame({"unique_id": "a", "ds": range(48), "y": np.sin(np.arange(48.0))})
    panel = Panel.from_frame(frame)
    found = train_field(prepare(panel, config), None, quiet=True)
    metrics = score_field(found, panel)
    assert metrics["windows"] == 1
    assert all(np.isfinite(metrics["test"]["EVE"][k]) for k in ("mse", "joint_nll", "energy"))


def test_epochs_of_large_data_are_judged_on_windows_spread_over_all(material, monkeypatch):
    from vneuron.forecasting import material as module

    assert material.judged is material.validation
    monkeypatch.setattr(module, "JUDGED_WINDOWS", 7)
    count = len(material.validation)
    assert count > 7
    expected = material.validation.starts[np.linspace(0, count - 1, 7).astype(int)]
    assert material.judged.starts.tolist() == expected.tolist()


def test_devices_that_are_not_there_are_refused_before_any_trial(frame, config):
    asked = replace(config, devices=1000, device="cpu", encoder="auto")
    with pytest.raises(ValueError, match="devices is 1000, a CPU core each, expected at most"):
        prepare(Panel.from_frame(frame), asked)
