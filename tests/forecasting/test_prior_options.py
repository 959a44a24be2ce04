"""Priors, latent dimensions and controls behind the forecaster, for both networks."""

import numpy as np
import pandas as pd
import pytest

from vneuron.controls import ShareBalance
from vneuron.forecasting import DataError, EVEForecaster
from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.material import prepare
from vneuron.forecasting.season import find_season

NETWORKS = ["trajectory", "reference"]
CONTROLS = ["none", "free", "projection", "homeostasis", "adaptive"]


def fit(frame, tiny, **options):
    return EVEForecaster(**{**tiny, "lag": 6, **options}).fit(frame, test_size=48)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("prior", ["autoregressive", "macro"])
@pytest.mark.parametrize("control", CONTROLS)
def test_every_prior_under_every_control(frame, tiny, tmp_path, network, prior, control):
    f = fit(frame, tiny, network=network, prior=prior, control=control, epochs=1)
    health = f.health()
    units = health.units[health.units["layer"] == "units"]
    assert (units["kl"] > 0).all()
    assert units["use"].notna().all()
    if prior == "autoregressive":
        assert units["phi"].between(-1, 1).all()
        assert units["persistence"].between(-1, 1).all()
        assert units["transition_share"].notna().all()
    else:
        macro = health.units[health.units["layer"] == "macro"]
        assert len(macro) == f.config.macro_dim
        assert macro["use"].notna().all()
        assert macro["dynamic_use"].notna().all()
    f.save(tmp_path / "model")
    again = EVEForecaster.load(tmp_path / "model")
    pd.testing.assert_frame_equal(again.predict(), f.predict())
    pd.testing.assert_frame_equal(again.health().units, health.units)
    assert np.isfinite(f.evaluate(frame)["joint_nll"])


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("options", [{"prior": "autoregressive"}, {"prior": "macro"}])
def test_killed_after_an_epoch_and_resumed_is_not_killed(frame, tiny, tmp_path, network, options):
    options = {**options, "network": network, "control": "homeostasis", "units": 4}
    whole = EVEForecaster(**{**tiny, "lag": 6, **options})
    whole.fit(frame, test_size=48, run_dir=tmp_path / "whole")

    class Killed(BaseException):
        pass

    def die(record):
        raise Killed

    with pytest.raises(Killed):
        EVEForecaster(**{**tiny, "lag": 6, **options}).fit(
            frame, test_size=48, run_dir=tmp_path / "killed", on_epoch=die
        )
    second = EVEForecaster(**{**tiny, "lag": 6, **options})
    second.fit(frame, test_size=48, run_dir=tmp_path / "killed", resume=True)
    pd.testing.assert_frame_equal(second.predict(), whole.predict(), check_exact=True)
    tables = [pd.read_parquet(tmp_path / run / "vitals.parquet") for run in ("whole", "killed")]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert tables[0]["drift"].notna().all()
    assert (tables[0].loc[tables[0]["epoch"] == 2, "drift"] > 0).any()


@pytest.mark.parametrize("k", [1, 2, 4, 8, 16])
@pytest.mark.parametrize(
    ("network", "control", "more"),
    [
        ("trajectory", "adaptive", {}),
        ("trajectory", "homeostasis", {"prior": "autoregressive"}),
        ("reference", "homeostasis", {"activity": "mean"}),
        ("reference", "homeostasis", {"activity": "raw", "scale_form": "mean"}),
        ("reference", "adaptive", {"activity": "scaled_sum", "prior": "macro"}),
    ],
)
def test_k_from_one_to_sixteen(frame, tiny, tmp_path, k, network, control, more):
    f = fit(frame, tiny, network=network, control=control, latent_dim=k, epochs=1, **more)
    unit = f.model.network.units
    assert unit.latent_dim == k
    health = f.health().units
    units = health[health["layer"] == "units"]
    assert len(units) == tiny["units"], "vitals and verdicts are per unit, whatever k is"
    assert units[["kl", "rate", "energy", "use", "beta"]].notna().all().all()
    assert unit.beta.shape == (tiny["units"],), "and so is control"
    head = f.model.network
    if network == "reference":
        per_unit = k if more["activity"] == "raw" else 1
        assert head.head.first.in_features == tiny["units"] * per_unit
    else:
        assert head.loading.shape == (6, tiny["units"] * k)
    f.save(tmp_path / "model")
    pd.testing.assert_frame_equal(EVEForecaster.load(tmp_path / "model").predict(), f.predict())


