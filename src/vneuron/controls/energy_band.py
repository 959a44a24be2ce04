"""The energy band: a price on µ² outside of bounds of each unit's own."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from ..core import (
    AbstractControl,
    AbstractUnit,
    Clock,
    Duration,
    EnergyBounds,
    Info,
    LocalTerm,
    Span,
    UnitStatistics,
    check_duration,
)
from ..functional.band import hinge, log_spaced

BandForm: TypeAlias = Literal["absolute", "relative"]
Quantity: TypeAlias = Literal["energy", "variance"]

FOCUS_SHARE = 0.35
FOCUS_WEIGHT = 0.3
WARMUP = Span(128, 0.1)
RAMP = Span(96, 0.1)


class EnergyBand(AbstractControl):
    """Keeps each unit's energy e_j = E µ_j² in [low, high] × t_j, softly, by a penalty.

    weight · mean_j [ w_below (lo_j − e_j)₊² + w_above (e_j − hi_j)₊² ], absolute, or with the
    differences relative to lo_j and hi_j. Targets t_j are all `target`, or log-spaced over
    target × [1/spread, spread]. While more than 35% of the units sit below their band, w_above
    falls to .3 of itself, so that the many below are lifted first. The weight is 0 during the
    warm-up, then rises linearly.

    The penalty is taken to first order around the running energies of all processes: a hinge of
    one batch's noisy energies would be biased, and differ from process to process.

    Args:
        units: number of units.
        target: t, µ² per latent dimension.
        spread: 1 for equal targets; the papers' heterogeneous ones have 8.
        low: lower bound in targets.
        high: upper bound in targets.
        form: "absolute" or "relative".
        quantity: "energy", or "variance" for a band on Var µ over inputs, against units that say
            the same whatever they are given. Projection and homeostasis follow energy bands alone.
        weight: λ, nats per example and squared energy (squared relative energy).
        weight_below: of the lower side.
        weight_above: of the upper side.
        warmup: without penalty: steps (int), a fraction of the run (float), or a `Span`.
        ramp: length of the rise.

    Attributes:
        targets: t_j, [units].
        low_scale: what calibration multiplies lower bounds by, scalar.
        high_scale: the same for upper bounds.
        strength: share of the weight that is in force, scalar.

    Raises:
        ValueError: if a number is out of range, or the form is unknown.

    Example:
        >>> band = EnergyBand(3, target=0.05, spread=4.0)
        >>> band.bounds().low
        tensor([0.0100, 0.0400, 0.1600])
    """

    targets: Tensor
    low_scale: Tensor
    high_scale: Tensor
    strength: Tensor
    start: Tensor
    slope: Tensor
    price: Tensor

    def __init__(
        self,
        units: int,
        target: float = 0.05,
        spread: float = 1.0,
        low: float = 0.8,
        high: float = 1.6,
        form: BandForm = "absolute",
        quantity: Quantity = "energy",
        weight: float = 2.0,
        weight_below: float = 1.0,
        weight_above: float = 1.0,
        warmup: Duration = WARMUP,
        ramp: Duration = RAMP,
    ) -> None:
        super().__init__()
        _check(target, spread, low, high, form, quantity)
        check_duration("warmup", warmup)
        check_duration("ramp", ramp)
        for label, value in (("", weight), ("_below", weight_below), ("_above", weight_above)):
            if value < 0.0:
                raise ValueError(f"weight{label} is {value}, expected at least 0.")
        self.low = low
        self.high = high
        self.form: BandForm = form
        self.quantity: str = quantity
        self.weight = weight
        self.weight_below = weight_below
        self.weight_above = weight_above
        self.warmup = warmup
        self.ramp = ramp
        self.clock = Clock()
        self.register_buffer("targets", log_spaced(target, spread, units))
        for name in ("low_scale", "high_scale"):
            self.register_buffer(name, torch.ones(()))
        for name in ("strength", "price", "start"):
            self.register_buffer(name, torch.zeros(()))
        self.register_buffer("slope", torch.zeros(units))

    def bounds(self) -> EnergyBounds:
        """The band as it is now, and as it was set."""
        low, high = self.low * self.targets, self.high * self.targets
        return EnergyBounds(low * self.low_scale, high * self.high_scale, low, high)

    def penalty(self, term: LocalTerm) -> Tensor:
        """The expansion around the running energies, start + Σ_j slope_j e_j, e_j this batch's."""
        if self.quantity == "variance":
            energy = term.loc.var(0, correction=0).mean(-1)
        else:
            energy = term.loc.square().mean((0, 2))
        return (self.start + self.slope @ energy).to(term.kl.dtype)

    def update(self, statistics: UnitStatistics) -> Info:
        """Expand the penalty around the running energies."""
        step = self.clock.tick()
        self.strength.fill_(self.clock.ramp(step, self.warmup, self.ramp))
        bounds, energy = self.bounds(), statistics.energy
        if self.quantity == "variance":
            energy = statistics.loc_variance().mean(-1)
        below, inside, above, original = _shares(energy, bounds)
        focus = below > FOCUS_SHARE
        weight_above = self.weight_above * torch.where(focus, FOCUS_WEIGHT, 1.0)
        factor = self.strength * (self.weight / energy.shape[0])
        prices = factor * self.weight_below, factor * weight_above
        if self.form == "relative":
            prices = prices[0] / bounds.low.square(), prices[1] / bounds.high.square()
        found = hinge(energy, bounds.low, bounds.high, *prices)
        self.slope.copy_(found.slope)
        self.price.copy_(found.price.sum())
        self.start.copy_(self.price - found.slope @ energy)
        return Info(
            {
                "band_below": below,
                "band_inside": inside,
                "band_above": above,
                "band_inside_original": original,
                "band_price": self.price,
            }
        )

    def project(self, unit: AbstractUnit) -> None:
        """Nothing: the band acts through its penalty."""

    def extra_repr(self) -> str:
        """Bounds and form, for `repr`."""
        return (
            f"low={self.low}, high={self.high}, form={self.form!r}, quantity={self.quantity!r}, "
            f"weight={self.weight}"
        )


def _shares(energy: Tensor, bounds: EnergyBounds) -> tuple[Tensor, ...]:
    """Share of units below, inside and above the band, and inside the one that was set."""
    below, above = energy < bounds.low, energy > bounds.high
    inside = (energy >= bounds.original_low) & (energy <= bounds.original_high)
    return torch.stack([below, ~(below | above), above, inside]).float().mean(-1).unbind()


def _check(target: float, spread: float, low: float, high: float, form: str, quantity: str) -> None:
    if not target > 0.0:
        raise ValueError(f"target is {target}, expected a positive energy.")
    if not spread >= 1.0:
        raise ValueError(f"spread is {spread}, expected at least 1 (equal targets).")
    if not 0.0 < low < high:
        raise ValueError(f"the band is [{low}, {high}] targets, expected 0 < low < high.")
    if form not in get_args(BandForm):
        raise ValueError(f"form is {form!r}, expected one of {get_args(BandForm)}.")
    if quantity not in get_args(Quantity):
        raise ValueError(f"quantity is {quantity!r}, expected one of {get_args(Quantity)}.")
