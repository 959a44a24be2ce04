"""Forecasts as frames, of the kind that the data came in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from ..training.numbers import whole_number
from .aggregate import DRAWS, Statistic, aggregate_columns, block_length
from .data.frame import Panel
from .data.rows import Floats, Ints
from .intervals import Levels, array, check_levels, interval_columns, uncertainty_columns
from .model import PREDICTION_BATCH, FittedModel, RawForecast
from .panel_draws import coupled_draws, last_stamps
from .widening import DRAWN, Widening

NAME = "EVE"
MOST_DRAWN = 2_000_000
"""Values of sample paths made at once: 16 MB, and a few times that on the way. With five times as
many a value costs half as much again, in fetching fresh pages of memory."""

Columns = Mapping[str, npt.NDArray[Any]]


def prediction(model: FittedModel, panel: Panel, levels: Levels, uncertainty: bool) -> Any:
    """The next H steps of each series: unique_id, ds, mean, median, intervals."""
    windows = model.last_windows(panel)
    forecasts = model.raw_forecasts(windows, model.scaling(panel), novelty=uncertainty)
    return prediction_of(panel, forecasts, model.config.horizon, levels, uncertainty)


def prediction_of(
    panel: Panel,
    forecasts: Iterable[RawForecast],
    horizon: int,
    levels: Levels,
    uncertainty: bool,
) -> Any:
    """The same of forecasts that are at hand."""
    levels = check_levels(levels)
    parts = [(each.series, _step_columns(each, levels, uncertainty)) for each in forecasts]
    return _frame(panel, parts, panel.future_times(horizon))


def samples(model: FittedModel, panel: Panel, draws: int, seed: int) -> Any:
    """Joint paths of each series: unique_id, ds, path, y."""
    return samples_of(panel, sampled(model, panel, draws, seed), model.config.horizon, draws)


def samples_of(
    panel: Panel, drawn: Iterable[tuple[RawForecast, Floats]], horizon: int, draws: int
) -> Any:
    """The same of paths that are drawn: forecasts, and [batch, draws, H] of each."""
    parts = []
    for forecast, y in drawn:
        path = np.broadcast_to(np.arange(draws)[:, None], y.shape)
        parts.append((forecast.series, {"path": np.asarray(path), "y": y}))
    return _frame(panel, parts, np.repeat(panel.future_times(horizon)[:, None], draws, axis=1))


def sampled(
    model: FittedModel, panel: Panel, draws: int, seed: int
) -> Iterator[tuple[RawForecast, Floats]]:
    """Joint paths [batch, draws, H] of some series after others, in bounded memory.

    Of a model that couples series they are joint over the series of the same origin too.

    Raises:
        ValueError: fewer than one draw, or no whole number.
    """
    draws = whole_number("n", draws, 1)
    windows, scaling = model.last_windows(panel), model.scaling(panel)
    size = min(PREDICTION_BATCH, at_once(draws, model.config.horizon))
    forecasts = model.raw_forecasts(windows, scaling, size)
    shared = model.shares
    if shared is None:
        yield from sampled_of(forecasts, draws, seed)
        return
    loadings = shared.of(model.memory.identity(panel))
    yield from coupled_draws(forecasts, loadings, last_stamps(panel), draws, seed)


def sampled_of(
    forecasts: Iterable[RawForecast], draws: int, seed: int
) -> Iterator[tuple[RawForecast, Floats]]:
    """The same of forecasts that are at hand.

    Raises:
        ValueError: fewer than one draw, or no whole number.
    """
    draws = whole_number("n", draws, 1)
    generator = torch.Generator().manual_seed(seed)
    for forecast in forecasts:
        yield forecast, array(forecast.path.sample(draws, generator))


def aggregates(
    model: FittedModel,
    panel: Panel,
    statistic: Statistic,
    over: int | str | None,
    levels: Levels,
    seed: int,
) -> Any:
    """A statistic over blocks of steps: unique_id, ds (first step), ds_end (last), intervals."""
    horizon = model.config.horizon
    windows, scaling = model.last_windows(panel), model.scaling(panel)
    forecasts = model.raw_forecasts(windows, scaling, at_once(DRAWS, horizon))
    return aggregates_of(panel, forecasts, horizon, statistic, over, levels, seed, model.widening)


def aggregates_of(
    panel: Panel,
    forecasts: Iterable[RawForecast],
    horizon: int,
    statistic: Statistic,
    over: int | str | None,
    levels: Levels,
    seed: int,
    widening: Widening | None = None,
) -> Any:
    """The same of forecasts that are at hand."""
    levels = check_levels(levels)
    steps = block_length(over, panel.freq, horizon)
    blocks = horizon // steps
    taken = None
    if widening is not None and statistic in DRAWN:
        taken = [widening.level(statistic, steps, level) for level in levels]
    generator = torch.Generator().manual_seed(seed)
    parts = [
        (
            each.series,
            aggregate_columns(NAME, each.path, statistic, steps, levels, generator, taken),
        )
        for each in forecasts
    ]
    times = panel.future_times(horizon)
    first, last = times[:, : blocks * steps : steps], times[:, steps - 1 : blocks * steps : steps]
    frame = _frame(panel, parts, first)
    ends = panel.to_native(np.repeat(np.arange(len(panel)), blocks), last.reshape(-1), {})
    return insert(frame, 2, "ds_end", ends["ds"])


def followed(model: FittedModel) -> Any:
    """What recent errors do to each series' next forecast: unique_id, shift, spread."""
    panel = model.memory.context
    last = panel.times[panel.offsets[1:] - 1]
    shift, spread = model.next_followed()
    columns = {"shift": shift, "spread": spread}
    return panel.to_native(np.arange(len(panel)), last, columns)[["unique_id", *columns]]


