"""The models that are trained side by side: EVE, and what each of its parts is judged against."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch

from ..controls import attach_preset
from ..core import AbstractPrior, AbstractUnit
from ..priors import LearnedNormal, StandardNormal
from ..units import DeterministicUnits, GaussianUnits
from .config import ForecasterConfig
from .network import TrajectoryNetwork
from .normalisation import Location

Contender: TypeAlias = Literal["EVE", "twin", "linear", "lowrank"]

CONTENDERS: tuple[Contender, ...] = get_args(Contender)


def build_network(
    contender: Contender, config: ForecasterConfig, location: Location, mask_inputs: bool
) -> TrajectoryNetwork:
    """A fresh network; the same seed gives the same weights.

    | contender | mean path | dependence between steps | what it is there to show          |
    |-----------|-----------|--------------------------|-----------------------------------|
    | EVE       | m + Rµ    | W S(x)                   |                                   |
    | twin      | m + Rµ    | none                     | what a distribution per unit adds |
    | linear    | m         | none                     | what units add at all             |
    | lowrank   | m         | W, the same everywhere   | what *living* units add           |

    All have the same spread, likelihood and training; lowrank has as many columns as EVE.

    Args:
        contender: which.
        config: sizes and options.
        location: what windows are centred on.
        mask_inputs: whether the network is told which values are missing.
    """
    rank = config.units * config.latent_dim
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return TrajectoryNetwork(
            config.input_size,
            config.horizon,
            units=_units(contender, config),
            static_rank=rank if contender == "lowrank" else 0,
            hidden=config.hidden,
            dropout=config.dropout,
            likelihood=config.likelihood,
            location=location,
            mask_inputs=mask_inputs,
        )


def _units(contender: Contender, config: ForecasterConfig) -> AbstractUnit | None:
    if contender == "EVE":
        units = GaussianUnits(
            config.hidden,
            config.units,
            config.latent_dim,
            scale=config.scale,
            prior=_prior(config),
            beta=config.beta,
        )
        attach_preset(units, config.control, steps=config.horizon)
        return units
    if contender == "twin":
        return DeterministicUnits(config.hidden, config.units, config.latent_dim)
    return None


def _prior(config: ForecasterConfig) -> AbstractPrior:
    if config.prior == "learned":
        return LearnedNormal(config.units, config.latent_dim)
    return StandardNormal()
