"""Guarded mean-field inference: natural-gradient steps under which no free energy ever rises."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from .model import AbstractIterativeModel, Belief, Constants

AnyModel: TypeAlias = AbstractIterativeModel[Any]

_FIRST_GAIN = 0.5
_LARGEST_GAIN = 4.0
_GROWTH, _SHRINKAGE = 1.3, 0.5


class DescentState(NamedTuple):
    """Where each example of a batch is on its way down.

    Attributes:
        belief: the posterior's parameters, each [batch, latents].
        gain: length of the next step, [batch].
        energy: the free energy there, [batch] in nats, without constants of the data's noise.
        activity: the posterior's mean activity, [batch, latents].
        prediction: f of it, [batch, features].
    """

    belief: Belief
    gain: Tensor
    energy: Tensor
    activity: Tensor
    prediction: Tensor


def init_descent(
    model: AnyModel,
    frame: Tensor,
    constants: Constants,
    kl_weight: float = 1.0,
    belief: Belief | None = None,
) -> DescentState:
    """The start: the prior, or a belief from before (as in a film).

    Args:
        model: what explains the frame.
        frame: x, [batch, features].
        constants: `model.constants()`.
        kl_weight: β of the KL from the model's prior.
        belief: where to start; None is the prior.
    """
    start = model.prior_belief(len(frame)) if belief is None else belief
    energy, activity, prediction = _energy(model, start, frame, constants, kl_weight)
    gain = torch.full_like(energy, _FIRST_GAIN)
    return DescentState(start, gain, energy, activity, prediction)


def descent_step(
    model: AnyModel,
    state: DescentState,
    frame: Tensor,
    constants: Constants,
    kl_weight: float = 1.0,
) -> DescentState:
    """One guarded step of each example.

    F = ½ ‖x − f(m)‖²_{Σ⁻¹} + ½ v·diag(ΦᵀΣ⁻¹Φ) + λ·m + β KL, with m and v the mean and variance of
    the activity; exact for a linear decoder. Each example tries the natural gradient times its
    gain, over the diagonal of the curvature. Where F does not fall it stays and halves the gain,
    elsewhere it moves and raises it by 30%.

    Args:
        model: what explains the frame.
        state: from `init_descent`, or the step before.
        frame: x, [batch, features]; the same as before, or the energies are not comparable.
        constants: `model.constants()`.
        kl_weight: β.

    Returns:
        The next state; no energy is above the one before.

    Example:
        >>> from vneuron.inference import IterativePoisson, LinearDecoder
        >>> model, x = IterativePoisson(LinearDecoder(4, 3)), torch.ones(2, 3)
        >>> with torch.no_grad():
        ...     start = init_descent(model, x, model.constants())
        ...     after = descent_step(model, start, x, model.constants())
        >>> bool((after.energy <= start.energy).all())
        True
    """
    error = (frame - state.prediction) * constants.precision
    drive = model.decoder.pull_back(state.activity, error)
    direction = model.direction(state.belief, drive, constants, kl_weight)
    gain = state.gain.unsqueeze(-1)
    trial = model.move(state.belief, tuple(gain * part for part in direction))
    energy, activity, prediction = _energy(model, trial, frame, constants, kl_weight)
    falls = energy <= state.energy
    chosen = falls.unsqueeze(-1)
    return DescentState(
        belief=tuple(
            torch.where(chosen, new, old) for new, old in zip(trial, state.belief, strict=True)
        ),
        gain=torch.where(
            falls, (_GROWTH * state.gain).clamp_max(_LARGEST_GAIN), _SHRINKAGE * state.gain
        ),
        energy=torch.where(falls, energy, state.energy),
        activity=torch.where(chosen, activity, state.activity),
        prediction=torch.where(chosen, prediction, state.prediction),
    )


@torch.no_grad()
def descend(
    model: AnyModel,
    frame: Tensor,
    steps: int,
    kl_weight: float = 1.0,
    belief: Belief | None = None,
    constants: Constants | None = None,
) -> DescentState:
    """Many guarded steps from the prior, or from a belief; no gradients.

    Args:
        model: what explains the frame.
        frame: x, [batch, features].
        steps: how many.
        kl_weight: β.
        belief: where to start; None is the prior.
        constants: `model.constants()`; None works them out.
    """
    shared = model.constants() if constants is None else constants
    state = init_descent(model, frame, shared, kl_weight, belief)
    for _ in range(steps):
        state = descent_step(model, state, frame, shared, kl_weight)
    return state


def _energy(
    model: AnyModel, belief: Belief, frame: Tensor, constants: Constants, kl_weight: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Free energy, mean activity, prediction."""
    mean, variance = model.moments(belief)
    prediction = model.decoder(mean)
    energy = 0.5 * ((frame - prediction).square() @ constants.precision)
    energy = energy + variance @ constants.curvature + mean @ constants.leak
    if kl_weight > 0:
        energy = energy + kl_weight * model.belief_kl(belief).sum(-1)
    return energy, mean, prediction
