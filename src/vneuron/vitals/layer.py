"""All vitals of one layer, as columns, and what is said about each unit."""

from __future__ import annotations

import torch
from torch import Tensor

from ..core import AbstractDynamicPrior, AbstractPrior, AbstractUnit, AdjustableUnit, bounds_of
from . import measures
from .verdict import Thresholds, UnitVitals, Verdict, judge

ALIVE_ENERGY = 1e-4


@torch.no_grad()
def layer_columns(unit: AbstractUnit, thresholds: Thresholds) -> dict[str, object]:
    """The columns of a layer's part of the frame of `Health.units`."""
    numbers = _numbers(unit)
    verdicts = _verdicts(unit, numbers, thresholds)
    columns: dict[str, object] = {"layer": unit.name, "unit": range(unit.units)}
    columns |= {name: value.tolist() for name, value in numbers.items()}
    for name, low, high in (
        ("band", "band_low", "band_high"),
        ("original_band", "original_band_low", "original_band_high"),
    ):
        columns[name] = _positions(numbers["energy"], numbers[low], numbers[high])
    columns["verdict"] = [verdict.value for verdict in verdicts]
    columns["cure"] = [verdict.cure for verdict in verdicts]
    return columns


def _numbers(unit: AbstractUnit) -> dict[str, Tensor]:
    """Every vital that is a number or a flag, [units] each; NaN where unknown."""
    statistics = unit.statistics
    variance = statistics.loc_variance()
    loc, scale = _prior(unit)
    numbers = {
        "kl": statistics.kl,
        "energy": statistics.energy,
        "generalised_energy": measures.generalised_energy(statistics, loc, scale),
        "rate": statistics.rate(),
        "loc_variance": variance.sum(-1),
        "scale_mean": measures.contraction(statistics.log_scale),
        "scale_min": statistics.scale_min,
        "scale_max": statistics.scale_max,
        "contraction": measures.contraction(statistics.log_scale, scale),
        "beta": unit.beta,
        "use": statistics.use,
        "dynamic_use": statistics.dynamic_use,
        "outcome_information": statistics.outcome_information,
        "persistence": statistics.pairs.persistence(),
        "innovation": measures.innovation(statistics),
        "scale_persistence": statistics.pairs.scale_persistence(),
        "phi": _phi(unit),
        "transition_share": _transition_share(unit),
        "drift": statistics.drift(),
        "alive_share": statistics.alive_share,
        "alive": measures.alive(statistics.kl),
        "alive_energy": statistics.energy > ALIVE_ENERGY,
        "active": measures.active(variance),
    }
    unknown = torch.full_like(statistics.kl, torch.nan)
    bounds = bounds_of(unit)
    names = ("band_low", "band_high", "original_band_low", "original_band_high")
    return numbers | dict(zip(names, (unknown,) * 4 if bounds is None else bounds, strict=True))


def _verdicts(
    unit: AbstractUnit, numbers: dict[str, Tensor], thresholds: Thresholds
) -> list[Verdict]:
    statistics = unit.statistics
    if int(statistics.updates) == 0:
        return [Verdict.UNKNOWN] * unit.units
    high = numbers["original_band_high"]
    own = thresholds.energy * torch.as_tensor(_prior(unit)[1]).square()
    own = own.expand(unit.units, unit.latent_dim).mean(-1)
    floor, ceiling = torch.full_like(high, torch.nan), torch.full_like(high, torch.nan)
    if isinstance(unit, AdjustableUnit):
        typical = statistics.log_scale.exp()
        low_bound, high_bound = unit.scale_bounds()
        floor = (typical / low_bound).mean(-1)
        ceiling = (typical / high_bound).mean(-1)
    rows = torch.stack(
        [
            statistics.kl,
            numbers["rate"],
            statistics.use,
            statistics.dynamic_use,
            statistics.energy / torch.where(high.isnan(), own, high),
            statistics.energy / statistics.slow_energy - 1.0,
            floor,
            ceiling,
            numbers["persistence"],
            numbers["innovation"],
        ],
        dim=-1,
    )
    return [judge(UnitVitals(*row), thresholds) for row in rows.tolist()]


def _positions(energy: Tensor, low: Tensor, high: Tensor) -> list[str]:
    """Where each energy lies: "below", "inside", "above", or "" without a band."""
    found = []
    for e, lo, hi in zip(energy.tolist(), low.tolist(), high.tolist(), strict=True):
        if lo != lo:
            found.append("")
        else:
            found.append("below" if e < lo else "above" if e > hi else "inside")
    return found


def _prior(unit: AbstractUnit) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the prior; the standard normal's where there is none."""
    prior = getattr(unit, "prior", None)
    if isinstance(prior, AbstractPrior):
        return prior.moments()
    zero = unit.statistics.kl.new_zeros(())
    return zero, zero + 1.0


def _phi(unit: AbstractUnit) -> Tensor:
    """φ, mean over k; NaN for a prior without memory."""
    prior = getattr(unit, "prior", None)
    if not isinstance(prior, AbstractDynamicPrior):
        return torch.full_like(unit.statistics.kl, torch.nan)
    return prior.phi().mean(-1)


def _transition_share(unit: AbstractUnit) -> Tensor:
    """The part of the KL that the predecessor decides; NaN for a prior without memory."""
    prior, statistics = getattr(unit, "prior", None), unit.statistics
    if not isinstance(prior, AbstractDynamicPrior):
        return torch.full_like(statistics.kl, torch.nan)
    share = prior.transition(statistics) / statistics.kl.clamp_min(1e-12)
    return torch.where(statistics.pairs.updates > 0, share, torch.nan)
