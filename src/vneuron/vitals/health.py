"""The health of a model: every unit's vitals and verdict, and whether the run is sick."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from ..core import units_of
from .layer import layer_columns
from .verdict import Thresholds, Verdict

if TYPE_CHECKING:
    import pandas as pd

SICK_SHARE = 0.1
WORST = 3


@dataclass(frozen=True)
class LayerHealth:
    """What was found on one layer.

    Attributes:
        name: the layer's path.
        units: number of units.
        counts: number of units by verdict.
        band: share of units "below", "inside" and "above" their energy band; {} without one.
        original_band: the same against the band before calibration.
        worst: a sentence on each of up to three units at fault, in the taxonomy's order.
        reason: why the layer is sick, and what to try; empty where it is not.
    """

    name: str
    units: int
    counts: dict[str, int]
    band: dict[str, float]
    original_band: dict[str, float]
    worst: tuple[str, ...]
    reason: str

    @property
    def ok(self) -> bool:
        """Whether the layer is not sick."""
        return not self.reason


@dataclass(frozen=True, eq=False)
class Health:
    """What `health` found.

    Attributes:
        units: a frame with one row per unit: layer, unit; kl, rate (nats); energy (µ²),
            generalised_energy, loc_variance (Var µ, summed over k); scale_mean (σ, geometric mean
            over inputs and k), scale_min and scale_max (of the last batch), contraction (σ over
            the prior's); beta; use and dynamic_use (nats per window), outcome_information (nats);
            persistence and scale_persistence (correlation of µ and ln σ with the window before),
            innovation (nats told beyond it), phi (what the prior expects of it), transition_share
            (of the KL), drift (nats, since `mark_reference`); alive_share, alive (KL), alive_energy
            (µ²), active; band_low, band_high and band ("below", "inside", "above"), and the same
            before calibration with original_; verdict and cure.
        counts: number of units by verdict.
        ok: whether no layer is sick.
        reasons: one sentence for each sick layer.
        layers: what was found on each layer.
        latent_share: parts of the forecasts that z carries, by name, where whoever asked knows
            them (`vneuron.forecasting`); None elsewhere.
    """

    units: pd.DataFrame
    counts: dict[str, int]
    ok: bool
    reasons: tuple[str, ...]
    layers: tuple[LayerHealth, ...] = ()
    latent_share: Mapping[str, float] | None = None

    def __str__(self) -> str:
        found = ", ".join(f"{n} {verdict}" for verdict, n in self.counts.items())
        lines = [f"{'ok' if self.ok else 'sick'}: {found}", *self.reasons]
        if self.latent_share is not None:
            lines.append(
                "z carries {variance:.0%} of the predictive variance and {likelihood:.0%} of the "
                "likelihood of held-out windows".format(**self.latent_share)
            )
        return "\n".join(lines)


def health(model: nn.Module, thresholds: Thresholds | None = None) -> Health:
    """Judge every unit of a model from the statistics that `control_step` keeps.

    A layer is sick when faults (every verdict above "static" in the taxonomy of
    `vneuron.vitals.judge`) together hold for more than a tenth of its units. Whether a unit is
    *used* takes held-out outcomes, which a trainer measures, or `vneuron.measure_use`; until then
    no unit is called living, static or ignored. Deterministic units are left out. This reads from
    the device, so it belongs at validation and not in a training step.

    Args:
        model: any module with units inside, bare or wrapped.
        thresholds: where a measure counts as zero; None for the defaults.

    Returns:
        The vitals, their counts, and the conclusion.

    Raises:
        ValueError: if there is no unit to judge.

    Example:
        >>> import torch, vneuron as vn
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
    limits = Thresholds() if thresholds is None else thresholds
    frames = [pd.DataFrame(layer_columns(unit, limits)) for unit in layers]
    found = tuple(
        _judge_layer(unit.name, frame) for unit, frame in zip(layers, frames, strict=True)
    )
    units = pd.concat(frames, ignore_index=True)
    reasons = tuple(layer.reason for layer in found if layer.reason)
    return Health(
        units=units,
        counts=_counts(list(units["verdict"])),
        ok=not reasons,
        reasons=reasons,
        layers=found,
    )


def _judge_layer(name: str, frame: pd.DataFrame) -> LayerHealth:
    rows = frame.to_dict("records")
    order = list(Verdict)
    faulty = [row for row in rows if Verdict(row["verdict"]).fault]
    faulty.sort(key=lambda row: order.index(Verdict(row["verdict"])))
    sick = len(faulty) > SICK_SHARE * len(rows)
    return LayerHealth(
        name=name,
        units=len(rows),
        counts=_counts(list(frame["verdict"])),
        band=_shares(list(frame["band"])),
        original_band=_shares(list(frame["original_band"])),
        worst=tuple(_sentence(row) for row in faulty[:WORST]),
        reason=_reason(name, [str(row["verdict"]) for row in faulty], len(rows)) if sick else "",
    )


def _counts(verdicts: list[str]) -> dict[str, int]:
    found = Counter(verdicts)
    return {v.value: found[v.value] for v in Verdict if v.value in found}


def _shares(positions: list[str]) -> dict[str, float]:
    if not any(positions):
        return {}
    found = Counter(positions)
    return {name: found[name] / len(positions) for name in ("below", "inside", "above")}


def _sentence(row: Mapping[Any, Any]) -> str:
    """One unit at fault, with the numbers that its verdict rests on."""
    numbers = ", ".join(
        f"{label} {row[name]:.3g}"
        for label, name in (
            ("KL", "kl"),
            ("rate", "rate"),
            ("energy", "energy"),
            ("σ", "scale_mean"),
            ("use", "use"),
            ("persistence", "persistence"),
            ("innovation", "innovation"),
        )
        if row[name] == row[name]  # NaN: not measured
    )
    return f"unit {row['unit']} is {row['verdict']} ({numbers}): try {row['cure']}"


def _reason(layer: str, faults: list[str], units: int) -> str:
    """Why a layer is sick, and what to try about its commonest fault."""
    counts = Counter(faults).most_common()
    found = ", ".join(f"{n} {verdict}" for verdict, n in counts)
    cure = Verdict(counts[0][0]).cure
    return f"layer {layer!r}: {len(faults)} of {units} units at fault ({found}); try {cure}"