def backtest(model: FittedModel, panel: Panel, windows: Any, levels: Levels) -> Any:
    """Past forecasts beside what came: unique_id, ds, cutoff, y, intervals."""
    levels = check_levels(levels)
    horizon = model.config.horizon
    series, times, cutoffs, parts = [], [], [], []
    for forecast in model.raw_forecasts(windows, model.scaling(panel)):
        rows = forecast.cutoff[:, None] + 1 + np.arange(horizon)
        series.append(np.repeat(forecast.series, horizon))
        times.append(panel.times[rows].reshape(-1))
        cutoffs.append(np.repeat(panel.times[forecast.cutoff], horizon))
        y = panel.values[rows]  # noqa: PD011 (a panel's array, not a frame's)
        parts.append({"y": y, **_step_columns(forecast, levels, False)})
    who, when = np.concatenate(series), np.concatenate(times)
    columns = {n: np.concatenate([p[n].reshape(-1) for p in parts]) for n in parts[0]}
    frame = panel.to_native(who, when, columns)
    ends = panel.to_native(who, np.concatenate(cutoffs), {})
    return insert(frame, 2, "cutoff", ends["ds"])


def at_once(draws: int, horizon: int) -> int:
    """Windows whose sample paths fit in memory together."""
    return max(1, MOST_DRAWN // (draws * horizon))


def _step_columns(
    forecast: RawForecast, levels: Sequence[float], uncertainty: bool
) -> dict[str, Floats]:
    path = forecast.path
    columns = interval_columns(NAME, path.steps(), levels, array(path.point()))
    if uncertainty:
        columns |= uncertainty_columns(NAME, path, forecast.novelty)
    return columns


def _frame(panel: Panel, parts: Sequence[tuple[Ints, Columns]], times: npt.NDArray[Any]) -> Any:
    """One row per entry of the columns; `times` [series, ...] has their shape.

    Of each part the positions of its series: the forecasts themselves, several times as large,
    need not wait for the last one.
    """
    per_series = int(np.prod(times.shape[1:]))
    series = np.concatenate([own for own, _ in parts])
    names = parts[0][1]
    columns = {n: np.concatenate([c[n].reshape(-1) for _, c in parts]) for n in names}
    return panel.to_native(np.repeat(series, per_series), times[series].reshape(-1), columns)


def insert(frame: Any, position: int, name: str, column: Any) -> Any:
    """A frame with one more column at a position, pandas or polars."""
    if hasattr(frame, "insert_column"):
        return frame.insert_column(position, column.alias(name))
    frame.insert(position, name, column)
    return frame


def concatenate(parts: Sequence[Any]) -> Any:
    """Frames of one kind, one below the other."""
    if hasattr(parts[0], "vstack"):
        import polars as pl

        return pl.concat(parts)
    return pd.concat(parts, ignore_index=True)
