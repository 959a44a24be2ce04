"""An encoder that gives iterative inference its start, and the bound that both learn by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from ..functional.soft_clamp import soft_clamp
from ..inference import (
    AbstractIterativeModel,
    Belief,
    Constants,
    DescentState,
    descent_step,
    init_descent,
)
from ..training.task import StepOutput
from .annealing import ramp

__all__ = ["HybridLoss", "HybridNetwork", "Refinement"]

Refinement: TypeAlias = Literal["guarded", "learned"]

_WARMEST, _COLDEST = 1.0, 0.05
# How far an encoder may move each part of a belief from the prior: µ or u, then ln σ.
_REACH = (8.0, 4.0)
_HIDDEN = 256
_NO_LEAK = -30.0
_FIRST_GATE = -2.0


class HybridNetwork(nn.Module):
    """x → a belief by an encoder → better beliefs, step by step, by the decoder's errors.

    Steps are guarded natural-gradient ones, as in the iterative models; or they are made by a
    network that sees belief and natural gradient and proposes a gated change (Marino et al.,
    "Iterative amortized inference", arXiv:1807.09356).

    Args:
        encoder: features of an image, [batch, width].
        width: how many.
        model: prior, decoder and steps.
        refinement: "guarded" or "learned".

    Attributes:
        head: from features to changes of the prior's parameters, part after part.
        refiner: the network of learned steps; None for guarded ones.

    Raises:
        ValueError: if the refinement is unknown.
    """

    refiner: nn.Module | None

    def __init__(
        self,
        encoder: nn.Module,
        width: int,
        model: AbstractIterativeModel[Any],
        refinement: Refinement = "guarded",
    ) -> None:
        super().__init__()
        if refinement not in get_args(Refinement):
            raise ValueError(
                f"refinement is {refinement!r}, expected one of {get_args(Refinement)}."
            )
        self.encoder = encoder
        self.model = model
        self.parts = len(model.prior_belief(1))
        size = self.parts * model.decoder.latents
        self.head = nn.Linear(width, size)
        self.refiner = _Refiner(size) if refinement == "learned" else None
        # The leak is no part of the bound, and guarded steps find their gain by themselves.
        model.log_leak.requires_grad_(False).fill_(_NO_LEAK)
        model.log_gain.requires_grad_(False)

    def start(self, images: Tensor) -> Belief:
        """The encoder's belief: the prior, moved."""
        changes = self.head(self.encoder(images)).chunk(self.parts, 1)
        prior = self.model.prior_belief(len(images))
        return tuple(
            part + soft_clamp(change, reach)
            for part, change, reach in zip(prior, changes, _REACH, strict=False)
        )

    def states(
        self, images: Tensor, steps: int, kl_weight: float, constants: Constants | None = None
    ) -> Iterator[DescentState]:
        """The encoder's state, and then that after each of `steps`.

        Args:
            images: [batch, features].
            steps: of refinement.
            kl_weight: β.
            constants: `model.constants()`; None works them out.
        """
        shared = self.model.constants() if constants is None else constants
        state = init_descent(self.model, images, shared, kl_weight, self.start(images))
        yield state
        for _ in range(steps):
            if self.refiner is None:
                state = descent_step(self.model, state, images, shared, kl_weight)
            else:
                belief = self._refine(state, images, shared, kl_weight)
                state = init_descent(self.model, images, shared, kl_weight, belief)
            yield state

    def _refine(
        self, state: DescentState, images: Tensor, constants: Constants, kl_weight: float
    ) -> Belief:
        if self.refiner is None:
            raise TypeError("a network of guarded steps has no refiner")
        error = (images - state.prediction) * constants.precision
        drive = self.model.decoder.pull_back(state.activity, error)
        direction = self.model.direction(state.belief, drive, constants, kl_weight)
        change = self.refiner(torch.cat(state.belief, 1), torch.cat(direction, 1))
        return self.model.move(state.belief, change.chunk(self.parts, 1))


class _Refiner(nn.Module):
    """A gated change from a belief and its gradient, each normalised over the latents."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.belief_norm = nn.LayerNorm(size)
        self.direction_norm = nn.LayerNorm(size)
        self.hidden = nn.Linear(2 * size, _HIDDEN)
        self.change = nn.Linear(_HIDDEN, size)
        self.gate = nn.Linear(_HIDDEN, size)
        nn.init.constant_(self.gate.bias, _FIRST_GATE)

    def forward(self, belief: Tensor, direction: Tensor) -> Tensor:
        """Change of the belief, [batch, parts · latents]."""
        seen = torch.cat([self.belief_norm(belief), self.direction_norm(direction)], 1)
        hidden = nn.functional.silu(self.hidden(seen))
        change: Tensor = torch.sigmoid(self.gate(hidden)) * self.change(hidden)
        return change


class HybridLoss(nn.Module):
    """Negative evidence bound per image of an encoder's belief, or of what became of it.

    With a linear decoder the expected error is exact; otherwise it is that of one relaxed draw.

    Args:
        network: what is learned.
        steps: of refinement that gradients pass: 0 learns by the encoder's belief alone.
        beta: weight of the KL once it has risen.
        updates: how many optimiser steps there will be, for the ramps of β and temperature.

    Attributes:
        done: optimiser steps so far.
    """

    done: Tensor

    def __init__(self, network: HybridNetwork, steps: int, beta: float, updates: int) -> None:
        super().__init__()
        self.network = network
        self.steps = steps
        self.beta = beta
        self.updates = updates
        self.register_buffer("done", torch.zeros((), dtype=torch.int64))

    def forward(self, images: Tensor) -> StepOutput:
        """What the trainer wants of a batch."""
        at = int(self.done) / self.updates if self.training else 1.0
        temperature = 0.0
        if self.training:
            temperature = ramp(at, _WARMEST, _COLDEST, start=0.0, end=0.5)
            self.done.add_(1)
        weight = self.beta * ramp(at, 1e-4, 1.0, start=0.0, end=0.1)
        constants = self.network.model.constants()
        *path, last = self.network.states(images, self.steps, weight, constants)
        # A learned step has to be good wherever it is taken; guarded ones are judged by their end.
        judged = [*path, last] if self.network.refiner is not None else [last]
        errors, kls = zip(
            *(self._bound(state, images, temperature, constants) for state in judged), strict=True
        )
        error, kl = torch.stack(errors).mean(0), torch.stack(kls).mean(0)
        logs = {"error": error.detach().mean(), "code_kl": kl.detach().mean()}
        return StepOutput(error + weight * kl, (), error.new_zeros(()), logs)

    def _bound(
        self, state: DescentState, images: Tensor, temperature: float, constants: Constants
    ) -> tuple[Tensor, Tensor]:
        """Expected error and KL of a belief, each [batch] in nats."""
        model = self.network.model
        if model.decoder.is_linear:
            _, variance = model.moments(state.belief)
            nll = model.nll(images, state.prediction, constants) + variance @ constants.curvature
        else:
            z = model.relaxed_draw(state.belief, temperature)
            nll = model.nll(images, model.decoder(z), constants)
        return nll, model.belief_kl(state.belief).sum(-1)
