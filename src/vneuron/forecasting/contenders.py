"""The models that are trained side by side: EVE, and what each of its parts is judged against."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch

from ..controls import attach_preset
from ..core import AbstractPrior, AbstractUnit
from ..priors import AutoregressiveNormal, LearnedNormal, MacroNormal, StandardNormal
from ..units import DeterministicUnits, GaussianUnits, PoissonUnits
from .config import (
    REFERENCE_LAG,
    EncoderChoice,
    FeatureChoice,
    ForecasterConfig,
)
from .count_task import CountObjective, CountTask
from .data.place import Surroundings
from .data.windows import Windows
from .forecast_task import AbstractForecastObjective, AbstractForecastTask
from .network_defaults import network_defaults
from .networks.count_network import CountNetwork
from .networks.features import Encoder
from .networks.forecast_network import AbstractForecastNetwork
from .networks.network import NOWHERE, TrajectoryNetwork
from .networks.normalisation import Location
from .networks.place_features import FeatureKind
from .networks.reference import ReferenceNetwork, ReferenceObjective, ReferenceTask
from .start import start_at_ridge
from .task import TrajectoryObjective, TrajectoryTask

Contender: TypeAlias = Literal["EVE", "twin", "linear", "lowrank"]

CONTENDERS: tuple[Contender, ...] = get_args(Contender)

PENALTY_PHI, PENALTY_TAU = 0.95, 0.196
"""φ and τ of the papers' penalty; τ is .8 √(mean centre of the band), .06 at its target of .05."""


