"""Forecasts of counts: whole draws, honest intervals, one line for what is no count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch

from vneuron import EVEForecaster, PoissonUnits
from vneuron.forecasting.contenders import CONTENDERS, build_network, build_task
from vneuron.forecasting.data.errors import DataError
from vneuron.forecasting.laws.counts import CountTrajectory
from vneuron.forecasting.material import prepare
from vneuron.forecasting.networks.count_network import CountNetwork, window_level
from vneuron.forecasting.networks.network import TrajectoryNetwork
from vneuron.forecasting.reading import read_frame

SMALL = {"horizon": 6, "input_size": 24, "units": 4, "hidden": 16, "quiet": True, "epochs": 3}


def series(rows: int = 500, seed: int = 0) -> pd.DataFrame:
    """Two series with a daily rhythm; days are busy or quiet as a whole."""
    rng = np.random.default_rng(seed)
    hours = np.arange(rows)
    days = rng.gamma(4.0, 0.25, rows // 24 + 1)[hours // 24]
    frames = []
    for name, level in (("a", 3.0), ("b", 40.0)):
        rate = level * days * (1.2 + np.sin(hours * 2 * np.pi / 24))
        ds = pd.date_range("2026-01-01", periods=rows, freq="h")
        frames.append(pd.DataFrame({"unique_id": name, "ds": ds, "y": rng.poisson(rate)}))
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module", params=["negbinomial", "poisson"])
def fitted(request: pytest.FixtureRequest) -> EVEForecaster:
    # eight epochs of 50 steps: the law starts narrow, and has to have found its width
    return EVEForecaster(likelihood=request.param, **{**SMALL, "epochs": 8}).fit(
        series(), test_size=48
    )


def test_forecasts_are_of_counts(fitted: EVEForecaster) -> None:
    frame = fitted.predict(level=[80])
    assert (frame["EVE"] > 0).all()
    for column in ("EVE-median", "EVE-lo-80", "EVE-hi-80"):
        assert (frame[column] == frame[column].round()).all()
        assert (frame[column] >= 0).all()
    assert (frame["EVE-lo-80"] <= frame["EVE-hi-80"]).all()
    draws = fitted.sample(20, seed=1)
    assert (draws["y"] == draws["y"].round()).all()
    assert (draws["y"] >= 0).all()
    pd.testing.assert_frame_equal(draws, fitted.sample(20, seed=1))
    sums = fitted.aggregate("sum", over=6, level=[80])
    means = frame.groupby("unique_id")["EVE"].sum()
    np.testing.assert_allclose(sums["EVE"], means.loc[sums["unique_id"]], rtol=1e-6)
    extremes = fitted.aggregate("max", level=[80])
    assert (extremes["EVE-hi-80"] == extremes["EVE-hi-80"].round()).all()
    assert {"EVE-noise-sd", "EVE-unit-sd"} <= set(fitted.predict(uncertainty=True))


def test_scores_are_finite_and_those_of_the_data(fitted: EVEForecaster) -> None:
    scores = fitted.evaluate(series())
    for name in ("mse", "mae", "crps", "nll", "joint_nll", "energy", "path_crps"):
        assert np.isfinite(scores[name]), name
        assert scores["raw"][name] == pytest.approx(scores[name])  # counts are not scaled
    # Busy days are more varied than Poisson counts are.
    low, high = (0.3, 0.7) if fitted.config.likelihood == "poisson" else (0.65, 0.95)
    assert low < scores["coverage_80"] < high


def test_it_comes_back_from_disk(fitted: EVEForecaster, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    again = EVEForecaster.load(tmp_path / "model", quiet=True)
    pd.testing.assert_frame_equal(again.predict(), fitted.predict())


def test_training_finds_rate_and_dispersion() -> None:
    rng = np.random.default_rng(0)
    y = rng.negative_binomial(2.0, 2.0 / 12.0, 1500)  # mean 10, variance 10 + 10²/2
    df = pd.DataFrame({"unique_id": "a", "ds": np.arange(1500), "y": y})
    options = SMALL | {"epochs": 12, "learning_rate": 3e-3, "control": "none"}
    over = EVEForecaster(likelihood="negbinomial", **options).fit(df, test_size=300)
    scores = over.evaluate(df)
    entropy = -scipy.stats.nbinom(2.0, 2.0 / 12.0).logpmf(y[-300:]).mean()
    assert scores["nll"] < entropy + 0.12
    assert abs(scores["coverage_80"] - 0.8) < 0.08
    plain = EVEForecaster(likelihood="poisson", **options).fit(df, test_size=300)
    assert plain.evaluate(df)["nll"] > scores["nll"] + 0.2
    assert plain.evaluate(df)["coverage_80"] < scores["coverage_80"] - 0.1


def test_dependence_is_learned_through_the_units() -> None:
    # Each block of six steps is quiet or busy as a whole, and nothing foretells which.
    rng = np.random.default_rng(0)
    busy = np.repeat(rng.gamma(2.0, 0.5, 400), 6)
    df = pd.DataFrame({"unique_id": "a", "ds": np.arange(2400), "y": rng.poisson(20 * busy)})
    options = SMALL | {"epochs": 4, "learning_rate": 3e-3, "likelihood": "negbinomial"}
    f = EVEForecaster(**options).fit(df, test_size=600)
    assert f.evaluate(df, step=6)["joint_nll"] < f.evaluate(df, step=6)["nll"] - 0.1


def test_poisson_units_serve_any_likelihood() -> None:
    for likelihood in ("student", "negbinomial"):
        f = EVEForecaster(units_family="poisson", likelihood=likelihood, **SMALL)
        f.fit(series(), test_size=48)
        assert isinstance(f.model.network.units, PoissonUnits)
        assert np.isfinite(f.evaluate(series())["joint_nll"])
        assert len(f.health().units) == 4
        assert np.isfinite(f.predict(uncertainty=True)["EVE-novelty"]).all()


@pytest.mark.parametrize("contender", CONTENDERS)
def test_every_contender_takes_counts(contender: str) -> None:
    f = EVEForecaster(likelihood="negbinomial", **SMALL)
    material = prepare(read_frame(series(), f.config), f.config)
    network = build_network(contender, f.config, "mean", False)  # type: ignore[arg-type]
    assert isinstance(network, CountNetwork)
    task = build_task(network, material.train, material.validation)
    output = task.module(*task.batch(torch.arange(8), torch.device("cpu")))
    nll, terms, *_ = output
    (nll.mean() + sum(term.kl.sum() for term in terms)).backward()
    trained = [p for group in task.parameter_groups() for p in group["params"]]
    assert all(p.grad is not None for p in trained)
    with torch.no_grad():
        assert np.isfinite(task.validate(task.module.eval())["val_nll"])


def test_gaps_are_masked() -> None:
    df = series().astype({"y": float})
    df.loc[df.index[50:60], "y"] = np.nan
    f = EVEForecaster(likelihood="negbinomial", missing="mask", **SMALL).fit(df, test_size=48)
    assert np.isfinite(f.evaluate(df)["nll"])


@pytest.mark.parametrize(("value", "shown"), [(-3.0, "-3"), (2.5, "2.5"), (1e9, "1e")])
def test_what_is_no_count_is_named(value: float, shown: str) -> None:
    df = series().astype({"y": float})
    df.loc[7, "y"] = value
    with pytest.raises(DataError, match=rf"'a' has y = {shown}.*2026-01-01T07.*student") as caught:
        EVEForecaster(likelihood="poisson", **SMALL).fit(df)
    assert "\n" not in str(caught.value)


def test_newer_data_are_checked_too(fitted: EVEForecaster) -> None:
    df = series().astype({"y": float})
    df.loc[df.index[-1], "y"] = 0.5
    with pytest.raises(DataError, match=r"y = 0.5"):
        fitted.predict(df=df)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"likelihood": "binomial"}, "likelihood"),
        ({"units_family": "gamma"}, "units_family"),
        ({"network": "reference", "likelihood": "poisson"}, "trajectory"),
        ({"network": "reference", "units_family": "poisson"}, "trajectory"),
        ({"units_family": "poisson", "control": "homeostasis"}, "scale of its own"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EVEForecaster(**SMALL | options)


def test_a_core_must_not_normalise() -> None:
    with pytest.raises(ValueError, match="location='none'"):
        CountNetwork(TrajectoryNetwork(24, 6, hidden=8, likelihood="gaussian"))


def test_levels_ignore_what_is_missing() -> None:
    context = torch.tensor([[4.0, 100.0]])
    assert window_level(context, torch.tensor([[True, False]])).item() == 5.0
    path = CountNetwork(TrajectoryNetwork(24, 6, hidden=8, likelihood="gaussian", location="none"))(
        torch.zeros(2, 24)
    )
    assert isinstance(path, CountTrajectory)
    assert (path.rate > 0).all()  # after nothing at all, something stays possible
    assert (path.rate < 0.1).all()
