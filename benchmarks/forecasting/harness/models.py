"""The models of the benchmark by name: how each is trained, and what it can be asked."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from vneuron.forecasting.contenders import Contender, build_network
from vneuron.forecasting.data.windows import WindowBatch
from vneuron.forecasting.naive import SeasonalNaive
from vneuron.forecasting.networks.network import TrajectoryNetwork
from vneuron.forecasting.ridge import ResidualSpread
from vneuron.forecasting.scoring.quantile_scores import LEVELS
from vneuron.forecasting.season import season_length
from vneuron.forecasting.start import start_at_ridge
from vneuron.training.outcome import TrainingOutcome

from .baselines.dropout import PASSES, DroppedForecasts
from .baselines.full_covariance import FullCovariance
from .baselines.heads import HeadTask, QuantileHeads, SquaredError
from .baselines.mixture import MixedForecasts
from .baselines.residuals import ConformalResiduals, GaussianResiduals
from .scoring import Forecast
from .workshop import Workshop

MEMBERS = 5


@dataclass(frozen=True)
class Ready:
    """A model that can be scored.

    Attributes:
        forecast: windows in, paths out.
        joint: whether it speaks of whole paths, if only by saying that steps are independent.
        seconds: processor seconds of training, validation included; None where nothing is trained.
        facts: further columns of its row.
    """

    forecast: Forecast
    joint: bool = True
    seconds: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)


Maker = Callable[[Workshop], Ready]


def outcome_facts(outcome: TrainingOutcome) -> dict[str, Any]:
    return {
        "epochs": outcome.epochs,
        "best_epoch": outcome.best_epoch,
        "train_steps": outcome.steps,
        "stopped": str(outcome.reason),
        "validation_score": outcome.best_score,
    }


def contender(name: Contender, label: str | None = None, **changes: Any) -> Maker:
    """One of the library's own."""

    def make(shop: Workshop) -> Ready:
        model, outcome = shop.contender(name, label, **changes)
        facts = outcome_facts(outcome)
        if name == "EVE":
            facts["unit_verdicts"] = json.dumps(model.health().counts)
        return Ready(model.forecast, True, outcome.cpu_seconds, facts)

    return make


def ensemble(name: Contender) -> Maker:
    """Five of the library's own of seeds far apart; the first is that of this seed."""

    def make(shop: Workshop) -> Ready:
        trained = [shop.member(number).contender(name) for number in range(MEMBERS)]
        models = [model for model, _ in trained]
        seconds = sum(outcome.cpu_seconds for _, outcome in trained)

        def forecast(batch: WindowBatch) -> MixedForecasts:
            return MixedForecasts(tuple(model.forecast(batch) for model in models))

        return Ready(forecast, True, seconds, {"members": MEMBERS, **outcome_facts(trained[0][1])})

    return make


def mc_dropout(shop: Workshop) -> Ready:
    """The twin again, with dropout on; it costs no training of its own."""
    model, outcome = shop.contender("twin")
    forecast = DroppedForecasts(model, shop.config.seed)
    return Ready(forecast, True, outcome.cpu_seconds, {"members": PASSES, **outcome_facts(outcome)})


def point(kind: type[GaussianResiduals] | type[ConformalResiduals]) -> Maker:
    """The twin's trunk under squared error, then the spread of its validation errors."""

    def make(shop: Workshop) -> Ready:
        module = SquaredError(trunk(shop))
        material = shop.material
        outcome = shop.fit("point", HeadTask(module, material.train, material.validation))
        module.eval()

        def path(batch: WindowBatch) -> Tensor:
            with torch.no_grad():
                return module.path(*batch.inputs)

        began = time.process_time()
        forecast = kind(path, material.validation)
        seconds = outcome.cpu_seconds + time.process_time() - began
        return Ready(forecast, True, seconds, outcome_facts(outcome))

    return make


def quantile(shop: Workshop) -> Ready:
    """Nineteen quantiles per step; of whole paths it says nothing."""
    module = QuantileHeads(trunk(shop), LEVELS)
    material = shop.material
    outcome = shop.fit("quantile", HeadTask(module, material.train, material.validation))
    module.eval()
    return Ready(module.forecast, False, outcome.cpu_seconds, outcome_facts(outcome))


def trunk(shop: Workshop) -> TrajectoryNetwork:
    """The network without units of the same options, for another head."""
    material = shop.material
    config = replace(material.config, network="trajectory", likelihood="gaussian")
    data = material.trial_data
    network = build_network("linear", config, data.location, data.mask_inputs, data.surroundings)
    if not isinstance(network, TrajectoryNetwork):
        raise ValueError(f"found a {type(network).__name__}, expected a trajectory network")
    if network.base is not None:
        start_at_ridge(network, material.train, material.validation)
    return network


def full(label: str, **changes: Any) -> Maker:
    """The static head's own margins, and in place of its factors one H × H correlation."""

    def make(shop: Workshop) -> Ready:
        margins, outcome = shop.contender("lowrank", label, **changes)
        began = time.process_time()
        model = FullCovariance.fit(margins, shop.material.train, shop.material.validation)
        seconds = outcome.cpu_seconds + time.process_time() - began
        facts = {**outcome_facts(outcome), "shrinkage": model.shrinkage}
        return Ready(model, True, seconds, facts)

    return make


def ridge(shop: Workshop) -> Ready:
    """Ridge regression with the spread of its validation errors, in closed form."""
    material, config = shop.material, shop.material.config
    began = time.process_time()
    model = ResidualSpread(
        config.context_size, config.horizon, len(material.panel), material.location
    ).fit(material.train, material.validation)
    return Ready(model, True, time.process_time() - began)


def naive(seasonal: bool) -> Maker:
    def make(shop: Workshop) -> Ready:
        season = season_length(shop.panel.freq) if seasonal else 1
        return Ready(SeasonalNaive(shop.config.horizon, season), False, None, {"season": season})

    return make


MODELS: dict[str, Maker] = {
    "EVE": contender("EVE"),
    "twin": contender("twin"),
    "linear": contender("linear"),
    "lowrank": contender("lowrank"),
    "lowrank_gaussian": contender("lowrank", "lowrank_gaussian", likelihood="gaussian"),
    "full_gaussian": full("lowrank_gaussian", likelihood="gaussian"),
    "full_student": full("lowrank"),
    "ensemble": ensemble("twin"),
    "EVE_ensemble": ensemble("EVE"),
    "mc_dropout": mc_dropout,
    "point_gaussian": point(GaussianResiduals),
    "point_conformal": point(ConformalResiduals),
    "quantile": quantile,
    "ridge": ridge,
    "seasonal_naive": naive(seasonal=True),
    "repeat_last": naive(seasonal=False),
}

TRAINED_AS: dict[str, tuple[str, ...]] = {
    "EVE": ("EVE",),
    "twin": ("twin",),
    "linear": ("linear",),
    "lowrank": ("lowrank",),
    "lowrank_gaussian": ("lowrank_gaussian",),
    "full_gaussian": ("lowrank_gaussian",),
    "full_student": ("lowrank",),
    "ensemble": ("twin",),
    "EVE_ensemble": ("EVE",),
    "mc_dropout": ("twin",),
    "point_gaussian": ("point",),
    "point_conformal": ("point",),
    "quantile": ("quantile",),
}
"""Under which names a model's networks are kept: several share one."""

DETERMINISTIC = ("ridge", "seasonal_naive", "repeat_last")
"""The same for every seed: run once."""
