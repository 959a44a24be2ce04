"""Laws of what a path adds up to: sums and means in closed form, extremes from joint draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd
import torch

from .data.frequency import parse_frequency
from .data.rows import Floats
from .intervals import array, draw_columns, interval_columns
from .laws.trajectory import AbstractPaths

Statistic = Literal["sum", "mean", "max", "min", "ramp"]

DRAWS = 2000


def block_length(over: int | str | None, freq: str | int, horizon: int) -> int:
    """Steps that one aggregate spans.

    Args:
        over: a number of steps (its digits too), a duration such as "24h" or "7D", or None for
            the whole horizon.
        freq: of the series.
        horizon: H.

    Raises:
        ValueError: a duration that is no whole number of steps, or a span beyond the horizon.

    Example:
        >>> block_length("1D", "h", 96), block_length(None, "h", 96)
        (24, 96)
    """
    if over is None:
        return horizon
    whole = isinstance(over, int | np.integer) and not isinstance(over, bool)
    digits = isinstance(over, str) and over.strip().isdecimal()
    steps = int(over) if whole or digits else _steps(str(over), freq)
    if not 1 <= steps <= horizon:
        raise ValueError(
            f"over is {over!r}, {steps} steps, expected from 1 to the horizon of {horizon} steps"
        )
    return steps


def _steps(over: str, freq: str | int) -> int:
    """Steps of a duration; a week is a fixed one, a month is not."""
    try:
        frequency = parse_frequency(freq, integer_time=False, zone=None)
        if frequency.calendar is not None:
            raise ValueError
        count = pd.Timedelta(over) / pd.Timedelta(frequency.step, unit="ns")
    except ValueError:
        raise ValueError(
            f"over is {over!r}, which is no fixed number of steps of frequency {freq!r}: give a "
            "number of steps"
        ) from None
    if not float(count).is_integer():
        raise ValueError(
            f"over is {over!r}, {count:g} steps of frequency {freq!r}, expected a whole number"
        )
    return int(count)


def aggregate_columns(
    name: str,
    path: AbstractPaths,
    statistic: Statistic,
    steps: int,
    levels: Sequence[float],
    generator: torch.Generator,
    taken: Sequence[float] | None = None,
) -> dict[str, Floats]:
    """Mean, median and intervals of a statistic over each whole block of a path.

    sum and mean are linear, so their law is exactly t. max, min and ramp (the largest change
    between neighbouring steps, up or down) come from 2,000 joint draws.

    Args:
        name: of the model.
        path: raw units.
        statistic: what to aggregate.
        steps: length of a block; a remainder at the end of the path is left out.
        levels: of the intervals, per cent.
        generator: of the draws.
        taken: of an interval from draws, the level between whose quantiles it lies (`Widening`);
            None takes `levels`.

    Returns:
        Columns [batch, blocks] each.

    Raises:
        ValueError: an unknown statistic, or a ramp over a single step.
    """
    if statistic not in get_args(Statistic):
        raise ValueError(f"statistic is {statistic!r}, expected one of {get_args(Statistic)}.")
    blocks = path.horizon // steps
    if statistic in ("sum", "mean"):
        weights = torch.zeros(path.horizon, blocks, dtype=torch.float64)
        for block in range(blocks):
            weights[block * steps : (block + 1) * steps, block] = 1.0
        if statistic == "mean":
            weights /= steps
        return interval_columns(name, path.functional(weights), levels)
    _check_ramp(statistic, steps)
    draws = array(path.sample(DRAWS, generator))
    return drawn_columns(name, draws, statistic, steps, levels, taken)


def drawn_columns(
    name: str,
    draws: Floats,
    statistic: Statistic,
    steps: int,
    levels: Sequence[float],
    taken: Sequence[float] | None = None,
) -> dict[str, Floats]:
    """The same columns of any statistic, from joint draws [batch, draws, H].

    Raises:
        ValueError: an unknown statistic, or a ramp over a single step.
    """
    if statistic not in get_args(Statistic):
        raise ValueError(f"statistic is {statistic!r}, expected one of {get_args(Statistic)}.")
    _check_ramp(statistic, steps)
    of_blocks = np.moveaxis(over_blocks(statistic, draws, steps), 1, -1)
    return draw_columns(name, of_blocks, levels, taken)


def over_blocks(statistic: str, paths: Floats, steps: int) -> Floats:
    """A statistic of each whole block of paths [batch, draws, H]: [batch, draws, blocks].

    Example:
        >>> over_blocks("max", np.array([[[1.0, 3.0, 2.0, 0.0]]]), 2)
        array([[[3., 2.]]])
    """
    batch, count, horizon = paths.shape
    blocks = horizon // steps
    return _of_block(statistic, paths[:, :, : blocks * steps].reshape(batch, count, blocks, steps))


def _check_ramp(statistic: Statistic, steps: int) -> None:
    if statistic == "ramp" and steps < 2:
        raise ValueError("a ramp needs at least 2 steps: give a longer `over`")


def _of_block(statistic: str, draws: Floats) -> Floats:
    """Over the last axis: [batch, draws, blocks]."""
    if statistic == "sum":
        return np.asarray(draws.sum(-1))
    if statistic == "mean":
        return np.asarray(draws.mean(-1))
    if statistic == "max":
        return np.asarray(draws.max(-1))
    if statistic == "min":
        return np.asarray(draws.min(-1))
    change = np.diff(draws, axis=-1)
    largest = np.abs(change).argmax(-1)
    return np.asarray(np.take_along_axis(change, largest[..., None], axis=-1)[..., 0])
