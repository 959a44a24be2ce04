"""How far back a model looks, and what reads the window: short trials and held-out windows decide.

Depth is worth .3 nats per step on Weather and .05 on ETTm1, and costs .03 on Exchange, a short
set that wanders and that it learns by heart (validation NLL; ETTh1 gains .01). The best look-back
is 60 weeks on ILI, half a year of days on Exchange, 336 hours on ETTh1, 720 quarters on ETTm1, and
no neighbour's. No rule on the size of the data told them apart, and a trial takes seconds.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import TypeVar, get_args

import torch
from torch import Tensor

from ..training.order import ExampleOrder
from .config import EncoderChoice, ForecasterConfig
from .contenders import build_network
from .data.windows import WindowBatch, Windows, evenly_spaced
from .forecast_task import decayed_groups, held_out_scores
from .networks.features import Encoder
from .networks.forecast_network import AbstractForecastNetwork
from .networks.normalisation import Location

Choice = TypeVar("Choice", bound=Hashable)

TRIAL_EPOCHS = 2
TRIAL_STEPS = 128
JUDGED_WINDOWS = 8192


def input_sizes(horizon: int) -> tuple[int, ...]:
    """Candidates for the look-back: 1 to 7.5 horizons.

    Example:
        >>> input_sizes(96), input_sizes(24)
        ((96, 168, 336, 512, 720), (24, 42, 84, 128, 180))
    """
    return tuple(round(horizon * share) for share in (1, 7 / 4, 7 / 2, 16 / 3, 15 / 2))


def encoder_scores(
    train: Windows,
    validation: Windows,
    config: ForecasterConfig,
    location: Location,
    mask_inputs: bool,
) -> dict[EncoderChoice, float]:
    """Validation NLL per step of each encoder that is open, in short trials without units.

    Always on the CPU and from the forecaster's seed, so that a resumed run and every process of a
    distributed one choose alike.

    Args:
        train: windows to learn from, in at most 256 steps.
        validation: windows to judge on; at most 8,192, evenly spaced.
        config: of the forecaster; encoder "auto" leaves it open.
        location: what windows are centred on.
        mask_inputs: whether the network is told which values are missing.
    """
    judged = validation.take(evenly_spaced(len(validation), JUDGED_WINDOWS))
    kinds = get_args(Encoder) if config.encoder == "auto" else (config.encoder,)
    return {kind: trial(kind, train, judged, config, location, mask_inputs) for kind in kinds}


def best_of(scores: Mapping[Choice, float]) -> Choice:
    """The choice with the lowest score; a trial that failed (NaN) never wins against a number.

    Example:
        >>> best_of({"linear": float("nan"), "mlp": 3.0})
        'mlp'
    """
    return min(scores, key=lambda choice: (math.isnan(scores[choice]), scores[choice]))


def trial(
    kind: Encoder,
    train: Windows,
    judged: Windows,
    config: ForecasterConfig,
    location: Location,
    mask_inputs: bool,
) -> float:
    """Validation NLL per step of a linear contender with this encoder, the best of its epochs."""
    config = replace(
        config, network="trajectory", prior="learned", encoder=kind, input_size=train.input_size
    )
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
