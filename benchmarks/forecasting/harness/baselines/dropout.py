"""MC dropout (Gal, Ghahramani 2016): the twin with dropout left on, passes as one mixture."""

from __future__ import annotations

import torch
from torch import nn

from vneuron.core import muted
from vneuron.forecasting.data.windows import WindowBatch
from vneuron.forecasting.laws.predictive import TrajectoryDistribution
from vneuron.forecasting.model import FittedModel

from .mixture import MixedForecasts

PASSES = 10


class DroppedForecasts:
    """Windows in, a mixture over `PASSES` draws of what is dropped out.

    Only dropout is in training mode; the rest is as in evaluation.

    Args:
        model: a trained network with dropout.
        seed: of what is dropped.
    """

    def __init__(self, model: FittedModel, seed: int) -> None:
        self.network, self.seed, self.batches = model.network, seed, 0

    @torch.no_grad()
    def __call__(self, batch: WindowBatch) -> MixedForecasts:
        dropouts = [layer for layer in self.network.modules() if isinstance(layer, nn.Dropout)]
        parts: list[TrajectoryDistribution] = []
        with torch.random.fork_rng(devices=[]), muted():
            torch.manual_seed(self.seed * 1_000_003 + self.batches)
            for layer in dropouts:
                layer.train()
            for _ in range(PASSES):
                parts.append(self.network(*batch.inputs))
            for layer in dropouts:
                layer.eval()
        self.batches += 1
        return MixedForecasts(tuple(parts))