def test_the_papers_penalty_is_balanced_under_their_homeostasis(frame, tiny):
    f = fit(frame, tiny, prior="autoregressive", control="homeostasis", epochs=1)
    unit = f.model.network.units
    assert unit.prior.form == "quadratic"
    (balance,) = (c for c in unit.controls if isinstance(c, ShareBalance))
    assert (balance.share > 0).any()
    assert (unit.prior.weight != 1).any(), "λ has moved"
    assert fit(frame, tiny, prior="autoregressive", epochs=1).model.network.units.prior.form == "kl"
    asked = ForecasterConfig(6, 24, prior="autoregressive", control="homeostasis", ar_form="kl")
    assert asked.transition_form == "kl"


def test_the_lag_is_the_season_of_the_training_data(frame, tiny, make_waves, tmp_path):
    f = EVEForecaster(**{**tiny, "prior": "autoregressive", "epochs": 1})
    f.fit(frame, test_size=48, run_dir=tmp_path / "run")
    assert f.model.config.lag == 24
    assert f.model.network.lookback == f.model.config.lookback == 48
    with pytest.raises(ValueError, match="lag is None"):
        _ = f.config.lookback
    assert EVEForecaster.load(tmp_path / "run").config.lag == 24
    f.fit(frame, test_size=48, run_dir=tmp_path / "run", resume=True)
    folds = f.cross_validation(frame, n_windows=1)
    assert np.isfinite(folds["EVE"]).all()


@pytest.mark.parametrize(("period", "expected"), [(7, 7), (15, 15)])
def test_where_the_frequency_names_no_season_the_data_show_it(period, expected):
    step = np.arange(200)
    rng = np.random.default_rng(0)
    y = np.sin(2 * np.pi * step / period) + 0.2 * rng.normal(size=200)
    y[160:] = 50 * np.sin(2 * np.pi * step[160:] / 9)  # not in the training rows
    panel = Panel.from_frame(pd.DataFrame({"unique_id": "a", "ds": step, "y": y}))
    assert find_season(panel, np.array([160]), 40) == expected
    noise = Panel.from_frame(
        pd.DataFrame({"unique_id": "a", "ds": step, "y": rng.normal(size=200)})
    )
    assert find_season(noise, np.array([160]), 40) == 1
    config = ForecasterConfig(6, 24, prior="autoregressive", epochs=1)
    assert prepare(panel, config).config.lag == expected


def test_training_windows_take_the_lag_too_and_scored_ones_are_the_same(frame, tiny):
    panel = Panel.from_frame(frame)
    plain, remembering = (
        prepare(panel, ForecasterConfig(6, 24, prior=prior), test_size=48)
        for prior in ("learned", "autoregressive")
    )
    assert len(plain.train) - len(remembering.train) == 2 * 24
    assert len(plain.validation) == len(remembering.validation)


def test_series_without_room_for_the_lag_are_told_so(make_waves, tiny):
    with pytest.raises(DataError, match="input_size"):
        fit(make_waves(rows=100), tiny, prior="autoregressive", lag=70)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior": "markov"}, "prior is 'markov'"),
        ({"ar_form": "cubic"}, "ar_form is 'cubic'"),
        ({"macro_dim": 0}, "macro_dim is 0"),
        ({"lag": 0}, "lag is 0"),
        ({"activity": "max"}, "activity is 'max'"),
        ({"scale_form": "soft"}, "scale_form is 'soft'"),
    ],
)
def test_wrong_options_are_named(tiny, options, message):
    with pytest.raises(ValueError, match=message):
        EVEForecaster(**{**tiny, **options})


@pytest.mark.parametrize("network", NETWORKS)
def test_what_z_carries_is_in_health_and_evaluation(frame, tiny, tmp_path, network):
    f = fit(frame, tiny, network=network)
    known = f.health().latent_share
    assert 0 < known["variance"] < 1
    assert known["windows"] > 0
    assert "of the predictive variance" in str(f.health())
    scores = f.evaluate(frame)
    asked = f.latent_share(frame)
    assert scores["latent_variance_share"] == asked.variance
    assert scores["latent_likelihood_share"] == asked.likelihood
    f.save(tmp_path / "model")
    assert EVEForecaster.load(tmp_path / "model").health().latent_share == known


def test_drift_is_counted_from_the_best_epoch(frame, tiny, tmp_path):
    f = fit(frame, tiny)
    assert (f.health().units["drift"] == 0).all(), "the kept weights are what they drift from"
