"""The conformance check of controls."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn

from ..controls import rescale
from ..core import AbstractControl, AbstractScaleControl, AbstractUnit, Collect, Info, LocalTerm
from .checks import reload, require, require_same_state, require_shape

BuildControl: TypeAlias = Callable[[AbstractUnit], AbstractControl]
BuildAttachedUnit: TypeAlias = Callable[[], AbstractUnit]

_BATCH, _STEPS = 16, 3


def check_control(build: BuildControl, build_unit: BuildAttachedUnit) -> None:
    """Check that a control keeps the contract of `AbstractControl`.

    Checked: the penalty is a finite scalar whose computing does not move any state; `update`,
    `project` and scale actions leave finite state and carry no gradient; `update` returns an
    `Info` of scalars; factors are positive, one per unit; state of the shape [units] or scalar
    lives in buffers, and a copy made through `deepcopy` or `state_dict` acts the same from there
    on; `repr`.

    Args:
        build: makes the control for a unit.
        build_unit: makes the unit, freshly initialised.

    Raises:
        AssertionError: saying what is broken.

    Example:
        >>> import vneuron as vn
        >>> class Halve(vn.AbstractControl):
        ...     def penalty(self, term):
        ...         return term.kl.new_zeros(())
        ...     def update(self, statistics):
        ...         return vn.Info({})
        ...     def project(self, unit):
        ...         unit.beta.mul_(0.5)
        >>> check_control(lambda unit: Halve(), lambda: vn.GaussianUnits(3, 4))
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unit = build_unit()
        control = build(unit)
        _check_penalty(control, unit)
        _check_steps(control, unit)
        _check_state(control, unit)
        _check_copies(control, build, unit, build_unit)
        require(type(control).__name__ in repr(control), "repr does not name the class")


def _term(unit: AbstractUnit) -> LocalTerm:
    _, terms = Collect(unit)(torch.randn(_BATCH, unit.in_features))
    term: LocalTerm = terms[0]
    return term


def _state(module: nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy(dict(module.state_dict()))


def _check_penalty(control: AbstractControl, unit: AbstractUnit) -> None:
    before = copy.deepcopy(control)
    penalty = torch.as_tensor(control.penalty(_term(unit)))
    require_shape("penalty", penalty, ())
    require(torch.isfinite(penalty), f"penalty is {penalty.item()}")
    require_same_state("penalty() moved the control", control, before)


def _check_steps(control: AbstractControl, unit: AbstractUnit) -> None:
    for _ in range(_STEPS):
        _act(control, unit)
    for owner, module in (("control", control), ("unit", unit)):
        for name, tensor in _state(module).items():
            measured_later = name.startswith("statistics.")
            require(measured_later or torch.isfinite(tensor).all(), f"{owner}'s {name} diverged")
    for name, parameter in unit.named_parameters():
        require(parameter.is_leaf, f"project() put {name} on the autograd graph")


def _act(control: AbstractControl, unit: AbstractUnit) -> None:
    """One control step, as `vneuron.control_step` runs it."""
    unit.statistics.update(_term(unit))
    with torch.no_grad():
        info = control.update(unit.statistics)
        control.project(unit)
    if isinstance(control, AbstractScaleControl):
        _act_on_scale(control, unit)
    require(isinstance(info, Info), f"update() returned {type(info).__name__}, expected Info")
    for name, value in info.values.items():
        require_shape(f"info {name!r}", value, ())


def _act_on_scale(control: AbstractScaleControl, unit: AbstractUnit) -> None:
    """The control's scale action, if one is due."""
    action = control.rescaling(unit)
    if action is None:
        return
    require_shape("the factor of rescaling()", action.factor, (unit.units,))
    require((action.factor > 0).all(), "a factor of rescaling() is not positive")
    require(torch.isfinite(action.factor).all(), "a factor of rescaling() is not finite")
    rescale(unit, action.factor, action.form)


def _check_state(control: AbstractControl, unit: AbstractUnit) -> None:
    saved = control.state_dict()
    for name, buffer in control.named_buffers():
        require(name in saved, f"buffer {name} is not in state_dict: a resumed run would lose it")
        require(
            buffer.ndim == 0 or buffer.shape[0] == unit.units,
            f"buffer {name} has shape {tuple(buffer.shape)}, expected a scalar or [units, ...]",
        )


def _check_copies(
    control: AbstractControl,
    build: BuildControl,
    unit: AbstractUnit,
    build_unit: BuildAttachedUnit,
) -> None:
    copies = {
        "deepcopy": (copy.deepcopy(control), copy.deepcopy(unit)),
        "state_dict": (reload(control, build(build_unit())), reload(unit, build_unit())),
    }
    torch.manual_seed(2)
    _act(control, unit)
    for label, (other, its_unit) in copies.items():
        torch.manual_seed(2)
        _act(other, its_unit)
        require_same_state(f"control after {label}", other, control)
        require_same_state(f"unit after {label}", its_unit, unit)
