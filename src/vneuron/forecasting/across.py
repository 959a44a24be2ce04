"""Totals over series: what a weighted sum of several series' paths comes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import narwhals as nw
import numpy as np
import torch

from .aggregate import DRAWS, Statistic, block_length, drawn_columns
from .data.errors import DataError
from .data.frame import Panel
from .data.rows import Floats, name_some
from .frames import NAME, insert, sampled
from .intervals import Levels, check_levels
from .model import FittedModel
from .panel_draws import last_stamps, weighted_total

Across: TypeAlias = bool | Mapping[str, float]
"""True for the sum of all series, or a weight by id."""

TOTAL = "total"


def total(
    model: FittedModel,
    panel: Panel,
    statistic: Statistic,
    over: int | str | None,
    across: Across,
    levels: Levels,
    seed: int,
) -> Any:
    """A statistic over blocks of steps of a weighted sum of series: one row a block.

    A total has no law in closed form, since each series has a mixing variable of its own: it comes
    from 2,000 joint draws. Where the statistic is linear its mean is exact.

    Raises:
        ValueError: the model does not couple series, or an unknown statistic or level.
        DataError: a series that is not there or was not in the fit, weights that are no numbers,
            or series that do not end at the same stamp.
    """
    levels = check_levels(levels)
    if model.shares is None:
        raise ValueError(
            "the model takes series for independent, so that a total's intervals would be far too "
            "narrow: fit with series='coupled'"
        )
    weights = _weights(panel, across)
    kept = np.flatnonzero(weights)
    panel, weights = panel.select(kept), weights[kept]
    _refuse_new(model, panel)
    stamps = last_stamps(panel)
    if (stamps != stamps[0]).any():
        at = int(np.argmax(stamps != stamps[0]))
        raise DataError(
            f"series {panel.ids[0]!r} and {panel.ids[at]!r} end at different stamps, so that their "
            "forecasts are of different steps: give rows up to the same stamp, or weights for "
            "series that end together"
        )
    horizon = model.config.horizon
    steps = block_length(over, panel.freq, horizon)
    blocks = horizon // steps
    drawn = sampled(model, panel, DRAWS, seed)
    draws, mean = weighted_total(drawn, torch.from_numpy(weights), horizon, DRAWS)
    columns = drawn_columns(NAME, draws[None], statistic, steps, levels)
    if statistic in ("sum", "mean"):
        whole = mean[: blocks * steps].reshape(blocks, steps)
        columns[NAME] = (whole.sum(-1) if statistic == "sum" else whole.mean(-1))[None]
    times = panel.future_times(horizon)[:1]
    first, last = times[0, : blocks * steps : steps], times[0, steps - 1 : blocks * steps : steps]
    one = np.zeros(blocks, dtype=np.int64)
    frame = panel.to_native(one, first, {name: each[0] for name, each in columns.items()})
    frame = insert(frame, 2, "ds_end", panel.to_native(one, last, {})["ds"])
    named = nw.lit(TOTAL, nw.String).alias("unique_id")
    return nw.from_native(frame, eager_only=True).with_columns(named).to_native()


def _refuse_new(model: FittedModel, panel: Panel) -> None:
    """A series that the fit did not see shares nothing, so that errors seem to cancel in a sum.

    Raises:
        DataError: there is one beside another series.
    """
    new = np.flatnonzero(model.memory.identity(panel) < 0)
    if len(new) and len(panel) > 1:
        raise DataError(
            f"series {name_some([panel.ids[at] for at in new])} were not in the fit and shared "
            "nothing with the others: the total's intervals would be too narrow: leave them out by "
            "across={id: weight}, or fit with them"
        )


def _weights(panel: Panel, across: Across) -> Floats:
    """Of every series of the panel.

    Raises:
        DataError: neither True nor weights by id, an id that is not there, or weights that are not
            finite or all nought.
    """
    if isinstance(across, bool | np.bool_):
        return np.ones(len(panel))
    if not isinstance(across, Mapping):
        raise DataError(
            f"across is {across!r}, expected True for the sum of all series, or a weight by id, "
            "such as {'a': 1.0, 'b': -1.0}"
        )
    given = {str(name): weight for name, weight in across.items()}
    unknown = sorted(set(given) - set(panel.ids))
    if unknown:
        raise DataError(
            f"across names series {name_some(unknown)}, which the frame does not hold: it has "
            f"{name_some(panel.ids)}"
        )
    try:
        weights = np.array([float(given.get(name, 0.0)) for name in panel.ids])
    except (TypeError, ValueError):
        weights = np.full(len(panel), np.nan)
    if not np.isfinite(weights).all() or not weights.any():
        raise DataError(
            f"across is {dict(across)!r}: give finite weights by id, at least one of them not 0"
        )
    return weights
