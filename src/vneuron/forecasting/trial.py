"""A short training of one reader without units, and how its forecasts score: what choices go by."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from ..training.order import ExampleOrder
from .config import ForecasterConfig
from .contenders import build_network
from .data.place import Surroundings
from .data.windows import WindowBatch, Windows
from .evaluation import StepScores, step_scores
from .forecast_task import decayed_groups
from .laws.trajectory import AbstractTrajectory
from .networks.features import Encoder
from .networks.forecast_network import AbstractForecastNetwork
from .networks.network import TrajectoryNetwork
from .networks.normalisation import Location
from .networks.place_features import FeatureKind
from .start import StartKind, start_at_ridge

Choice = TypeVar("Choice", bound=Hashable)

TRIAL_EPOCHS = 2
TRIAL_STEPS = 128


class Reader(NamedTuple):
    """What reads a window, what it is told, and where its mean path starts."""

    encoder: Encoder
    features: FeatureKind
    start: StartKind = "level"


class TrialData(NamedTuple):
    """What a trial needs of a fit's data.

    Attributes:
        train: windows to learn from.
        early: those of the first `EARLY` of the training rows.
        validation: windows to judge on.
        location: what windows are centred on.
        mask_inputs: whether the network is told which values are missing.
        surroundings: the series and periods of the calendar that there are.
    """

    train: Windows
    early: Windows
    validation: Windows
    location: Location
    mask_inputs: bool
    surroundings: Surroundings


def trial(reader: Reader, data: TrialData, config: ForecasterConfig) -> StepScores:
    """Validation scores of a linear contender with this reader, after the epoch of best CRPS."""
    return trained_trial(reader, data, config)[1]


def trained_trial(
    reader: Reader, data: TrialData, config: ForecasterConfig
) -> tuple[AbstractForecastNetwork, StepScores]:
    """The network of a trial after its last epoch, and what `trial` says of it."""
    train = data.train
    config = replace(
        config,
        network="trajectory",
        prior="learned",
        second="none",
        second_size=None,
        departure=1.0,
        **reader._asdict(),
    )
    network = build_network("linear", config, *data[3:])
    if isinstance(network, TrajectoryNetwork) and network.base is not None:
        start_at_ridge(network, train, data.validation)

    def forecast(batch: WindowBatch) -> AbstractTrajectory:
        path: AbstractTrajectory = network(*batch.inputs)
        return path

    optimiser = torch.optim.AdamW(
        decayed_groups(list(network.parameters()), 1e-2), lr=config.learning_rate
    )
    size = config.training(quiet=True).batch_size
    order = ExampleOrder(
        len(train), size, seed=config.seed, min_steps=TRIAL_STEPS, max_steps=TRIAL_STEPS
    )
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, TRIAL_EPOCHS * order.steps)
    found: list[StepScores] = []
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
                found.append(step_scores(forecast, data.validation))
    return network, found[best_of(dict(enumerate(found)))]


def marginal_loss(network: AbstractForecastNetwork, batch: WindowBatch) -> Tensor:
    """NLL of the steps by themselves, nats per window, a scalar."""
    path = network(*batch.inputs)
    loss: Tensor = path.marginal_nll(batch.target, batch.target_observed).sum(-1).mean()
    return loss


def best_of(scores: Mapping[Choice, StepScores]) -> Choice:
    """The choice with the lowest CRPS; a trial that failed (NaN) never wins against a number.

    Example:
        >>> best_of({"linear": StepScores(float("nan"), 1.0), "mlp": StepScores(3.0, 1.0)})
        'mlp'
    """
    return min(scores, key=lambda choice: (math.isnan(scores[choice].crps), scores[choice].crps))
