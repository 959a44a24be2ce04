"""Rolling-origin evaluation: forecasts of past windows by models that had not seen them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..training.numbers import whole_number
from . import frames
from .config import ForecasterConfig
from .data.errors import DataError
from .data.frame import Panel
from .data.split import RowRange, Size
from .data.windows import Windows, windows_between
from .fitting import train
from .intervals import Levels, check_levels
from .material import prepare
from .model import FittedModel


def cross_validate(
    panel: Panel,
    config: ForecasterConfig,
    *,
    n_windows: int,
    step_size: int,
    val_size: Size,
    refit: bool,
    levels: Levels,
    quiet: bool,
) -> Any:
    """Forecast the last windows of each series; see `EVEForecaster.cross_validation`.

    Raises:
        ValueError: a count below 1 or no whole number, or an unknown level.
        DataError: series too short for that many windows.
    """
    n_windows = whole_number("n_windows", n_windows, 1)
    step_size = whole_number("step_size", step_size, 1)
    levels = check_levels(levels)
    held_out = (n_windows - 1) * step_size + config.horizon
    if not refit:
        model = _fit(panel, config, held_out, val_size, quiet)
        windows = _windows(model, panel, held_out, 0, step_size)
        return frames.backtest(model, panel, windows, levels)
    parts = []
    for fold in range(n_windows):
        before = held_out - fold * step_size
        model = _fit(panel, config, before, val_size, quiet)
        windows = _windows(model, panel, before, before - config.horizon, step_size)
        parts.append(frames.backtest(model, panel, windows, levels))
    return frames.concatenate(parts)


def _fit(
    panel: Panel, config: ForecasterConfig, held_out: int, val_size: Size, quiet: bool
) -> FittedModel:
    lengths = panel.lengths
    if (lengths <= held_out).any():
        at = int(np.argmax(lengths <= held_out))
        raise DataError(
            f"series {panel.ids[at]!r} has {int(lengths[at])} rows, {held_out} are held out for "
            "cross-validation: ask for fewer windows or a smaller step, or drop the series"
        )
    past = panel.rows_between(0, lengths - held_out)
    # the frame holds series one by one, whose forecasts coupling does not move
    config = replace(config, series="independent")
    material = prepare(past, config, val_size=val_size, test_size=0)
    return train("EVE", material, quiet=quiet)[0]


def _windows(model: FittedModel, panel: Panel, before: int, after: int, step_size: int) -> Windows:
    """Windows whose targets lie between so many rows before the end of each series."""
    flat = model.flatten(panel)
    rows = RowRange(panel.lengths - before, panel.lengths - after)
    config = model.config
    return windows_between(flat, rows, config.lookback, config.horizon, step_size)
