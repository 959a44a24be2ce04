"""What a control of units is: policy in the module, state in its buffers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import NamedTuple

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


class AbstractControl(nn.Module, ABC):
    """Keeps a layer's units within a policy; attached by `unit.controls.append(control)`.

    State is held in buffers of shape [units], so that it is saved, resumed and moved with the
    model. It changes only in `update` and `project`, which `vneuron.control_step` calls once per
    optimiser step, never in a forward pass: recomputation, evaluation and gradient accumulation
    would advance it too. Neither reads from the device (`.item()`).
    """

    @abstractmethod
    def penalty(self, term: LocalTerm) -> Tensor:
        """A differentiable scalar to add to the free energy, in nats per example; 0 for none."""

    @abstractmethod
    def update(self, statistics: UnitStatistics) -> Info:
        """Move the control's own state, given the layer's statistics over all processes."""

    @abstractmethod
    def project(self, unit: AbstractUnit) -> None:
        """Act on the unit, in place and without gradients: its β, its weights, or nothing."""
