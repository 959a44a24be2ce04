"""What forecasts cost window by window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..forecasting.data.windows import Windows
from ..forecasting.model import FittedModel

__all__ = ["WindowLosses", "by_origin", "window_losses"]

BATCH = 1024

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WindowLosses:
    """Losses of windows, in training standard deviations, NaN where nothing was observed.

    Attributes:
        joint_nll: nats per step, [windows].
        nll: of single steps, nats per step, [windows].
        crps: mean over steps, [windows].
        mse: mean over steps, [windows].
        cutoff: row of each window's last context value, [windows].
        series: position of its series, [windows].
    """

    joint_nll: Floats
    nll: Floats
    crps: Floats
    mse: Floats
    cutoff: npt.NDArray[np.int64]
    series: npt.NDArray[np.int64]

    def means(self) -> dict[str, float]:
        """Each loss, over all windows."""
        names = ("joint_nll", "nll", "crps", "mse")
        return {name: float(np.nanmean(getattr(self, name))) for name in names}


@torch.no_grad()
def window_losses(model: FittedModel, windows: Windows) -> WindowLosses:
    """A model's losses on scaled windows."""
    found: dict[str, list[Any]] = {name: [] for name in ("joint_nll", "nll", "crps", "mse")}
    series = []
    for batch in windows.batches(BATCH):
        path = model.forecast(batch)
        target = batch.target.double().cpu()
        if batch.target_observed is not None:
            target = target.masked_fill(~batch.target_observed.cpu(), torch.nan)
        y = target.numpy()
        law = path.steps()
        steps = np.maximum((~np.isnan(y)).sum(axis=1), 1)
        nats = path.joint_nll(batch.target, batch.target_observed).double().cpu().numpy()
        found["joint_nll"].append(nats / steps)
        found["nll"].append(_mean(law.nll(y)))
        found["crps"].append(_mean(law.crps(y)))
        found["mse"].append(_mean((y - path.point().double().cpu().numpy()) ** 2))
        series.append(batch.series.cpu().numpy())
    losses = {name: np.concatenate(values) for name, values in found.items()}
    cutoff = np.asarray(windows.cutoffs, dtype=np.int64)
    return WindowLosses(**losses, cutoff=cutoff, series=np.concatenate(series).astype(np.int64))


def by_origin(losses: WindowLosses, name: str, offsets: npt.NDArray[np.int64]) -> Floats:
    """Means over series of one loss at each origin, in the order of time, [origins].

    Args:
        losses: of windows.
        name: of the loss.
        offsets: first flat row of each series; series count their rows from there.
    """
    values = getattr(losses, name)
    rows = losses.cutoff - offsets[losses.series]
    known = ~np.isnan(values)
    origins, at = np.unique(rows[known], return_inverse=True)
    sums = np.bincount(at, weights=values[known], minlength=len(origins))
    return np.asarray(sums / np.bincount(at, minlength=len(origins)), dtype=np.float64)


def _mean(values: npt.NDArray[Any]) -> Floats:
    """Over steps, [windows]; NaN where none is observed."""
    seen = ~np.isnan(values)
    count = seen.sum(axis=1)
    total = np.where(seen, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
