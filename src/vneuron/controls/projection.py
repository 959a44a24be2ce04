"""Hard projection: units outside their band are put on its edge."""

from __future__ import annotations

from torch import Tensor

from ..core import Duration, EnergyBounds, ScaleForm
from ..functional.band import FACTOR_CAP, projection_factor
from .band_action import AbstractBandAction


class Projection(AbstractBandAction):
    """Every so often multiplies each out-of-band unit's µ by √(bound / e_j).

    e_j is the running energy, which the action rescales along: afterwards the unit is exactly on
    the bound, and a second projection does nothing, unless the cap on the factor bites. The band
    is that of the first `EnergyBand` of quantity "energy" attached to the unit.

    Args:
        units: number of units.
        every: between actions: steps, a fraction of the run, or a `Span`.
        form: "raw" (the papers'), "mean" or "gauge": see `vneuron.rescale`.
        cap: largest factor, and one over the smallest.

    Attributes:
        factor: the last action's factors, [units].

    Raises:
        ValueError: if `every` is out of range, the form unknown or the cap below 1.

    Example:
        >>> import torch, vneuron as vn
        >>> layer = vn.GaussianUnits(3, 4)
        >>> layer.controls.extend([vn.EnergyBand(4, target=0.05), Projection(4, every=1)])
        ModuleList(...)
        >>> _, terms = vn.Collect(layer)(torch.randn(64, 3))
        >>> info = vn.control_step(layer, terms)
        >>> bool((layer.statistics.energy < 0.0801).all())   # 1.6 × .05
        True
    """

    LABEL = "projection"

    def __init__(
        self,
        units: int,
        every: Duration = 64,
        form: ScaleForm = "raw",
        cap: float = FACTOR_CAP,
    ) -> None:
        super().__init__(units, every, form)
        if not cap >= 1.0:
            raise ValueError(f"cap is {cap}, expected at least 1.")
        self.cap = cap

    def factors(self, energy: Tensor, bounds: EnergyBounds) -> Tensor:
        """Exactly to the nearer bound, up to the cap."""
        return projection_factor(energy, bounds.low, bounds.high, self.cap)

    def extra_repr(self) -> str:
        """Interval, form and cap, for `repr`."""
        return f"every={self.every}, form={self.form!r}, cap={self.cap}"
