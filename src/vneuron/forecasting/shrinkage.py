"""How far forecasts leave the level of their window: what windows that are held out say of it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from .data.windows import WindowBatch
from .laws.predictive import TrajectoryDistribution
from .networks.network import TrajectoryNetwork

DEPARTURES = (0.0, 0.25, 0.5, 0.75, 1.0)


@torch.no_grad()
def departure_losses(network: TrajectoryNetwork, batches: Iterable[WindowBatch]) -> Tensor:
    """NLL of single steps with each of `DEPARTURES`, nats per step, [5].

    Args:
        network: as it forecasts; what it keeps of its paths so far does not count.
        batches: windows that it has not learned from.
    """
    losses, steps = torch.zeros(len(DEPARTURES), dtype=torch.float64), 0
    for batch in batches:
        reading = network.read(*batch.inputs, drawn_in=False)
        path, level = network.distribution(reading), reading.window.location
        known = batch.target_observed
        steps += batch.target.numel() if known is None else int(known.sum())
        for i, departure in enumerate(DEPARTURES):
            loc = level + departure * (path.loc - level)
            drawn = TrajectoryDistribution(loc, path.scale, path.df)
            losses[i] += drawn.marginal_nll(batch.target, known).double().sum().cpu()
    return losses / max(steps, 1)


def least_within(losses: Tensor, loss: float) -> float:
    """The least of `DEPARTURES` that loses no more than that against the best; 1 if none is known.

    Args:
        losses: nats per step, of each.
        loss: nats per step.

    Example:
        >>> least_within(torch.tensor([0.55, 0.529, 0.51, 0.50, 0.51]), 0.03)
        0.25
        >>> least_within(torch.full((5,), torch.nan), 0.03)
        1.0
    """
    near = losses <= losses.min() + loss
    within = [d for d, is_near in zip(DEPARTURES, near.tolist(), strict=True) if is_near]
    return min(within, default=1.0)
