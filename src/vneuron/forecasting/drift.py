"""Whether windows leave the levels that earlier ones of their series have had."""

from __future__ import annotations

import torch
from torch import Tensor

from .data.windows import Windows, evenly_spaced
from .networks.normalisation import Location, window_scale

LOOKED_AT = 20_000
LEAST_WINDOWS = 8
"""Of a series, to know its levels by."""


def level_drift(earlier: Windows, later: Windows, location: Location = "mean") -> float:
    """Share of later windows whose level lies beyond all levels of earlier windows of their series.

    Args:
        earlier: at most 20,000 of them are looked at, evenly spaced, and as many later ones.
        later: those of series with fewer than 8 earlier windows are left out.
        location: what a window's level is.

    Returns:
        From 0 to 1; 0 where nothing can be told.
    """
    series, levels = _levels(earlier, location)
    among, asked = _levels(later, location)
    count = int(max(series.max(), among.max())) + 1
    low = levels.new_full((count,), torch.inf).scatter_reduce(0, series, levels, "amin")
    high = levels.new_full((count,), -torch.inf).scatter_reduce(0, series, levels, "amax")
    known = torch.bincount(series, minlength=count)[among] >= LEAST_WINDOWS
    if not known.any():
        return 0.0
    beyond = (asked < low[among]) | (asked > high[among])
    return float(beyond[known].double().mean())


def _levels(windows: Windows, location: Location) -> tuple[Tensor, Tensor]:
    """Series and level of windows, [windows] each."""
    batch = windows.gather(evenly_spaced(len(windows), LOOKED_AT).to(windows.device))
    scale = window_scale(batch.context, batch.context_observed, location)
    return batch.series, scale.location[:, 0]
