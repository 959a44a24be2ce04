"""What a control of units is: policy in the module, state in its buffers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Literal, NamedTuple, Protocol, TypeAlias, get_args, runtime_checkable

import torch
from torch import Tensor, nn

from .ledger import LocalTerm
from .statistics import UnitStatistics
from .unit import AbstractUnit


class Info(NamedTuple):
    """What a step found and did, for logging; nothing depends on it.

    Attributes:
        values: detached scalar tensors by name, still on their device.

    Example:
        >>> Info({"layer/kl": torch.tensor(0.5)}).fetch()
        {'layer/kl': 0.5}
    """

    values: dict[str, Tensor]

    def fetch(self) -> dict[str, float]:
        """All values as numbers, by a single read from the device."""
        if not self.values:
            return {}
        stacked = torch.stack([value.detach().float() for value in self.values.values()])
        return dict(zip(self.values, stacked.tolist(), strict=True))

    @staticmethod
    def merge(infos: Iterable[Info], prefix: str = "") -> Info:
        """One info with the values of several, each name after `prefix`."""
        return Info({prefix + name: v for info in infos for name, v in info.values.items()})


ScaleForm: TypeAlias = Literal["raw", "mean", "gauge"]


def check_form(form: str) -> None:
    """Refuse a form of scale action that does not exist.

    Raises:
        ValueError: naming the choices.

    Example:
        >>> check_form("mean")
    """
    if form not in get_args(ScaleForm):
        raise ValueError(f"form is {form!r}, expected one of {get_args(ScaleForm)}.")


class Rescaling(NamedTuple):
    """A scale action that a control asks for.

    Attributes:
        factor: c, [units], positive; 1 leaves a unit alone.
        form: what it preserves, see `vneuron.rescale`.
    """

    factor: Tensor
    form: ScaleForm


class EnergyBounds(NamedTuple):
    """The band that a layer's µ² is to stay in, [units] each.

    Attributes:
        low: lower bound as it is now.
        high: upper bound as it is now.
        original_low: lower bound before any calibration.
        original_high: upper bound before any calibration.
    """

    low: Tensor
    high: Tensor
    original_low: Tensor
    original_high: Tensor


@runtime_checkable
class HasBounds(Protocol):
    """A control that knows the band of some quantity."""

    quantity: str

    def bounds(self) -> EnergyBounds:
        """The band."""


class AbstractControl(nn.Module, ABC):
    """Keeps a layer's units within a policy; attached by `unit.controls.append(control)`.

    State is held in buffers of shape [units], so that it is saved, resumed and moved with the
    model. It changes only in `update` and `project`, which `vneuron.control_step` calls once per
    optimiser step, never in a forward pass: recomputation, evaluation and gradient accumulation
    would advance it too. Neither reads from the device (`.item()`).
    """

    @abstractmethod
    def penalty(self, term: LocalTerm) -> Tensor | float:
        """A differentiable scalar to add to the free energy, in nats per example; 0.0 for none."""

    @abstractmethod
    def update(self, statistics: UnitStatistics) -> Info:
        """Move the control's own state, given the layer's statistics over all processes."""

    @abstractmethod
    def project(self, unit: AbstractUnit) -> None:
        """Act on the unit, in place and without gradients: its β, its weights, or nothing."""


class AbstractScaleControl(AbstractControl):
    """A control that acts by rescaling units.

    It says which factor and which form; `vneuron.control_step` carries the action out after
    `project`, on weights, declared readers, optimiser moments and running statistics alike.
    """

    @abstractmethod
    def rescaling(self, unit: AbstractUnit) -> Rescaling | None:
        """The action that is due now, None if none is.

        Whether one is due must follow from what is known on the host (see `Clock`), or every step
        would wait for the device.
        """


def bounds_of(unit: AbstractUnit) -> EnergyBounds | None:
    """The band of µ² of the first control attached to a unit that has one.

    Example:
        >>> import vneuron as vn
        >>> bounds_of(vn.GaussianUnits(3, 2)) is None
        True
    """
    band = band_of(unit)
    return None if band is None else band.bounds()


def band_of(unit: AbstractUnit) -> HasBounds | None:
    """That control itself.

    Example:
        >>> import vneuron as vn
        >>> band_of(vn.GaussianUnits(3, 2)) is None
        True
    """
    for control in unit.controls:
        # The class is asked first: isinstance with a protocol takes 7 µs, for each at every step.
        if not hasattr(type(control), "bounds"):
            continue
        if isinstance(control, HasBounds) and control.quantity == "energy":
            return control
    return None