def build_network(
    contender: Contender,
    config: ForecasterConfig,
    location: Location,
    mask_inputs: bool,
    surroundings: Surroundings = NOWHERE,
) -> AbstractForecastNetwork:
    """A fresh network; the same seed gives the same weights.

    | contender | mean path | dependence between steps | what it is there to show          |
    |-----------|-----------|--------------------------|-----------------------------------|
    | EVE       | m + Rµ    | W S(x)                   |                                   |
    | twin      | m + Rµ    | none                     | what a distribution per unit adds |
    | linear    | m         | none                     | what units add at all             |
    | lowrank   | m         | W, the same everywhere   | what *living* units add           |

    All have the same readers of the window, likelihood and training; lowrank has as many columns as
    EVE, and own noise that lasts as long in every window.

    Under network="reference" EVE and its twin are that network, with units that draw and units
    that do not; linear and lowrank are as they are beside the trajectory network.

    Args:
        contender: which.
        config: sizes and options; where no data have decided, encoder "auto" is the linear one,
            features "auto" those of the window alone, and start "auto" the level.
        location: what windows are centred on.
        mask_inputs: whether the network is told which values are missing.
        surroundings: the series and the periods of the calendar that there are.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        units = _units(contender, config)
        remembers = contender == "EVE" and config.prior == "autoregressive"
        prior_lag = (config.known_lag or 0) if remembers else 0
        macro = _macro(config) if contender == "EVE" and config.prior == "macro" else None
        if config.network == "reference" and units is not None:
            return ReferenceNetwork(
                config.context_size,
                config.horizon,
                units,
                lag=config.known_lag or REFERENCE_LAG,
                hidden=config.hidden,
                dropout=config.dropout,
                likelihood="student" if config.likelihood == "student" else "gaussian",
                location=location,
                mask_inputs=mask_inputs,
                train_draws=config.train_draws,
                draws=config.draws,
                combine=config.combine,
                prior_lag=prior_lag,
                macro=macro,
            )
        own = config.network == "trajectory"
        rank = config.units * config.latent_dim if own else network_defaults("trajectory").units
        network = TrajectoryNetwork(
            config.context_size,
            config.horizon,
            units=units,
            static_rank=rank if contender == "lowrank" else 0,
            hidden=config.hidden,
            dropout=config.dropout if own else network_defaults("trajectory").dropout,
            likelihood="student" if config.likelihood == "student" else "gaussian",
            location="none" if config.counts else location,
            mask_inputs=mask_inputs,
            prior_lag=prior_lag,
            macro=macro,
            encoder="linear" if config.encoder == "auto" else config.encoder,
            features="window" if config.features == "auto" else config.features,
            surroundings=surroundings,
            noise=config.noise,
            base=config.start == "ridge",
            second=_second_reader(config, location, mask_inputs, surroundings),
            own_features=contender == "EVE" and _own_features(config),
            least_departure=float(config.departure) if config.draws_in else 1.0,
        )
        if config.likelihood in ("poisson", "negbinomial"):
            return CountNetwork(network, config.likelihood)
        return network


def second_encoder(
    encoder: EncoderChoice, features: FeatureChoice, second: FeatureKind, *, longer: bool = False
) -> Encoder:
    """Of a second reader: linear if it is told the window alone and the first is not such a one.

    One that looks further back reads at several scales: on later rows of Weather, 336 steps ahead,
    the pool's NLL is −.423 so, −.420 with "mlp" and −.410 with "linear", of the first alone −.388.

    Args:
        encoder: of the first; "auto" is the linear one.
        features: what the first is told; "auto" is the window.
        second: what the second is told.
        longer: whether its windows are longer than the first's.

    Example:
        >>> second_encoder("mlp", "full", "window"), second_encoder("linear", "window", "window")
        ('linear', 'mlp')
        >>> second_encoder("linear", "full", "place")
        'mlp'
    """
    if longer:
        return "multiscale"
    same = encoder in ("auto", "linear") and features in ("auto", "window")
    return "linear" if second == "window" and not same else "mlp"


def _second_reader(
    config: ForecasterConfig, location: Location, mask_inputs: bool, surroundings: Surroundings
) -> TrajectoryNetwork | None:
    """Of the other kind; the first reader keeps its bits."""
    if config.second == "auto" or config.second == "none":
        return None
    with torch.random.fork_rng(devices=[]):
        longer = config.second_context > config.context_size
        return TrajectoryNetwork(
            config.second_context,
            config.horizon,
            hidden=config.hidden,
            dropout=config.dropout,
            likelihood="student" if config.likelihood == "student" else "gaussian",
            location=location,
            mask_inputs=mask_inputs,
            encoder=second_encoder(config.encoder, config.features, config.second, longer=longer),
            features=config.second,
            surroundings=surroundings,
            base=config.start == "ridge",
        )


def build_objective(network: AbstractForecastNetwork) -> AbstractForecastObjective:
    """What a network is trained by, and stored in."""
    if isinstance(network, ReferenceNetwork):
        return ReferenceObjective(network)
    if isinstance(network, CountNetwork):
        return CountObjective(network)
    return TrajectoryObjective(network)


def build_task(
    network: AbstractForecastNetwork,
    train: Windows,
    validation: Windows,
    crps_weight: float = 0.0,
) -> AbstractForecastTask:
    """A network between its windows; a base path is found here.

    Args:
        network: what is trained.
        train: windows to learn from.
        validation: held-out windows.
        crps_weight: of a trajectory network; others learn by what they are made for.

    Raises:
        ValueError: a network of another kind.
    """
    if isinstance(network, ReferenceNetwork):
        return ReferenceTask(network, train, validation)
    if isinstance(network, CountNetwork):
        return CountTask(network, train, validation)
    if isinstance(network, TrajectoryNetwork):
        if network.base is not None:
            start_at_ridge(network, train, validation)
        return TrajectoryTask(network, train, validation, crps_weight=crps_weight)
    raise ValueError(
        f"network is a {type(network).__name__}, expected a TrajectoryNetwork, a CountNetwork or a "
        "ReferenceNetwork"
    )


def _units(contender: Contender, config: ForecasterConfig) -> AbstractUnit | None:
    if contender == "EVE":
        units: AbstractUnit
        if config.units_family == "poisson":
            units = PoissonUnits(config.hidden, config.units, config.latent_dim, beta=config.beta)
            attach_preset(
                units, config.control, steps=config.horizon, settings=config.control_options
            )
            return units
        own = _own_features(config)
        units = GaussianUnits(
            2 * config.hidden if own else config.hidden,
            config.units,
            config.latent_dim,
            scale=config.scale,
            prior=_prior(config),
            beta=config.beta,
            activity=config.activity,
            loc_features=config.hidden,
        )
        attach_preset(
            units,
            config.control,
            steps=config.horizon,
            form=config.scale_form,
            settings=config.control_options,
        )
        return units
    if contender == "twin":
        return DeterministicUnits(
            config.hidden, config.units, config.latent_dim, activity=config.activity
        )
    return None


def _own_features(config: ForecasterConfig) -> bool:
    """Whether the units' spread has features of its own: where it depends on the window at all."""
    gaussian = config.units_family == "gaussian" and config.scale == "input"
    plain = config.network == "trajectory" and not config.counts
    return config.unit_features == "own" and gaussian and plain


def _prior(config: ForecasterConfig) -> AbstractPrior:
    size = (config.units, config.latent_dim)
    if config.prior == "learned":
        return LearnedNormal(*size)
    if config.prior == "macro":
        return MacroNormal(*size, config.macro_dim)
    if config.prior == "standard":
        return StandardNormal()
    if config.transition_form == "kl":
        return AutoregressiveNormal(*size)
    return AutoregressiveNormal(*size, phi=PENALTY_PHI, tau=PENALTY_TAU, form="quadratic")


def _macro(config: ForecasterConfig) -> AbstractUnit:
    """The macro latent, a unit for each of its dimensions.

    The papers' controls hold for it too. Budgets by use do not, since nothing is forecast from
    it; it keeps its price, and what it is worth is what it saves the units.
    """
    macro = GaussianUnits(config.hidden, config.macro_dim, beta=config.beta)
    if config.control != "adaptive":
        attach_preset(macro, config.control, steps=config.horizon, settings=config.control_options)
    return macro
