"""The control step: the one place where statistics and controls move."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from ..core import AbstractControl, AbstractUnit, Info, LocalTerm, units_of
from ..vitals.measures import alive


@torch.no_grad()
def control_step(model: nn.Module, terms: Iterable[LocalTerm]) -> Info:
    """Update every unit's statistics, then run the controls attached to it.

    Call it once per optimiser step, after the step, with the terms of that step; under gradient
    accumulation with those of all its micro-batches together. A layer's terms are joined along
    the batch, and reduced across processes where `torch.distributed` is initialised. It works
    with no control attached.

    Args:
        model: the model that produced the terms, bare, or inside `Collect` and other wrappers.
        terms: what `Collect` returned.

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
    layers = _layers_by_name(model)
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
    return Info.merge(_step(layers[name], _join(group)) for name, group in grouped.items())


def _step(unit: AbstractUnit, term: LocalTerm) -> Info:
    """Statistics first, so that every control sees this step."""
    statistics = unit.statistics
    statistics.update(term)
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
    return Info.merge(infos, prefix=f"{unit.name}/")


def _layers_by_name(model: nn.Module) -> dict[str, AbstractUnit]:
    layers: dict[str, AbstractUnit] = {}
    for path, unit in units_of(model):
        if unit.name in layers:
            raise ValueError(
                f"two layers of units are named {unit.name!r} (one at {path!r}): wrap the whole "
                "model in vneuron.Collect, which names each by its path."
            )
        layers[unit.name] = unit
    return layers


def _group(terms: Iterable[LocalTerm]) -> dict[str, list[LocalTerm]]:
    grouped: dict[str, list[LocalTerm]] = {}
    for term in terms:
        grouped.setdefault(term.name, []).append(term)
    return grouped


def _join(terms: list[LocalTerm]) -> LocalTerm:
    """One term with the batches of several."""
    first = terms[0]
    if len(terms) == 1:
        return first
    return first._replace(
        kl=torch.cat([term.kl for term in terms]),
        sample=torch.cat([term.sample for term in terms]),
        loc=torch.cat([term.loc for term in terms]),
        scale=torch.cat([term.scale for term in terms]),
    )
