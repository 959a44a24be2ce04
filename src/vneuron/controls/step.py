"""The control step: the one place where statistics and controls move."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import nn
from torch.optim import Optimizer

from ..core import (
    AbstractControl,
    AbstractScaleControl,
    AbstractUnit,
    BatchSummary,
    Clock,
    Info,
    LocalTerm,
    join_terms,
    summarize,
    units_by_name,
)
from ..vitals.measures import alive
from .rescale import rescale


def prepare_controls(model: nn.Module, total_steps: int) -> None:
    """Tell every control of a model how many optimiser steps the run has.

    Warm-ups, ramps and intervals given as fractions of the run need it; trainers call it before
    the first step, and again with the same number when they resume.

    Args:
        model: any module with units inside.
        total_steps: of the whole run.

    Raises:
        ValueError: if `total_steps` is not positive.

    Example:
        >>> import vneuron as vn
        >>> layer = vn.GaussianUnits(3, 2)
        >>> layer.controls.append(vn.EnergyBand(2, warmup=0.1, ramp=0.2))
        ModuleList(...)
        >>> prepare_controls(layer, 1000)
    """
    for module in model.modules():
        if isinstance(module, Clock):
            module.prepare(total_steps)


def begin_statistics(terms: Iterable[LocalTerm]) -> dict[str, BatchSummary]:
    """Ask all processes for a step's statistics, by layer, ahead of `control_step`.

    Where training is spread over processes, call it before the backward pass: messages then
    travel while gradients are computed. In one process it changes nothing.

    Args:
        terms: what `control_step` is going to be given.

    Example:
        >>> import vneuron as vn
        >>> model = nn.Sequential(vn.GaussianUnits(3, 2))
        >>> _, terms = vn.Collect(model)(torch.zeros(4, 3))
        >>> begun = begin_statistics(terms)
        >>> sorted(control_step(model, terms, begun=begun).fetch())
        ['0/alive', '0/energy', '0/kl']
    """
    return {name: summarize(join_terms(group)) for name, group in _group(terms).items()}


@torch.no_grad()
def control_step(
    model: nn.Module,
    terms: Iterable[LocalTerm],
    optimizer: Optimizer | None = None,
    begun: Mapping[str, BatchSummary] | None = None,
) -> Info:
    """Update every unit's statistics, then run the controls attached to it.

    Call it once per optimiser step, after the step, with the terms of that step; under gradient
    accumulation with those of all its micro-batches together. A layer's terms are joined along
    the batch, and reduced across processes where `torch.distributed` is initialised. It works
    with no control attached.

    Args:
        model: the model that produced the terms, bare, or inside `Collect` and other wrappers.
        terms: what `Collect` returned.
        optimizer: the one that trains the model, whose moments scale actions rescale; without it
            they are left as they are.
        begun: what `begin_statistics` made of these terms; without it they are summarised here.

    Returns:
        For each layer: `kl` (nats per example, summed over units), `energy` (mean over units)
        and `alive` (share of units), then what its controls report, under "layer/".

    Raises:
        ValueError: if the model has units but there is no term, or a term belongs to no unit.

    Example:
        >>> import vneuron as vn
        >>> model = nn.Sequential(vn.GaussianUnits(3, 2))
        >>> _, terms = vn.Collect(model)(torch.zeros(4, 3))
        >>> sorted(control_step(model, terms).fetch())
        ['0/alive', '0/energy', '0/kl']
    """
    layers = units_by_name(model)
    grouped = _group(terms)
    if layers and not grouped:
        raise ValueError(
            f"no terms were given for the units {sorted(layers)}: run the model inside "
            "vneuron.Collect and pass on the terms that it returns."
        )
    unknown = sorted(grouped.keys() - layers.keys())
    if unknown:
        raise ValueError(
            f"terms {unknown} belong to no unit of this model, which has {sorted(layers)}: pass "
            "the model that vneuron.Collect was built around."
        )
    return Info.merge(
        _step(layers[name], join_terms(group), optimizer, begun.get(name) if begun else None)
        for name, group in grouped.items()
    )


def _step(
    unit: AbstractUnit,
    term: LocalTerm,
    optimizer: Optimizer | None,
    summary: BatchSummary | None,
) -> Info:
    """Statistics first, so that every control sees this step."""
    statistics = unit.statistics
    statistics.update(term, summary)
    own = Info(
        {
            "kl": statistics.kl.sum(),
            "energy": statistics.energy.mean(),
            "alive": alive(statistics.kl).float().mean(),
        }
    )
    infos = [own]
    for control in unit.controls:
        if isinstance(control, AbstractControl):
            infos.append(control.update(statistics))
            control.project(unit)
        if isinstance(control, AbstractScaleControl):
            action = control.rescaling(unit)
            if action is not None:
                rescale(unit, action.factor, action.form, optimizer)
    return Info.merge(infos, prefix=f"{unit.name}/")


def _group(terms: Iterable[LocalTerm]) -> dict[str, list[LocalTerm]]:
    grouped: dict[str, list[LocalTerm]] = {}
    for term in terms:
        grouped.setdefault(term.name, []).append(term)
    return grouped
