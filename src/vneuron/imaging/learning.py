"""The two ways in which image models learn: by settling batch after batch, and by gradients."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..training.loop import StopReason, Trainer, TrainingConfig
from ..training.run_folder import RunFolder
from .estimator import AbstractImageModel
from .settling import run_epochs
from .through_time import ImageTask

__all__ = ["held_out_scores", "learn_by_gradient", "learn_by_settling", "update_count"]


@torch.no_grad()
def held_out_scores(model: AbstractImageModel, held_out: Tensor) -> dict[str, float]:
    """R² over all pixels and the portion of zeros, of draws after the model's own steps.

    Args:
        model: while it is fitted.
        held_out: [n, features], on the model's device.
    """
    *_, last = model._infer(held_out, model.steps)
    sample = last.draw()
    error = (held_out - model._decode(sample)).square().sum()
    spread = (held_out - held_out.mean(1, keepdim=True)).square().sum()
    zeros = (sample == 0).float().mean()
    return {"val_r2": float(1.0 - error / spread), "val_zeros": float(zeros)}


def learn_by_settling(
    model: AbstractImageModel,
    learner: nn.Module,
    learn: Callable[[Tensor], Tensor],
    images: Tensor,
    held_out: Tensor,
    run: RunFolder | None,
    optimizer: Optimizer | None = None,
) -> None:
    """Without gradients through inference: `learn` sees batch after batch (see `run_epochs`)."""
    held_out = held_out.to(model._device())
    model.n_epochs_ = run_epochs(
        learner,
        learn,
        lambda: held_out_scores(model, held_out),
        images,
        name=type(model).__name__,
        epochs=model.epochs,
        batch_size=model.batch_size,
        seed=model.seed,
        quiet=model.quiet,
        run=run,
        optimizer=optimizer,
    )
    whole = model.n_epochs_ >= model.epochs
    model.outcome_ = (StopReason.COMPLETED if whole else StopReason.INTERRUPTED).value


def learn_by_gradient(
    model: AbstractImageModel,
    loss: nn.Module,
    images: Tensor,
    held_out: Tensor,
    run: RunFolder | None,
    *,
    learning_rate: float,
    gradient_clip: float,
    warmup_steps: int = 0,
) -> None:
    """With the trainer: AdamW on `loss(batch)`, a `StepOutput`."""
    config = TrainingConfig(
        epochs=model.epochs,
        batch_size=min(model.batch_size, len(images)),
        learning_rate=learning_rate,
        warmup_steps=warmup_steps,
        gradient_clip=gradient_clip,
        patience=0,
        min_steps_per_epoch=1,
        max_steps_per_epoch=2**31,
        seed=model.seed,
        device="cuda" if model._device().type == "cuda" else "cpu",
        quiet=model.quiet,
    )
    task = ImageTask(loss, images, held_out)
    outcome = Trainer(config).fit(task, run, "images", resume=run is not None)
    model.n_epochs_, model.outcome_ = outcome.epochs, outcome.reason.value


def update_count(model: AbstractImageModel, images: Tensor) -> int:
    """Optimiser steps of a whole fit, for ramps."""
    batch = min(model.batch_size, len(images))
    return model.epochs * -(-len(images) // batch)
