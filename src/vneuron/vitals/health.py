"""The health of a model: every unit's vitals and verdict, and whether the run is sick."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..core import AbstractPrior, AbstractUnit, units_of
from . import measures
from .verdict import Thresholds, UnitVitals, Verdict, judge

if TYPE_CHECKING:
    import pandas as pd

SICK_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class Health:
    """What `health` found.

    Attributes:
        units: a frame with one row per unit: layer, unit, kl (nats), energy (µ²), rate (nats),
            loc_variance (Var µ, summed over k), scale_mean (σ, geometric mean over inputs and k),
            contraction (σ over the prior's), beta, use and dynamic_use (nats per window),
            outcome_information (nats), alive, active, verdict.
        counts: number of units by verdict.
        ok: whether no layer is sick.
        reasons: one sentence for each sick layer.
    """

    units: pd.DataFrame
    counts: dict[str, int]
    ok: bool
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        found = ", ".join(f"{n} {verdict}" for verdict, n in self.counts.items())
        return "\n".join([f"{'ok' if self.ok else 'sick'}: {found}", *self.reasons])


def health(model: nn.Module, thresholds: Thresholds | None = None) -> Health:
    """Judge every unit of a model from the statistics that `control_step` keeps.

    A layer is sick when faults (dead, constant, ignored) together hold for more than a tenth of
    its units. Whether a unit is *used* takes held-out outcomes, which a trainer measures; until
    then no unit is called living, static or ignored. Deterministic units are left out. This
    reads from the device, so it belongs at validation and not in a training step.

    Args:
        model: any module with units inside, bare or wrapped.
        thresholds: where a measure counts as zero; None for the defaults.

    Returns:
        The vitals, their counts, and the conclusion.

    Raises:
        ValueError: if there is no unit to judge.

    Example:
        >>> import vneuron as vn
        >>> model = nn.Sequential(vn.GaussianUnits(3, 4))
        >>> _, terms = vn.Collect(model)(torch.randn(64, 3))
        >>> _ = vn.control_step(model, terms)
        >>> health(model).counts
        {'unknown': 4}
    """
    import pandas as pd  # costs half a second; only who asks for a frame pays

    layers = [unit for _, unit in units_of(model) if unit.variational]
    if not layers:
        raise ValueError(
            f"{type(model).__name__} holds no variational unit, expected at least one, such as "
            "vneuron.GaussianUnits: a deterministic model has no posterior to judge."
        )
    frames = [pd.DataFrame(_columns(unit, thresholds)) for unit in layers]
    units = pd.concat(frames, ignore_index=True)
    found = Counter(units["verdict"])
    reasons = tuple(
        reason
        for unit, frame in zip(layers, frames, strict=True)
        if (reason := _reason(unit.name, list(frame["verdict"])))
    )
    return Health(
        units=units,
        counts={v.value: found[v.value] for v in Verdict if v.value in found},
        ok=not reasons,
        reasons=reasons,
    )


@torch.no_grad()
def _columns(unit: AbstractUnit, thresholds: Thresholds | None) -> dict[str, object]:
    """The columns of a layer's part of the frame."""
    statistics = unit.statistics
    variance = statistics.loc_variance()
    numbers = {
        "kl": statistics.kl,
        "energy": statistics.energy,
        "rate": statistics.rate(),
        "loc_variance": variance.sum(-1),
        "scale_mean": measures.contraction(statistics.log_scale),
        "contraction": measures.contraction(statistics.log_scale, _prior_scale(unit)),
        "beta": unit.beta,
        "use": statistics.use,
        "dynamic_use": statistics.dynamic_use,
        "outcome_information": statistics.outcome_information,
        "alive": measures.alive(statistics.kl),
        "active": measures.active(variance),
    }
    columns: dict[str, object] = {"layer": unit.name, "unit": range(unit.units)}
    columns |= {name: value.tolist() for name, value in numbers.items()}
    columns["verdict"] = _verdicts(unit, thresholds)
    return columns


def _verdicts(unit: AbstractUnit, thresholds: Thresholds | None) -> list[str]:
    statistics = unit.statistics
    if int(statistics.updates) == 0:
        return [Verdict.UNKNOWN.value] * unit.units
    rows = torch.stack(
        [statistics.kl, statistics.rate(), statistics.use, statistics.dynamic_use], dim=-1
    )
    return [judge(UnitVitals(*row), thresholds).value for row in rows.tolist()]


def _prior_scale(unit: AbstractUnit) -> torch.Tensor | float:
    prior = getattr(unit, "prior", None)
    return prior.moments()[1] if isinstance(prior, AbstractPrior) else 1.0


def _reason(layer: str, verdicts: list[str]) -> str:
    """Why a layer is sick; empty where it is not."""
    faults = Counter(verdict for verdict in verdicts if Verdict(verdict).fault)
    if faults.total() <= SICK_SHARE * len(verdicts):
        return ""
    found = ", ".join(f"{n} {verdict}" for verdict, n in faults.most_common())
    return f"layer {layer!r}: {faults.total()} of {len(verdicts)} units at fault ({found})"
