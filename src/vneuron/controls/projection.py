"""Hard projection: units outside their band are put on its edge."""

from __future__ import annotations

import torch
from torch import Tensor

from ..core import (
    AbstractScaleControl,
    AbstractUnit,
    Clock,
    Duration,
    Info,
    LocalTerm,
    Rescaling,
    ScaleForm,
    UnitStatistics,
    bounds_of,
    check_duration,
    check_form,
)
from ..functional.band import FACTOR_CAP, projection_factor


class Projection(AbstractScaleControl):
    """Every so often multiplies each out-of-band unit's µ by √(bound / e_j).

    e_j is the running energy, which the action rescales along: afterwards the unit is exactly on
    the bound, and a second projection does nothing, unless the cap on the factor bites. The band
    is that of the first `EnergyBand` attached to the unit.

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
        >>> import vneuron as vn
        >>> layer = vn.GaussianUnits(3, 4)
        >>> layer.controls.extend([vn.EnergyBand(4, target=0.05), Projection(4, every=1)])
        ModuleList(...)
        >>> _, terms = vn.Collect(layer)(torch.randn(64, 3))
        >>> info = vn.control_step(layer, terms)
        >>> bool((layer.statistics.energy < 0.0801).all())   # 1.6 × .05
        True
    """

    factor: Tensor

    def __init__(
        self,
        units: int,
        every: Duration = 64,
        form: ScaleForm = "raw",
        cap: float = FACTOR_CAP,
    ) -> None:
        super().__init__()
        check_duration("every", every)
        check_form(form)
        if not cap >= 1.0:
            raise ValueError(f"cap is {cap}, expected at least 1.")
        self.every = every
        self.form: ScaleForm = form
        self.cap = cap
        self.clock = Clock()
        self.register_buffer("factor", torch.ones(units))
        self._due = False

    def penalty(self, term: LocalTerm) -> Tensor:
        """Nothing: projection acts on weights."""
        return term.kl.new_zeros(())

    def update(self, statistics: UnitStatistics) -> Info:
        """Count the step; what is reported is the last action."""
        self._due = self.clock.due(self.clock.tick(), self.every)
        moved = self.factor.log().abs().mean()
        return Info({"projection_log_factor": moved})

    def project(self, unit: AbstractUnit) -> None:
        """Nothing here: the action is a `rescaling`."""

    def rescaling(self, unit: AbstractUnit) -> Rescaling | None:
        """The factors that put each unit in its band, where it is time.

        Raises:
            ValueError: if the unit has no band.
        """
        bounds = bounds_of(unit)
        if bounds is None:
            raise ValueError(
                f"unit {unit.name!r} has no band to project into: append an EnergyBand to its "
                "controls first."
            )
        if not self._due:
            return None
        factor = projection_factor(unit.statistics.energy, bounds.low, bounds.high, self.cap)
        self.factor.copy_(factor)
        return Rescaling(factor, self.form)

    def extra_repr(self) -> str:
        """Interval, form and cap, for `repr`."""
        return f"every={self.every}, form={self.form!r}, cap={self.cap}"
