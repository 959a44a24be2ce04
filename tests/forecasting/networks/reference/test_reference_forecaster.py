"""The reference network behind the forecaster: everything that users meet."""

import numpy as np
import pandas as pd
import pytest

from vneuron.forecasting import DataError, EVEForecaster
from vneuron.forecasting.comparison import score_field, train_field
from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.fan import fan_window, one_series
from vneuron.forecasting.material import prepare
from vneuron.forecasting.networks.reference import ReferenceNetwork

OPTIONS = {"network": "reference", "lag": 5, "units": 40}


@pytest.fixture(scope="module")
def reference(frame, tiny) -> EVEForecaster:
    return EVEForecaster(**{**tiny, **OPTIONS}).fit(frame, test_size=48)


def test_its_own_defaults():
    config = EVEForecaster(6, 24, network="reference").config
    assert (config.units, config.dropout, config.lookback) == (1024, 0.05, 28)
    plain = EVEForecaster(6, 24).config
    assert (plain.units, plain.dropout, plain.lookback) == (32, 0.3, 24)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"lag": 0}, "lag is 0"), ({"draws": 0}, "draws is 0"), ({"combine": "best"}, "combine is")],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        EVEForecaster(6, 24, **options)


def test_forecasts_have_the_form_of_all_forecasts(reference, fitted):
    assert isinstance(reference.model.network, ReferenceNetwork)
    ours = reference.predict(level=[50, 80], uncertainty=True)
    theirs = fitted.predict(level=[50, 80], uncertainty=True)
    assert list(ours) == list(theirs)
    assert ours[["unique_id", "ds"]].equals(theirs[["unique_id", "ds"]])
    assert np.isfinite(ours.drop(columns=["unique_id", "ds"])).all().all()
    assert (ours["EVE-lo-80"] < ours["EVE-lo-50"]).all()
    assert (ours["EVE-lo-50"] < ours["EVE-median"]).all()
    assert (ours["EVE-unit-sd"] > 0).all()
    assert ours.equals(reference.predict(level=[50, 80], uncertainty=True))


def test_the_same_targets_are_scored(reference, fitted, frame):
    ours, theirs = reference.evaluate(frame), fitted.evaluate(frame)
    assert ours["windows"] == theirs["windows"]
    assert ours.keys() == theirs.keys()
    assert all(np.isfinite(value) for name, value in ours.items() if name != "raw")


def test_sums_agree_with_sample_paths(reference):
    exact = reference.aggregate("sum", level=[80])
    draws = reference.sample(4000).groupby(["unique_id", "path"])["y"].sum()
    for name, row in exact.set_index("unique_id").iterrows():
        own = draws[name]
        assert own.mean() == pytest.approx(row["EVE"], abs=5 * own.std() / np.sqrt(4000))
        inside = own.between(row["EVE-lo-80"], row["EVE-hi-80"]).mean()
        assert inside == pytest.approx(0.8, abs=0.035)
    assert len(reference.aggregate("max", over=3)) == 4


def test_a_saved_model_forecasts_the_same(reference, tmp_path):
    reference.save(tmp_path / "model")
    again = EVEForecaster.load(tmp_path / "model")
    assert again.predict().equals(reference.predict())
    assert again.config == reference.model.config


def test_newer_rows_need_the_lag_too(reference, frame):
    enough = frame.groupby("unique_id").tail(29)
    expected = reference.predict(frame)
    pd.testing.assert_frame_equal(reference.predict(enough), expected)
    with pytest.raises(DataError, match="29"):
        reference.predict(frame.groupby("unique_id").tail(28))


def test_gaps_are_masked(tiny, frame):
    gaps = frame.copy()
    gaps.loc[gaps.index % 7 == 3, "y"] = np.nan
    f = EVEForecaster(**{**tiny, **OPTIONS}, missing="mask").fit(gaps, test_size=48)
    assert np.isfinite(f.predict()["EVE"]).all()
    assert np.isfinite(f.evaluate(gaps)["joint_nll"])


def test_health_knows_use(reference):
    units = reference.health().units
    assert len(units) == 40
    assert units["use"].notna().all()


def test_latent_share(reference, fitted, frame):
    ours, theirs = reference.latent_share(frame), fitted.latent_share(frame)
    assert 0 < ours.variance < 1
    assert ours.windows == theirs.windows == fitted.evaluate(frame)["windows"]
    assert ours.window_nats > theirs.window_nats


def test_cross_validation_and_fan_charts(reference, tiny, frame):
    f = EVEForecaster(**{**tiny, **OPTIONS, "epochs": 1, "combine": "median"})
    folds = f.cross_validation(frame, n_windows=2)
    assert len(folds) == 2 * 2 * 6
    assert np.isfinite(folds["EVE"]).all()
    panel = one_series(reference.model.memory.context, None)
    rows = fan_window(reference.model, panel, [80], 3, 0)
    assert rows["EVE-path-3"].notna().sum() == 6


def test_its_baselines_stand_beside_it(tiny, frame):
    config = ForecasterConfig(**{**{k: v for k, v in tiny.items() if k != "quiet"}, **OPTIONS})
    panel = Panel.from_frame(frame)
    found = train_field(prepare(panel, config, test_size=48), None, quiet=True)
    metrics = score_field(found, panel)
    assert metrics["test"].keys() >= {"EVE", "twin", "linear", "lowrank", "residual"}
    assert isinstance(found.models["twin"].network, ReferenceNetwork)
    assert found.models["lowrank"].network.loading.shape == (6, 32)
    assert len({scores["mse"] for scores in metrics["test"].values()}) == len(metrics["test"])
