"""The point model with empirical spread, against numpy's least squares."""

import numpy as np
import pandas as pd
import pytest
import torch

from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.scaling import Scaling
from vneuron.forecasting.data.split import RowRange
from vneuron.forecasting.data.windows import flatten, windows_between
from vneuron.forecasting.networks.normalisation import FLOOR
from vneuron.forecasting.ridge import PENALTIES, SMALLEST_SPREAD, ResidualSpread

L, H = 5, 3


def sets_of(*values, missing=()):
    """Windows of the first and of the second half of each series, unscaled."""
    parts = [
        pd.DataFrame({"unique_id": f"s{i}", "ds": range(len(v)), "y": v})
        for i, v in enumerate(values)
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame.loc[list(missing), "y"] = np.nan
    panel = Panel.from_frame(frame, freq=1, missing="mask")
    flat = flatten(panel, Scaling(panel.ids, np.zeros(len(panel)), np.ones(len(panel))))
    half, whole = panel.lengths // 2, panel.lengths
    zero = np.zeros_like(half)
    return (
        windows_between(flat, RowRange(zero, half), L, H),
        windows_between(flat, RowRange(half, whole), L, H),
    )


def noisy(rng, rows=200, level=0.0):
    noise = rng.normal(size=rows)
    return level + np.convolve(noise, [1, 0.8, 0.5, 0.2], "same") + np.sin(np.arange(rows) / 3)


def everything(windows):
    return windows.gather(torch.arange(len(windows)))


def reference(train, validation, location):
    """Weighted ridge for each penalty by stacking rows for lstsq; the best on validation."""

    def design(batch):
        x = batch.context.double().numpy()
        centre = x.mean(1, keepdims=True) if location == "mean" else x[:, -1:]
        scale = np.sqrt(x.var(1, keepdims=True) + FLOOR**2)
        inputs = np.concatenate([(x - centre) / scale, np.ones_like(centre)], axis=1)
        return centre, scale, inputs, batch.target.double().numpy()

    centre, scale, inputs, y = design(train)
    held_out = design(validation)
    best = None
    for penalty in PENALTIES:
        strength = np.sqrt(penalty * (scale**2).sum())
        own = strength * np.eye(L, L + 1)
        rows = np.concatenate([inputs * scale, own])
        goal = np.concatenate([y - centre, np.zeros((L, H))])
        weight = np.linalg.lstsq(rows, goal, rcond=None)[0]
        vc, vs, vi, vy = held_out
        error = vy - (vc + vs * (vi @ weight))
        if best is None or (error**2).mean() < best[0]:
            best = ((error**2).mean(), weight, error)
    return best


@pytest.mark.parametrize("location", ["mean", "last"])
def test_weights_and_spread_are_those_of_least_squares(rng, location):
    train, validation = sets_of(noisy(rng), noisy(rng, 150, level=4.0))
    model = ResidualSpread(L, H, 2, location).fit(train, validation)
    _, weight, error = reference(everything(train), everything(validation), location)
    np.testing.assert_allclose(model.weight, weight, rtol=1e-3, atol=1e-5)
    series = everything(validation).series.numpy()
    for number in range(2):
        own = np.sqrt((error[series == number] ** 2).mean(0))
        np.testing.assert_allclose(model.spread[number], own, rtol=1e-4)
    np.testing.assert_allclose(model.spread[2], np.sqrt((error**2).mean(0)), rtol=1e-4)


def test_forecasts_are_independent_normals_with_that_spread(rng):
    train, validation = sets_of(noisy(rng), noisy(rng))
    model = ResidualSpread(L, H, 2).fit(train, validation)
    batch = everything(validation)
    path = model(batch)
    assert path.df is None
    assert path.loading is None
    assert torch.equal(path.scale, model.spread[batch.series])
    new = model(batch._replace(series=torch.full_like(batch.series, -1)))
    assert torch.equal(new.scale[0], model.spread[2])
    assert torch.equal(new.loc, path.loc)


def test_windows_with_a_missing_target_teach_nothing(rng):
    train, validation = sets_of(noisy(rng), missing=[60])
    complete = everything(train).target_observed.all(-1)
    assert not bool(complete.all())
    some = ResidualSpread(L, H, 1).fit(train.take(complete.nonzero()[:, 0]), validation)
    assert torch.equal(ResidualSpread(L, H, 1).fit(train, validation).weight, some.weight)


def test_what_cannot_be_fitted_repeats_the_windows_location(rng):
    """Every training target has a gap: there is nothing to regress on, and it says no more."""
    values = noisy(rng)
    train, validation = sets_of(values, missing=range(1, 100, 3))
    model = ResidualSpread(L, H, 1).fit(train, validation)
    batch = everything(validation)
    batch = batch.keep(batch.context_observed.all(-1))
    torch.testing.assert_close(model(batch).loc[:, 0], batch.context.mean(-1))
    assert bool(model.spread.isfinite().all())


def test_a_series_without_validation_windows_has_the_spread_of_all(rng):
    train, validation = sets_of(noisy(rng), noisy(rng))
    some = validation.take((everything(validation).series == 0).nonzero()[:, 0])
    model = ResidualSpread(L, H, 2).fit(train, some)
    assert torch.equal(model.spread[1], model.spread[2])


def test_a_series_that_stands_still_is_not_certain():
    train, validation = sets_of(np.full(100, 3.0))
    model = ResidualSpread(L, H, 1).fit(train, validation)
    path = model(everything(validation))
    torch.testing.assert_close(path.loc, torch.full_like(path.loc, 3.0))
    assert bool((path.scale == SMALLEST_SPREAD).all())


def test_it_survives_a_state_dict(rng):
    train, validation = sets_of(noisy(rng), noisy(rng))
    model = ResidualSpread(L, H, 2).fit(train, validation)
    other = ResidualSpread(L, H, 2)
    other.load_state_dict(model.state_dict())
    batch = everything(validation)
    assert torch.equal(other(batch).loc, model(batch).loc)
    assert torch.equal(other(batch).scale, model(batch).scale)
