"""Band calibration: the band follows where the units are."""

from __future__ import annotations

import torch
from torch import Tensor

from ..core import (
    AbstractControl,
    AbstractUnit,
    Clock,
    Duration,
    Info,
    LocalTerm,
    Span,
    UnitStatistics,
    check_duration,
)
from .energy_band import EnergyBand

EVERY = Span(64, 0.1)
MEMORY = 0.7
DOWN = 1.10
UP = 1.02
GAP = 1.05
"""The band keeps at least this ratio between its bounds."""


class BandCalibration(AbstractControl):
    """Moves the bounds of a layer's `EnergyBand` by two common factors, towards the units.

    Every 64 steps, or tenth of a run if that is shorter, the factor of the lower bounds follows
    the 20% quantile of e_j / lo_j, that of the upper ones the 90% quantile of e_j / hi_j: a
    running mean in log space (.7), falling by at most 1.10 and rising by at most 1.02 each time.
    Attach it after the band. It chases µ² (scales from 1 to 3 over a run of the papers), so
    "inside" means less and less: the band, and `vneuron.health`, report against the original
    bounds too.

    Args:
        units: number of units.
        every: between calibrations: steps, a fraction of the run, or a `Span`.
        quantile_low: of e/lo.
        quantile_high: of e/hi.

    Attributes:
        low_scale: factor of the lower bounds as last set, scalar.
        high_scale: of the upper bounds.

    Raises:
        ValueError: if a quantile is not between 0 and 1.

    Example:
        >>> import vneuron as vn
        >>> layer = vn.GaussianUnits(3, 4)
        >>> layer.controls.extend([vn.EnergyBand(4), BandCalibration(4, every=1)])
        ModuleList(...)
        >>> _, terms = vn.Collect(layer)(torch.ones(8, 3))
        >>> info = vn.control_step(layer, terms)
        >>> bool(((layer.controls[0].high_scale - 1.0).abs() > 0.01).all())
        True
    """

    low_scale: Tensor
    high_scale: Tensor

    def __init__(
        self,
        units: int,
        every: Duration = EVERY,
        quantile_low: float = 0.2,
        quantile_high: float = 0.9,
    ) -> None:
        super().__init__()
        check_duration("every", every)
        for label, value in (("quantile_low", quantile_low), ("quantile_high", quantile_high)):
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{label} is {value}, expected a number from 0 to 1.")
        self.every = every
        self.quantile_low = quantile_low
        self.quantile_high = quantile_high
        self.clock = Clock()
        for name in ("low_scale", "high_scale"):
            self.register_buffer(name, torch.ones(()))
        self.units = units
        self._due = False

    def penalty(self, term: LocalTerm) -> float:
        """Nothing: the band has its own."""
        return 0.0

    def update(self, statistics: UnitStatistics) -> Info:
        """Count the step; the scales reported are those of the last calibration."""
        step = self.clock.tick()
        self._due = self.clock.due(step, self.every)
        return Info({"band_low_scale": self.low_scale, "band_high_scale": self.high_scale})

    def project(self, unit: AbstractUnit) -> None:
        """Move the scales of the unit's band, where it is time.

        Raises:
            ValueError: if the unit has no `EnergyBand` of quantity "energy".
        """
        bands = (c for c in unit.controls if isinstance(c, EnergyBand) and c.quantity == "energy")
        band = next(bands, None)
        if band is None:
            raise ValueError(
                f"unit {unit.name!r} has no EnergyBand of energy to calibrate: append one to its "
                "controls."
            )
        if not self._due:
            return
        energy, bounds = unit.statistics.energy, band.bounds()
        low = _follow(band.low_scale, energy / bounds.low, self.quantile_low)
        high = _follow(band.high_scale, energy / bounds.high, self.quantile_high)
        band.low_scale.copy_(low)
        band.high_scale.copy_(torch.maximum(high, low * (GAP * band.low / band.high)))
        self.low_scale.copy_(band.low_scale)
        self.high_scale.copy_(band.high_scale)

    def extra_repr(self) -> str:
        """Interval and quantiles, for `repr`."""
        return f"every={self.every}, quantiles=({self.quantile_low}, {self.quantile_high})"


def _follow(scale: Tensor, ratio: Tensor, quantile: float) -> Tensor:
    """A step of the scale in log space towards where the quantile of e over bound would be 1."""
    step = torch.quantile(ratio, quantile).clamp_min(1e-12).pow(1.0 - MEMORY)
    return scale * step.clamp(1.0 / DOWN, UP)
