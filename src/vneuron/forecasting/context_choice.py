"""How far back a model looks, what reads the window, and what else it is told: trials decide.

Depth is worth .3 nats per step on Weather and .05 on ETTm1, and costs .03 on Exchange, a short
set that wanders and that it learns by heart (validation NLL; ETTh1 gains .01). The best look-back
is 60 weeks on ILI, half a year of days on Exchange, 336 hours on ETTh1, 720 quarters on ETTm1, and
no neighbour's. Calendar, level, scale and series are worth .31 nats per step on Weather and .02 on
ETTh1; the series alone .14 on ILI, where the calendar costs; all of them cost on Exchange. No rule
on the size of the data told them apart, and a trial takes seconds.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import NamedTuple, TypeVar, get_args

import torch
from torch import Tensor

from ..training.order import ExampleOrder
from .config import ForecasterConfig
from .contenders import build_network
from .data.place import Surroundings
from .data.windows import WindowBatch, Windows, evenly_spaced
from .forecast_task import decayed_groups, held_out_scores
from .networks.features import Encoder
from .networks.forecast_network import AbstractForecastNetwork
from .networks.normalisation import Location
from .networks.place_features import FeatureKind

Choice = TypeVar("Choice", bound=Hashable)

TRIAL_EPOCHS = 2
TRIAL_STEPS = 128
JUDGED_WINDOWS = 8192

MOST_SERIES = 1000
"""More are not told apart unless asked for: few windows would tell of each."""


def input_sizes(horizon: int) -> tuple[int, ...]:
    """Candidates for the look-back: 1 to 7.5 horizons.

    Example:
        >>> input_sizes(96), input_sizes(24)
        ((96, 168, 336, 512, 720), (24, 42, 84, 128, 180))
    """
    return tuple(round(horizon * share) for share in (1, 7 / 4, 7 / 2, 16 / 3, 15 / 2))


class Reader(NamedTuple):
    """What reads a window, and what it is told."""

    encoder: Encoder
    features: FeatureKind


class TrialData(NamedTuple):
    """What a trial needs of a fit's data.

    Attributes:
        train: windows to learn from.
        validation: windows to judge on.
        location: what windows are centred on.
        mask_inputs: whether the network is told which values are missing.
        surroundings: the series and periods of the calendar that there are.
    """

    train: Windows
    validation: Windows
    location: Location
    mask_inputs: bool
    surroundings: Surroundings


def choose_reader(data: TrialData, config: ForecasterConfig) -> ForecasterConfig:
    """The configuration with encoder and features decided, in that order, by trials.

    Always on the CPU and from the forecaster's seed, so that a resumed run and every process of a
    distributed one choose alike.

    Args:
        data: of the fit.
        config: of the forecaster; what is "auto" is open.
    """
    scores: dict[Reader, float] = {}
    if config.encoder == "auto":
        scores = reader_scores(data, config)
        config = replace(config, encoder=best_of(scores).encoder)
    if config.features == "auto":
        scores |= reader_scores(data, config, known=scores)
        own = {reader: s for reader, s in scores.items() if reader.encoder == config.encoder}
        config = replace(config, features=best_of(own).features)
    return config


def reader_scores(
    data: TrialData, config: ForecasterConfig, known: Mapping[Reader, float] | None = None
) -> dict[Reader, float]:
    """Validation NLL per step of what is open, in short trials without units.

    While the encoder is open, features that are open too are those of the window alone.

    Args:
        data: of the fit; it is learned from in at most 256 steps, and judged on at most 8,192
            validation windows, evenly spaced.
        config: of the forecaster.
        known: scores of readers that need no trial.
    """
    validation = data.validation
    judged = data._replace(
        validation=validation.take(evenly_spaced(len(validation), JUDGED_WINDOWS))
    )
    encoders = get_args(Encoder) if config.encoder == "auto" else (config.encoder,)
    kinds: tuple[FeatureKind, ...] = (
        ("window",) if config.features == "auto" else (config.features,)
    )
    if config.encoder != "auto" and config.features == "auto":
        kinds = feature_kinds(data.surroundings)
    readers = [Reader(encoder, kind) for encoder in encoders for kind in kinds]
    return {
        reader: trial(reader, judged, config)
        for reader in readers
        if known is None or reader not in known
    }


def feature_kinds(surroundings: Surroundings) -> tuple[FeatureKind, ...]:
    """Which features a trial compares: series are told apart where there are some, and not many.

    Example:
        >>> feature_kinds(Surroundings(1)), feature_kinds(Surroundings(7))
        (('window', 'place'), ('window', 'series', 'place', 'full'))
    """
    if 1 < surroundings.series <= MOST_SERIES:
        return get_args(FeatureKind)
    return ("window", "place")


def best_of(scores: Mapping[Choice, float]) -> Choice:
    """The choice with the lowest score; a trial that failed (NaN) never wins against a number.

    Example:
        >>> best_of({"linear": float("nan"), "mlp": 3.0})
        'mlp'
    """
    return min(scores, key=lambda choice: (math.isnan(scores[choice]), scores[choice]))


def trial(reader: Reader, data: TrialData, config: ForecasterConfig) -> float:
    """Validation NLL per step of a linear contender with this reader, the best of its epochs."""
    train = data.train
    config = replace(
        config,
        network="trajectory",
        prior="learned",
        input_size=train.input_size,
        **reader._asdict(),
    )
    network = build_network("linear", config, *data[2:])
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
                best = min(best, held_out_scores(network, data.validation)["val_nll"])
    return best


def marginal_loss(network: AbstractForecastNetwork, batch: WindowBatch) -> Tensor:
    """NLL of the steps by themselves, nats per window, a scalar."""
    path = network(*batch.inputs)
    loss: Tensor = path.marginal_nll(batch.target, batch.target_observed).sum(-1).mean()
    return loss
