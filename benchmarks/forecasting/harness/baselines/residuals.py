"""A point model with the spread of its errors on validation windows: Gaussian, or conformal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from vneuron.forecasting.data.windows import WindowBatch, Windows
from vneuron.forecasting.laws.predictive import TrajectoryDistribution

from .quantile_steps import QuantileSteps

SMALLEST = 1e-3
"""In training deviations: a series that validation foretold without error is not certain."""

LEVELS = np.round(np.arange(1, 200) / 200, 3)
BATCH = 2048

PointModel = Callable[[WindowBatch], Tensor]


class GaussianResiduals:
    """N(ŷ, σ̂²) with the root mean squared error by series and step.

    Args:
        point: windows in, paths [batch, H] out.
        validation: windows whose errors count.
    """

    def __init__(self, point: PointModel, validation: Windows) -> None:
        self.point = point
        found = errors_by_series(point, validation)
        spread = torch.stack([e.square().nanmean(0).sqrt() for e in found])
        self.spread = spread.clamp_min(SMALLEST).float()

    def __call__(self, batch: WindowBatch) -> TrajectoryDistribution:
        return TrajectoryDistribution(self.point(batch), self.spread[batch.series], df=None)


class ConformalResiduals:
    r"""Split conformal intervals of each step, by series: ŷ ± the (n+1)c-th smallest |error|.

    Each central interval covers at least c of exchangeable windows (Vovk et al. 2005; Lei et al.
    2018); windows that overlap and drift are not exchangeable, which is what is measured here.
    A level that n windows cannot promise is given the largest error.

    Args:
        point: windows in, paths [batch, H] out.
        validation: windows whose errors count.
    """

    def __init__(self, point: PointModel, validation: Windows) -> None:
        self.point = point
        central = torch.from_numpy(LEVELS[LEVELS > 0.5] * 2.0 - 1.0)
        table = []
        for errors in errors_by_series(point, validation):
            size = errors.nan_to_num(nan=torch.inf).abs().sort(0).values
            known = torch.isfinite(size).sum(0)
            rank = torch.ceil((known + 1)[:, None] * central - 1e-9).long() - 1
            rank = rank.clamp_min(0).minimum((known - 1).clamp_min(0)[:, None])
            table.append(size.T.gather(1, rank))
        half = torch.stack(table).clamp_min(SMALLEST)  # [series, H, 99]
        self.offsets = torch.cat([-half.flip(-1), torch.zeros_like(half[..., :1]), half], -1)

    def __call__(self, batch: WindowBatch) -> QuantileSteps:
        path = self.point(batch).double()
        return QuantileSteps(LEVELS, path[..., None] + self.offsets[batch.series], path)


@torch.no_grad()
def errors_by_series(point: PointModel, windows: Windows) -> list[Tensor]:
    """y − ŷ of each series, [windows, H] in double precision; NaN where y is missing."""
    parts = []
    for batch in windows.batches(BATCH):
        error = (batch.target - point(batch)).double()
        if batch.target_observed is not None:
            error = error.masked_fill(~batch.target_observed, torch.nan)
        parts.append(error)
    every = torch.cat(parts)
    return [every[windows.series == i] for i in range(len(windows.flat.ids))]
