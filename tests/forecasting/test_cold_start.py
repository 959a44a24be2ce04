"""Series that have just begun: intervals from a few values hold as those from many do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.forecasting import EVEForecaster
from vneuron.forecasting.cold_start import hide_beginnings


@given(st.integers(1, 5), st.integers(1, 9), st.floats(0, 1), st.booleans(), st.integers(0, 2**31))
def test_what_is_hidden_is_a_beginning_and_something_stays_known(batch, length, share, gaps, seed):
    torch.manual_seed(seed)
    context = torch.randn(batch, length)
    observed = torch.rand(batch, length) < 0.7 if gaps else None
    shown, known = hide_beginnings(context, observed, share)
    before = torch.ones_like(known) if observed is None else observed
    assert (known <= before).all()
    assert torch.equal(known.any(1), before.any(1))
    hidden = before & ~known
    # nothing is hidden after the first row that is still known
    first = torch.where(known.any(1), known.float().argmax(1), length)
    assert not (hidden & (torch.arange(length) >= first[:, None])).any()
    assert torch.equal(shown[known], context[known])


def test_the_share_is_that_of_windows():
    torch.manual_seed(0)
    _, known = hide_beginnings(torch.randn(20_000, 12), None, 0.25)
    hidden = (~known).any(1).double()
    assert abs(hidden.mean() - 0.25) < 4 * (0.25 * 0.75 / 20_000) ** 0.5


def noisy(rows: int, seed: int) -> pd.DataFrame:
    step = np.arange(rows)
    y = 10 + 3 * np.sin(2 * np.pi * step / 24) + np.random.default_rng(seed).normal(size=rows)
    times = pd.date_range("2026-01-01", periods=rows, freq="h")
    return pd.DataFrame({"unique_id": "a", "ds": times, "y": y})


def test_intervals_from_a_few_values_hold():
    """Where none of the windows learned from is cut short, one value gives them in no case."""
    frame = noisy(1800, 0)
    f = EVEForecaster(
        6, 24, units=4, hidden=128, epochs=4, encoder="mlp", features="window",
        missing="mask", quiet=True,
    ).fit(frame.iloc[:1400], val_size=200)  # fmt: skip
    found = {}
    for known in (24, 12, 3, 1):
        inside = []
        for origin in range(1430, 1790, 12):
            ahead = f.predict(frame.iloc[origin - known : origin], level=[80])
            y = frame["y"].to_numpy()[origin : origin + 6]
            inside.append(((ahead["EVE-lo-80"] <= y) & (y <= ahead["EVE-hi-80"])).mean())
        found[known] = np.mean(inside)
    assert min(found.values()) > 0.5, found
    assert max(found.values()) < 0.95, found


@pytest.mark.parametrize("rows", [1, 2])
def test_a_look_back_of_a_row_or_two_has_a_scale(rows):
    frame = noisy(900, 1)
    f = EVEForecaster(
        3, rows, units=4, hidden=16, epochs=3, encoder="linear", features="window", quiet=True
    ).fit(frame, val_size=100, test_size=100)
    assert f.evaluate(frame)["coverage_80"] > 0.65


def test_a_short_series_is_refused_where_the_fit_saw_whole_ones(fitted, make_waves):
    with pytest.raises(ValueError, match="has 1 row, a forecast needs 24.*fit with missing='mask'"):
        fitted.predict(make_waves(rows=1))
