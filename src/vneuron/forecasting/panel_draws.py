"""Joint paths of many series, coupled where they start from the same stamp, some at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from .data.frame import Panel
from .data.rows import Floats, Ints
from .intervals import array
from .laws.coupled import Factors, Loadings, sample_coupled
from .laws.predictive import TrajectoryDistribution
from .model import RawForecast


def last_stamps(panel: Panel) -> Ints:
    """Stamp of each series' last row, [series] int64."""
    stamps = panel.times.view(np.int64)
    return np.asarray(stamps[panel.offsets[1:] - 1], dtype=np.int64)


def coupled_draws(
    forecasts: Iterable[RawForecast],
    loadings: Loadings,
    stamps: Ints,
    draws: int,
    seed: int,
) -> Iterator[tuple[RawForecast, Floats]]:
    """Joint paths [batch, draws, H] of some series after others.

    What series share is drawn once for each stamp, from a seed of its own, so that series in
    different batches share it too; series that start from different stamps share nothing.

    Args:
        forecasts: of all series, some at a time.
        loadings: of all series.
        stamps: of the origin of each series, [series].
        draws: paths per series.
        seed: the same gives the same paths.
    """
    group = np.unique(stamps, return_inverse=True)[1]
    own = torch.Generator().manual_seed(seed)
    for forecast in forecasts:
        path = forecast.path
        if not isinstance(path, TrajectoryDistribution):
            raise TypeError(f"found a {type(path).__name__}, expected a TrajectoryDistribution")
        drawn = np.empty((len(path), draws, path.horizon))
        for at in np.unique(group[forecast.series]):
            rows = np.flatnonzero(group[forecast.series] == at)
            chosen = torch.from_numpy(forecast.series[rows])
            factors = Factors.draw(draws, loadings, path.horizon, _generator(seed, int(at)))
            part = path.windows(torch.from_numpy(rows))
            drawn[rows] = array(sample_coupled(part, loadings.take(chosen), factors, own))
        yield forecast, drawn


def _generator(seed: int, group: int) -> torch.Generator:
    """A stream of its own for each origin."""
    state = np.random.SeedSequence([seed, group]).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)


def weighted_total(
    drawn: Iterable[tuple[RawForecast, Floats]], weights: Tensor, horizon: int, draws: int
) -> tuple[Floats, Floats]:
    """Weighted sum over series of paths, and of their means.

    Args:
        drawn: joint paths of all series, some at a time.
        weights: of all series, [series].
        horizon: H.
        draws: S.

    Returns:
        [draws, H], and [H].
    """
    total, mean = np.zeros((draws, horizon)), np.zeros(horizon)
    for forecast, y in drawn:
        own = weights[torch.from_numpy(forecast.series)].numpy()
        total += np.tensordot(own, y, 1)
        mean += own @ array(forecast.path.point())
    return total, mean
