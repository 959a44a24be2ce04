"""What actions that bring units back to their band share: when they act, and on which band."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from ..core import (
    AbstractScaleControl,
    AbstractUnit,
    Clock,
    Duration,
    EnergyBounds,
    Info,
    LocalTerm,
    Rescaling,
    ScaleForm,
    UnitStatistics,
    band_of,
    check_duration,
    check_form,
)


class AbstractBandAction(AbstractScaleControl):
    """Every so often rescales units by their running energy and the band they should be in.

    The band is that of the first `EnergyBand` of quantity "energy" attached to the unit.

    Args:
        units: number of units.
        every: between actions: steps, a fraction of the run, or a `Span`.
        form: "raw" (the papers'), "mean" or "gauge": see `vneuron.rescale`.

    Attributes:
        factor: the last action's factors, [units].

    Raises:
        ValueError: if `every` is out of range, or the form is unknown.
    """

    LABEL: ClassVar[str]
    """What the action is called in logs."""

    factor: Tensor
    log_factor: Tensor

    def __init__(self, units: int, every: Duration, form: ScaleForm) -> None:
        super().__init__()
        check_duration("every", every)
        check_form(form)
        self.every = every
        self.form: ScaleForm = form
        self.clock = Clock()
        self.register_buffer("factor", torch.ones(units))
        self.register_buffer("log_factor", torch.zeros(()))
        self._due = False

    @abstractmethod
    def factors(self, energy: Tensor, bounds: EnergyBounds) -> Tensor:
        """By what µ is multiplied, [units]; 1 leaves a unit alone.

        Args:
            energy: running µ², [units].
            bounds: the band.
        """

    def penalty(self, term: LocalTerm) -> float:
        """Nothing: the action is on weights."""
        return 0.0

    def update(self, statistics: UnitStatistics) -> Info:
        """Count the step; what is reported is the last action."""
        self._due = self.clock.due(self.clock.tick(), self.every)
        return Info({f"{self.LABEL}_log_factor": self.log_factor})

    def project(self, unit: AbstractUnit) -> None:
        """Nothing here: the action is a `rescaling`."""

    def rescaling(self, unit: AbstractUnit) -> Rescaling | None:
        """The factors of this action, where it is time.

        Raises:
            ValueError: if the unit has no band.
        """
        band = band_of(unit)
        if band is None:
            raise ValueError(
                f"unit {unit.name!r} has no band to be kept in: append an EnergyBand to its "
                "controls first."
            )
        if not self._due:
            return None
        factor = self.factors(unit.statistics.energy, band.bounds())
        self.factor.copy_(factor)
        self.log_factor.copy_(factor.log().abs().mean())
        return Rescaling(factor, self.form)
