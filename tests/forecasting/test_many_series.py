"""What is done for each series is done for all at once, in portions, and gives the same."""

import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vneuron
from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.data import rows
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.scaling import Scaling
from vneuron.forecasting.frames import prediction, samples
from vneuron.forecasting.material import prepare
from vneuron.forecasting.memory import Memory
from vneuron.forecasting.model import FittedModel
from vneuron.forecasting.season import find_season

HOME = str(Path(vneuron.__file__).parent)


@contextmanager
def lines_run(count):
    """Counts the lines of the package that run, one by one: a loop shows as its turns."""

    def trace(frame, event, _):
        if not frame.f_code.co_filename.startswith(HOME):
            return None
        if event == "line":
            count.append(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def frame_of(count, length=40):
    y = np.random.default_rng(0).normal(size=(count, length)).cumsum(1)
    y[:, 3] = np.nan
    y[::2] = y[::2, :1]  # constant series are named in a note
    names = np.repeat([f"s{at}" for at in range(count)], length)
    return pd.DataFrame(
        {"unique_id": names, "ds": np.tile(np.arange(length), count), "y": y.reshape(-1)}
    )


def from_frame_to_forecast(frame):
    config = ForecasterConfig(
        horizon=4,
        input_size=8,
        units=2,
        hidden=8,
        encoder="linear",
        features="window",
        prior="autoregressive",
        missing="mask",
        device="cpu",
    )
    material = prepare(Panel.from_frame(frame, missing="mask"), config)
    memory = Memory.of(material, material.config)
    model = FittedModel.untrained("EVE", material.config, memory)
    prediction(model, memory.context, (80,), False)
    samples(model, memory.context, 2, 0)


def test_ten_times_the_series_run_no_more_lines():
    from_frame_to_forecast(frame_of(2))  # imports and first uses
    found = []
    for count in (40, 400):
        lines: list[int] = []
        frame = frame_of(count)
        with lines_run(lines):
            from_frame_to_forecast(frame)
        found.append(len(lines))
    assert found[0] > 200
    assert found[1] < found[0] + 360  # one line more for each series would show


SERIES = st.lists(
    st.lists(st.sampled_from([np.nan, 1.0, 2.0, -3.0, 0.5]), min_size=6, max_size=14).filter(
        lambda values: not np.isnan(values[:6]).all()
    ),
    min_size=1,
    max_size=5,
)


def panel_of(series):
    parts = [
        pd.DataFrame({"unique_id": f"s{at}", "ds": range(len(y)), "y": y})
        for at, y in enumerate(series)
    ]
    return Panel.from_frame(pd.concat(parts), freq=1, missing="mask")


@contextmanager
def portions_of(size):
    whole = rows.PORTION
    rows.PORTION = size
    try:
        yield
    finally:
        rows.PORTION = whole


@given(SERIES, st.integers(1, 20), st.integers(6, 9))
def test_scaling_is_what_each_series_gives_alone(series, portion, stop):
    with portions_of(portion):
        found = Scaling.fit(panel_of(series), stop)
    known = [np.array(y[:stop])[~np.isnan(y[:stop])] for y in series]
    constant = np.array([np.ptp(y) == 0 for y in known])
    np.testing.assert_allclose(found.mean, [y.mean() for y in known], atol=1e-12)
    expected = np.where(constant, 1.0, [y.std() for y in known])
    np.testing.assert_allclose(found.sd, expected, rtol=1e-12)
    assert bool(found.notes) == constant.any()


def season_alone(series, stop, most):
    """The autocorrelation of each series by itself, averaged; then its highest peak."""
    lags = min(most, max(stop) // 2 - 1)
    found = []
    for y, end in zip(series, stop, strict=True):
        values = np.array(y[:end])
        deviation = np.nan_to_num(values - np.nanmean(values))
        padded = np.concatenate([deviation, np.zeros(lags + 2)])
        products = [padded[k : k + len(deviation)] @ deviation for k in range(lags + 2)]
        if products[0] > 0:
            found.append(np.array(products) / products[0])
    if not found or lags < 2:
        return 1, 1.0
    mean = np.mean(found, axis=0)
    peaks = [(mean[k], -k) for k in range(2, lags + 1) if mean[k - 1] < mean[k] > mean[k + 1] > -2]
    best = max(peaks, default=(0.0, 0))
    return (-best[1] if best[0] > 0.3 else 1), mean


@pytest.mark.parametrize("portion", [1, 100, 10**6])
@pytest.mark.parametrize("seed", range(4))
def test_the_season_is_that_of_the_mean_autocorrelation(portion, seed):
    random = np.random.default_rng(seed)
    period = int(random.integers(3, 9))
    series = []
    for length in (25, 60, 41, 30):
        step = np.arange(length)
        y = np.sin(2 * np.pi * step / period) + 0.5 * random.normal(size=length)
        series.append(np.where(random.random(length) < 0.1, np.nan, y))
    series.append(np.ones(20))
    stop = np.array([25, 50, 41, 12, 20])
    with portions_of(portion):
        found = find_season(panel_of(series), stop, 16)
    assert found == season_alone(series, stop, 16)[0]
    assert found > 1


def test_series_too_short_for_a_lag_take_no_part_in_it():
    wave = np.sin(2 * np.pi * np.arange(80) / 12)
    panel = panel_of([wave, wave[:5]])
    assert find_season(panel, np.array([80, 5]), 30) == 12
