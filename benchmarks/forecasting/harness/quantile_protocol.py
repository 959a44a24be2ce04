"""Protocol B's two numbers, from 100 samples and, where there are any, from exact quantiles.

Per window, over steps and channels, the sum of 2 · pinball at 19 levels over the sum of |y|, in the
data's units; its mean over levels and windows is what ProbTS calls CRPS, and at the median NMAE.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vneuron.forecasting.data.scaling import Scaling
from vneuron.forecasting.data.windows import Windows
from vneuron.forecasting.laws.trajectory import AbstractPaths
from vneuron.forecasting.scoring.quantile_scores import LEVELS, WeightedQuantileLoss

from .protocols import position_in_series
from .scoring import Forecast, target_of, widest

SAMPLES = 100
CHUNK = 128
WIDEST = LEVELS[-1] - LEVELS[0] + 1e-9


@torch.no_grad()
def score_quantiles(
    forecast: Forecast, windows: Windows, scaling: Scaling, seed: int
) -> dict[str, float | None]:
    """`crps` and `nmae` as ProbTS has them, and the same from the laws' own quantiles.

    Args:
        forecast: the model, on scaled windows.
        windows: those of the protocol, series after series.
        scaling: back to the data's units.
        seed: of the samples.

    Returns:
        probts_crps, probts_nmae, and exact_crps, exact_nmae.
    """
    position = position_in_series(windows).numpy()
    count = int(position.max()) + 1
    sampled, exact = WeightedQuantileLoss(count), WeightedQuantileLoss(count)
    generator = torch.Generator().manual_seed(seed)
    done = 0
    for batch in windows.batches(CHUNK):
        rows = slice(done, done + len(batch.series))
        done = rows.stop
        series = batch.series.numpy()
        y = scaling.invert(target_of(batch), series)
        path = forecast(batch)
        own = law_quantiles(path)
        drawn = own if has_levels_only(path) else sample_quantiles(path, generator)
        sampled.update(position[rows], y, scaling.invert(drawn, series))
        exact.update(position[rows], y, scaling.invert(own, series))
    found = {f"probts_{name}": value for name, value in sampled.result().items()}
    return {**found, **{f"exact_{name}": value for name, value in exact.result().items()}}


def has_levels_only(path: AbstractPaths | Tensor) -> bool:
    """Bare paths and quantile heads: what would be sampled is known already."""
    return isinstance(path, Tensor) or widest(path.steps()) <= WIDEST


def law_quantiles(path: AbstractPaths | Tensor) -> np.ndarray:
    """[batch, H, 19]."""
    if isinstance(path, Tensor):
        return np.repeat(path.double().numpy()[..., None], len(LEVELS), -1)
    law = path.steps()
    return np.stack([law.quantile(level) for level in LEVELS], -1)


def sample_quantiles(path: AbstractPaths, generator: torch.Generator) -> np.ndarray:
    """[batch, H, 19], of joint draws."""
    draws = path.sample(SAMPLES, generator).double().numpy()
    return np.moveaxis(np.quantile(draws, LEVELS, axis=1), 0, -1)
