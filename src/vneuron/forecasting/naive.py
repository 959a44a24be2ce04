"""Forecasts without a model: the last value, and the last season, repeated."""

from __future__ import annotations

import torch
from torch import Tensor

from .data.windows import WindowBatch


class SeasonalNaive:
    """y_{t+h} = the value one season before it, the last season repeated along the horizon.

    With a season of 1 this is the last value repeated. A season longer than the context falls
    back on the last value. A missing value stands for the last known one before it.

    Args:
        horizon: H.
        season: steps of a season, at least 1.

    Raises:
        ValueError: a season below 1.

    Example:
        >>> batch = WindowBatch(torch.tensor([[1.0, 2.0, 3.0]]), torch.zeros(1, 4),
        ...                     torch.zeros(1), None, None)
        >>> SeasonalNaive(4, season=2)(batch)
        tensor([[2., 3., 2., 3.]])
    """

    def __init__(self, horizon: int, season: int = 1) -> None:
        if season < 1:
            raise ValueError(f"season is {season}, expected at least 1 step.")
        self.horizon = horizon
        self.season = season

    def __call__(self, batch: WindowBatch) -> Tensor:
        """Paths [batch, H]."""
        length = batch.context.shape[1]
        season = self.season if self.season <= length else 1
        steps = torch.arange(self.horizon, device=batch.context.device) % season
        return batch.context[:, length - season + steps]
