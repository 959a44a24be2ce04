"""Homeostasis: the soft form of projection, a little at a time."""

from __future__ import annotations

from torch import Tensor

from ..core import Duration, EnergyBounds, ScaleForm
from ..functional.band import homeostasis_factor
from .band_action import AbstractBandAction

RATE_CEILING = 0.5


class Homeostasis(AbstractBandAction):
    """Every few steps multiplies each unit's µ by (√(lo_j hi_j) / e_j)^(η/2).

    η = rate · (1 + 2 · share of units out of band), at most .5; the factor is limited for each
    action. Within the band η is `inside` of that: a nudge to the band's geometric centre, or
    nothing. Out of band each action brings a unit closer, and none beyond the centre. The band is
    that of the first `EnergyBand` of quantity "energy" attached to the unit.

    Args:
        units: number of units.
        every: between actions: steps, a fraction of the run, or a `Span`.
        form: "raw" (the papers'), "mean" or "gauge": see `vneuron.rescale`.
        rate: η with all units in band.
        inside: share of η for units within the band; 0 leaves them alone.
        limit: largest factor of one action.

    Attributes:
        factor: the last action's factors, [units].

    Raises:
        ValueError: if a number is out of range, or the form is unknown.

    Example:
        >>> import torch, vneuron as vn
        >>> layer = vn.GaussianUnits(3, 4)
        >>> layer.controls.extend([vn.EnergyBand(4, target=0.01), Homeostasis(4, every=1)])
        ModuleList(...)
        >>> model, x = vn.Collect(layer), torch.randn(64, 3)
        >>> for _ in range(20):
        ...     info = vn.control_step(layer, model(x)[1])
        >>> bool((layer.statistics.energy < 0.02).all())
        True
    """

    LABEL = "homeostasis"

    def __init__(
        self,
        units: int,
        every: Duration = 5,
        form: ScaleForm = "raw",
        rate: float = 0.15,
        inside: float = 0.25,
        limit: float = 1.25,
    ) -> None:
        super().__init__(units, every, form)
        if not 0.0 < rate <= RATE_CEILING:
            raise ValueError(f"rate is {rate}, expected above 0 and at most {RATE_CEILING}.")
        if not 0.0 <= inside <= 1.0:
            raise ValueError(f"inside is {inside}, expected a share from 0 to 1.")
        if not limit > 1.0:
            raise ValueError(f"limit is {limit}, expected above 1.")
        self.rate = rate
        self.inside = inside
        self.limit = limit

    def factors(self, energy: Tensor, bounds: EnergyBounds) -> Tensor:
        """A little towards the band, or within it towards its centre."""
        outside = ((energy < bounds.low) | (energy > bounds.high)).float().mean()
        rate = (self.rate * (1.0 + 2.0 * outside)).clamp_max(RATE_CEILING)
        return homeostasis_factor(energy, bounds.low, bounds.high, rate, self.inside, self.limit)

    def extra_repr(self) -> str:
        """Interval, form and rates, for `repr`."""
        return f"every={self.every}, form={self.form!r}, rate={self.rate}, inside={self.inside}"
