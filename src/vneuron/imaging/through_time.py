"""Learning through the steps of inference: one task for the trainer."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..inference import AbstractIterativeModel
from ..training.task import AbstractTask, StepOutput
from .annealing import ramp
from .films import Film

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ImageTask", "ThroughTime"]

_TYPICAL_FEATURES = 256.0


class ThroughTime(nn.Module):
    """Free energy of a batch: the mean over steps of the error and β times each step's KL.

    L = (256/M) · mean over t of [−ln p(x | z_t) + β KL(q_t ‖ q_{t−1})], differentiated through all
    steps, or through `truncate` steps at a time. Source: arXiv:2410.19315 and its published code,
    whose scale 256/M is kept so that learning rates carry over.

    Args:
        model: whose parameters are learned.
        steps: T.
        beta: β at the end of its ramp.
        truncate: steps between cuts of the gradient; None never cuts.
        updates: how many optimiser steps there will be, for the ramps.
        temperatures: of relaxed counts, at the start and from half of the updates on.
        film: what is seen of a batch, frame after frame; still images by default.

    Attributes:
        done: optimiser steps so far: it places the ramps, also after a resumption.
    """

    done: Tensor

    def __init__(
        self,
        model: AbstractIterativeModel[Any],
        steps: int,
        beta: float,
        truncate: int | None,
        updates: int,
        temperatures: tuple[float, float] = (1.0, 0.05),
        film: Film = itertools.repeat,
    ) -> None:
        super().__init__()
        self.model = model
        self.steps = steps
        self.beta = beta
        self.truncate = truncate
        self.updates = updates
        self.temperatures = temperatures
        self.film = film
        self.register_buffer("done", torch.zeros((), dtype=torch.int64))

    def forward(self, images: Tensor) -> StepOutput:
        """The loss of a batch, [batch, features or frames · features], as a trainer wants it."""
        at = int(self.done) / self.updates if self.training else 1.0
        beta = ramp(at, 1e-4, self.beta, start=0.001, end=0.101)
        openness = ramp(at, 0.0, 1.0, start=0.001, end=0.101)
        temperature = 0.0  # whole counts, as they will be used
        if self.training:
            temperature = ramp(at, *self.temperatures, start=0.0, end=0.5)
            self.done.add_(1)
        nll, kl = self.free_energy(images, temperature, openness)
        loss = (nll + beta * kl) * (_TYPICAL_FEATURES / self.model.decoder.features)
        logs = {"error": nll.detach().mean(), "step_kl": kl.detach().mean()}
        return StepOutput(loss, (), loss.new_zeros(()), logs)

    def free_energy(
        self, images: Tensor, temperature: float, openness: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Error and KL, each the mean over steps, [batch] in nats."""
        model = self.model
        constants = model.constants()
        state = model.init_state(len(images), temperature, constants)
        nll, kl = images.new_zeros(len(images)), images.new_zeros(len(images))
        for step, frame in enumerate(self.film(images, self.steps)):
            if self.truncate is not None and step > 0 and step % self.truncate == 0:
                state = type(state)(*(part.detach() for part in state))
            before = state
            state = model.step(before, frame, temperature, constants, openness)
            terms = model.terms(before, state, frame, constants)
            nll, kl = nll + terms.nll, kl + terms.kl.sum(-1)
        return nll / self.steps, kl / self.steps


class ImageTask(AbstractTask):
    """Images, and a module that turns a batch of them into a loss.

    Args:
        module: `module(images)` gives a `StepOutput`.
        images: [n, features], those to train on.
        held_out: [m, features], those to validate on.
        weight_decay: of all parameters.
    """

    score = "val_loss"

    def __init__(
        self, module: nn.Module, images: Tensor, held_out: Tensor, weight_decay: float = 0.0
    ) -> None:
        self.module = module
        self.images = images
        self.held_out = held_out
        self.weight_decay = weight_decay
        self.examples = len(images)

    def batch(self, indices: Tensor, device: torch.device) -> tuple[Tensor, ...]:
        """Some of the images."""
        return (self.images[indices].to(device, non_blocking=True),)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """All parameters, in one group."""
        return [{"params": list(self.module.parameters()), "weight_decay": self.weight_decay}]

    def validate(self, module: nn.Module) -> dict[str, float]:
        """The loss of held-out images."""
        device = next(module.parameters()).device
        output: StepOutput = module(self.held_out.to(device))
        return {"val_loss": float(output.nll.mean())}

    def vitals(self) -> pd.DataFrame | None:
        """None: there are no layers of units here."""
        return None
