"""The kit catches controls that break their contract."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import vneuron as vn
from vneuron.testing import check_control


class Budget(vn.AbstractControl):
    """A small but whole control: β follows the running KL towards a bound."""

    log_beta: Tensor

    def __init__(self, units: int, bound: float = 0.3) -> None:
        super().__init__()
        self.bound = bound
        self.register_buffer("log_beta", torch.zeros(units))

    def penalty(self, term: vn.LocalTerm) -> Tensor:
        return (term.kl - self.bound).clamp_min(0).square().mean()

    def update(self, statistics: vn.UnitStatistics) -> vn.Info:
        self.log_beta.add_(statistics.kl - self.bound)
        return vn.Info({"beta": self.log_beta.exp().mean()})

    def project(self, unit: vn.AbstractUnit) -> None:
        unit.beta.copy_(self.log_beta.exp())


class VectorPenalty(Budget):
    def penalty(self, term: vn.LocalTerm) -> Tensor:
        return term.kl.mean(0)


class MovingPenalty(Budget):
    def penalty(self, term: vn.LocalTerm) -> Tensor:
        self.log_beta.add_(1.0)
        return super().penalty(term)


class FloatState(Budget):
    def __init__(self, units: int) -> None:
        super().__init__(units)
        self.count = 0.0

    def update(self, statistics: vn.UnitStatistics) -> vn.Info:
        self.count += 1.0
        self.log_beta.add_(self.count)
        return vn.Info({})


class Unsaved(Budget):
    def __init__(self, units: int) -> None:
        super().__init__(units)
        self.register_buffer("scratch", torch.zeros(units), persistent=False)


class Diverging(Budget):
    def project(self, unit: vn.AbstractUnit) -> None:
        unit.beta.mul_(torch.inf)


class NoInfo(Budget):
    def update(self, statistics: vn.UnitStatistics) -> Any:
        return {}


def check(control: Any) -> None:
    check_control(lambda unit: control(unit.units), lambda: vn.GaussianUnits(3, 4))


def test_the_sound_control_passes() -> None:
    check(Budget)


@pytest.mark.parametrize(
    ("control", "message"),
    [
        (VectorPenalty, r"penalty has shape \(4,\), expected \(\)"),
        (MovingPenalty, r"penalty\(\) moved the control"),
        (FloatState, "control after state_dict: log_beta is not the same"),
        (Unsaved, "buffer scratch is not in state_dict"),
        (Diverging, "unit's beta diverged"),
        (NoInfo, r"update\(\) returned dict, expected Info"),
    ],
)
def test_a_defect_is_named(control: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check(control)
