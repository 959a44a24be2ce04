"""Which encoder a data set gets: both are tried for a short while, and held-out windows decide.

Depth is worth .3 nats per step on Weather and .05 on ETTm1, and costs .03 on Exchange, a short
set that wanders and that it learns by heart (validation NLL, ETTh1 gains .01). No rule on the
size of the data told them apart, and a trial takes seconds.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

import torch
from torch import Tensor

from ..training.order import ExampleOrder
from .config import ForecasterConfig
from .contenders import build_network
from .data.windows import WindowBatch, Windows, evenly_spaced
from .forecast_task import decayed_groups, held_out_scores
from .networks.features import Encoder
from .networks.forecast_network import AbstractForecastNetwork
from .networks.normalisation import Location

TRIAL_EPOCHS = 2
TRIAL_STEPS = 128
JUDGED_WINDOWS = 8192


def choose_encoder(
    train: Windows,
    validation: Windows,
    config: ForecasterConfig,
    location: Location,
    mask_inputs: bool,
) -> Encoder:
    """The encoder with the lower validation NLL, in a short trial without units.

    Always on the CPU and from the forecaster's seed, so that a resumed run and every process of a
    distributed one choose alike.

    Args:
        train: windows to learn from, in at most 256 steps.
        validation: windows to judge on; at most 8,192, evenly spaced.
        config: of the forecaster; "encoder" in it is not read.
        location: what windows are centred on.
        mask_inputs: whether the network is told which values are missing.
    """
    judged = validation.take(evenly_spaced(len(validation), JUDGED_WINDOWS))
    scores = {
        kind: trial(kind, train, judged, config, location, mask_inputs)
        for kind in get_args(Encoder)
    }
    return min(scores, key=lambda kind: (math.isnan(scores[kind]), scores[kind]))


def trial(
    kind: Encoder,
    train: Windows,
    judged: Windows,
    config: ForecasterConfig,
    location: Location,
    mask_inputs: bool,
) -> float:
    """Validation NLL per step of a linear contender with this encoder, the best of its epochs."""
    config = replace(config, network="trajectory", encoder=kind)
    network = build_network("linear", config, location, mask_inputs)
    optimiser = torch.optim.AdamW(
        decayed_groups(list(network.parameters()), 1e-2), lr=config.learning_rate
    )
    order = ExampleOrder(len(train), config.batch_size, seed=config.seed, max_steps=TRIAL_STEPS)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, TRIAL_EPOCHS * order.steps)
    best = math.inf
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        for epoch in range(TRIAL_EPOCHS):
            network.train()
            for index in order.epoch(epoch):
                loss = marginal_loss(network, train.gather(index))
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(network.parameters(), float(config.horizon))
                optimiser.step()
                decay.step()
            network.eval()
            with torch.no_grad():
                best = min(best, held_out_scores(network, judged)["val_nll"])
    return best


def marginal_loss(network: AbstractForecastNetwork, batch: WindowBatch) -> Tensor:
    """NLL of the steps by themselves, nats per window, a scalar."""
    path = network(batch.context, batch.context_observed)
    loss: Tensor = path.marginal_nll(batch.target, batch.target_observed).sum(-1).mean()
    return loss
