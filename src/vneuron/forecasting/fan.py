"""One window's history, forecast and sample paths as rows, for a fan chart."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from ..training.numbers import whole_number
from .data.errors import DataError
from .data.frame import Panel
from .data.rows import name_some
from .frames import NAME
from .intervals import Levels, array, check_levels, interval_columns, uncertainty_columns
from .model import FittedModel, RawForecast


def series_position(panel: Panel, series: object) -> int:
    """Where a series stands in a panel.

    Args:
        panel: several.
        series: its id; None is the first.

    Raises:
        DataError: there is no such series.
    """
    if series is None:
        return 0
    if str(series) not in panel.ids:
        raise DataError(f"no series {series!r}; there are {name_some(panel.ids)}: name one of them")
    return panel.ids.index(str(series))


def one_series(panel: Panel, series: object) -> Panel:
    """The panel of one series, as `series_position` finds it."""
    return panel.select([series_position(panel, series)])


def fan_window(
    model: FittedModel, panel: Panel, levels: Levels, paths: int, seed: int
) -> pd.DataFrame:
    """Context and forecast beyond the end of a panel of one series."""
    windows = model.last_windows(panel)
    forecast = next(model.raw_forecasts(windows, model.scaling(panel), novelty=True))
    return fan_rows(model, panel, forecast, 0, levels, paths, torch.Generator().manual_seed(seed))


def fan_rows(
    model: FittedModel,
    panel: Panel,
    forecast: RawForecast,
    window: int,
    levels: Levels,
    paths: int,
    generator: torch.Generator,
) -> pd.DataFrame:
    """Rows of one window of a batch.

    Args:
        model: what made the forecast.
        panel: the data.
        forecast: of a batch of windows.
        window: position in the batch.
        levels: of the intervals, per cent.
        paths: joint sample paths.
        generator: of the paths.

    Returns:
        unique_id, cutoff, ds, step (0 and below: history), y, EVE, EVE-median, EVE-lo-80, ...,
        EVE-unit-sd, EVE-noise-sd, EVE-novelty, EVE-path-1, ...; forecasts NaN in history.
    """
    levels, paths = check_levels(levels), whole_number("paths", paths, 0)
    horizon, cutoff = model.config.horizon, int(forecast.cutoff[window])
    series = int(forecast.series[window])
    path = forecast.path
    columns = interval_columns(NAME, path.steps(), levels, array(path.point()))
    columns |= uncertainty_columns(NAME, path, forecast.novelty)
    future = {name: values[window] for name, values in columns.items()}
    draws = array(path.sample(paths, generator))[window] if paths else np.empty((0, horizon))
    future |= {f"{NAME}-path-{i + 1}": draw for i, draw in enumerate(draws)}

    first = max(int(panel.offsets[series]), cutoff + 1 - model.config.context_size)
    past = np.arange(first, cutoff + 1)
    history = panel.values[past]  # noqa: PD011 (a panel's array, not a frame's)
    if forecast.followed:
        rows_ahead = slice(cutoff + 1, cutoff + 1 + horizon)
        ahead, known = panel.times[rows_ahead], panel.values[rows_ahead]  # noqa: PD011
    else:
        ahead, known = panel.future_times(horizon)[series], np.full(horizon, np.nan)
    rows = pd.DataFrame(
        {
            "unique_id": panel.ids[series],
            "cutoff": clock(panel, panel.times[cutoff : cutoff + 1])[0],
            "ds": clock(panel, np.concatenate([panel.times[past], ahead])),
            "step": np.concatenate([past - cutoff, np.arange(1, horizon + 1)]),
            "y": np.concatenate([history, known]),
        }
    )
    nothing = np.full(len(past), np.nan)
    forecasts = {name: np.concatenate([nothing, values]) for name, values in future.items()}
    return pd.concat([rows, pd.DataFrame(forecasts)], axis=1)


def clock(panel: Panel, times: npt.NDArray[Any]) -> Any:
    """Stamps as the data's own clock shows them, a pandas index."""
    if panel.time_zone is None:
        return pd.Index(times)
    return pd.DatetimeIndex(times).tz_localize("UTC").tz_convert(panel.time_zone)
