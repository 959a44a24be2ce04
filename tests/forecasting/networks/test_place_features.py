"""What a network is told of a window beside its shape."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch

from vneuron.forecasting import EVEForecaster
from vneuron.forecasting.data.calendar import DAILY, WEEKLY, YEARLY, periods_of
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.place import Period, Place, Surroundings
from vneuron.forecasting.data.scaling import Scaling
from vneuron.forecasting.data.windows import flatten, last_windows
from vneuron.forecasting.networks.network import TrajectoryNetwork
from vneuron.forecasting.networks.normalisation import window_scale
from vneuron.forecasting.networks.place_features import PlaceFeatures

HOUR = 3_600_000_000_000


def places(series, hours):
    series, hours = torch.as_tensor(series), torch.as_tensor(hours)
    return Place(series, hours * HOUR, torch.full_like(hours, HOUR))


def calendar_panel(rows, freq, start="2020-01-01"):
    times = pd.date_range(start, periods=rows, freq=freq)
    return Panel.from_frame(pd.DataFrame({"unique_id": "a", "ds": times, "y": np.arange(rows)}))


@pytest.mark.parametrize(
    ("freq", "rows", "expected"),
    [
        ("h", 40, ()),
        ("h", 48, (DAILY,)),
        ("h", 400, (DAILY, WEEKLY)),
        ("10min", 144 * 30, (DAILY, WEEKLY)),
        ("D", 800, (WEEKLY, YEARLY)),
        ("W", 200, (YEARLY,)),
        ("MS", 60, (YEARLY,)),
        ("YS", 30, ()),
    ],
)
def test_periods_are_those_that_steps_resolve_and_rows_hold_twice(freq, rows, expected):
    assert periods_of(calendar_panel(rows, freq), np.array([rows])) == expected


def test_whole_numbers_have_no_calendar():
    panel = Panel.from_frame(pd.DataFrame({"unique_id": "a", "ds": range(900), "y": 0.0}))
    assert periods_of(panel, np.array([900])) == ()


def test_the_calendar_repeats_with_its_period_and_tells_places_apart():
    features = PlaceFeatures("place", Surroundings(1, (DAILY,)))
    window = window_scale(torch.ones(3, 4))
    found = features(places([0, 0, 0], [5, 5 + 24 * 1000, 6]), window)
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-6)
    assert float((found[0] - found[2]).abs().max()) > 0.1
    angle = 2 * np.pi * 5 / 24 * np.arange(1, DAILY.harmonics + 1)
    expected = np.concatenate([np.sin(angle), np.cos(angle)])
    np.testing.assert_allclose(found[0, : 2 * DAILY.harmonics], expected, atol=1e-6)


def test_level_and_scale_are_told_and_the_predecessors_their_own():
    features = PlaceFeatures("full", Surroundings(2, (Period(24 * HOUR, 1),))).eval()
    x = torch.randn(2, 6)
    both = window_scale(torch.cat([x, x + 3.0]))
    found = features(places([0, 1], [7, 9]), both, lag=6)
    assert found.shape == (4, features.width)
    torch.testing.assert_close(found[:, 2], 2 * (both.location[:, 0] / 2).tanh())
    torch.testing.assert_close(found[:, 3], 2 * (both.scale[:, 0].log() / 2).tanh())
    earlier = features(places([0, 1], [1, 3]), both.first(2))
    torch.testing.assert_close(found[2:, :2], earlier[:, :2])
    assert torch.equal(found[:2, 4:], found[2:, 4:])


def test_a_series_that_is_unknown_has_a_vector_of_its_own_which_training_meets():
    torch.manual_seed(0)
    features = PlaceFeatures("series", Surroundings(3))
    window = window_scale(torch.randn(4000, 5))
    seen = torch.zeros(4000, dtype=torch.int64)
    place = Place(seen, seen, seen)
    unknown = features.series.weight[-1]
    assert 0.005 < float((features(place, window) == unknown).all(-1).float().mean()) < 0.05
    features.eval()
    assert torch.equal(features(place, window), features.series.weight[:1].expand(4000, -1))
    missing = place._replace(series=seen - 1)
    assert torch.equal(features(missing, window), unknown.expand(4000, -1))


def test_a_network_that_goes_by_the_place_asks_for_it():
    network = TrajectoryNetwork(6, 4, hidden=8, features="place")
    with pytest.raises(ValueError, match=r"place, which is not given: pass WindowBatch.inputs"):
        network(torch.randn(3, 6))


def test_windows_know_where_they_stand(frame):
    panel = Panel.from_frame(frame)
    flat = flatten(panel, Scaling.identity(panel), np.array([-1, 5]))
    batch = last_windows(flat, 24).gather(torch.tensor([0, 1]))
    assert batch.place.series.tolist() == [-1, 5]
    assert batch.place.time.tolist() == [int(frame["ds"].max().value)] * 2
    assert batch.place.step.tolist() == [HOUR] * 2
    kept = batch.keep(torch.tensor([False, True]))
    assert kept.place.series.tolist() == [5]


@pytest.fixture(scope="module")
def placed(tiny, frame):
    options = {**tiny, "encoder": "mlp", "features": "full", "epochs": 3}
    return EVEForecaster(**options).fit(frame, test_size=48)


def test_series_in_another_order_are_forecast_the_same(placed, frame):
    turned = pd.concat([part for _, part in reversed(list(frame.groupby("unique_id")))])
    first, second = placed.predict(frame), placed.predict(turned)
    again = second.sort_values(["unique_id", "ds"], ignore_index=True)
    pd.testing.assert_frame_equal(first, again)


def test_a_new_series_is_forecast_and_a_known_one_by_what_it_is(placed, frame):
    placed = copy.deepcopy(placed)
    with torch.no_grad():  # as after a longer training
        placed.model.network.place.series.weight.mul_(20.0)
    new = frame.assign(unique_id="new-" + frame["unique_id"])
    assert np.isfinite(placed.predict(new)["EVE"]).all()
    renamed = frame.assign(unique_id=frame["unique_id"].map({"s0": "s1", "s1": "s0"}))
    swapped = placed.predict(renamed)
    moved = (swapped["EVE"] - placed.predict(frame)["EVE"]).abs()
    assert float(moved.max()) > 0.01


def test_it_is_saved_with_its_calendar(placed, frame, tmp_path):
    placed.save(tmp_path / "model")
    again = EVEForecaster.load(tmp_path / "model")
    pd.testing.assert_frame_equal(again.predict(frame), placed.predict(frame))


@pytest.mark.parametrize("prior", ["autoregressive", "macro"])
def test_it_goes_with_priors_that_have_a_context(tiny, frame, prior):
    f = EVEForecaster(**{**tiny, "features": "full", "prior": prior}).fit(frame, test_size=48)
    assert np.isfinite(f.evaluate(frame)["joint_nll"])


def test_what_the_calendar_tells_is_learned(tiny):
    """A pulse each noon: no window of eight hours foretells it, the clock does."""
    hours = pd.date_range("2026-01-01", periods=24 * 80, freq="h")
    rng = np.random.default_rng(0)
    y = np.where(hours.hour == 12, 3.0, 0.0) + 0.2 * rng.normal(size=len(hours))
    df = pd.DataFrame({"unique_id": "a", "ds": hours, "y": y})
    options = {**tiny, "input_size": 8, "horizon": 3, "hidden": 32, "epochs": 6}
    options |= {"learning_rate": 5e-3, "batch_size": 32}
    scores = {
        kind: EVEForecaster(**options, encoder="mlp", features=kind)
        .fit(df, test_size=240)
        .evaluate(df)["crps"]
        for kind in ("window", "place")
    }
    assert scores["place"] < 0.8 * scores["window"]
    chosen = EVEForecaster(**options, encoder="mlp").fit(df, test_size=240)
    assert chosen.model.config.features == "place"
