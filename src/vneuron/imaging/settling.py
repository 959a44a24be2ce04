"""The training loop of models that learn without gradients: epochs, scores, checkpoints, Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..training.checkpoint import load_checkpoint, save_checkpoint
from ..training.interruption import Interruption
from ..training.order import ExampleOrder, mixed_seed
from ..training.progress import choose_progress
from ..training.record import EpochRecord
from ..training.run_folder import RunFolder

__all__ = ["run_epochs"]

_READ_EVERY = 20


def run_epochs(
    learner: nn.Module,
    learn: Callable[[Tensor], Tensor],
    validate: Callable[[], dict[str, float]],
    images: Tensor,
    *,
    name: str,
    epochs: int,
    batch_size: int,
    seed: int,
    quiet: bool,
    run: RunFolder | None = None,
    optimizer: Optimizer | None = None,
) -> int:
    """Call `learn` with batch after batch, and `validate` after each epoch.

    The order of images and all draws follow from the seed and the epoch. With a run folder, the
    event log gets a line per epoch and the checkpoint "last" all of the learner's state; a run
    whose folder has one goes on from there, to the same bits. Ctrl-C ends training at the next
    batch and keeps what was learned.

    Args:
        learner: what is checkpointed.
        learn: takes a batch, [batch, features] on the learner's device, and returns its loss, a
            scalar tensor.
        validate: scores by name; the first is shown.
        images: [n, features].
        name: of the model, for progress.
        epochs: how many passes.
        batch_size: images at a time.
        seed: of order and draws.
        quiet: no progress on standard error.
        run: where to write; None writes nothing.
        optimizer: whose state belongs to the learner's, if there is one.

    Returns:
        Epochs done.
    """
    if run is not None:
        run.sweep()
    device = next(learner.parameters()).device
    order = ExampleOrder(len(images), batch_size, seed=seed, min_steps=1, max_steps=2**62)
    first, position = _restore(learner, run, optimizer)
    if first >= epochs:
        return first
    progress = choose_progress(quiet)
    began = time.monotonic()
    progress.start(name, epochs, order.steps, first * order.steps)
    done = first
    event = {"epochs": epochs, "steps_per_epoch": order.steps, "examples": len(images)}
    with _Log(run, name, position) as log, Interruption() as interruption:
        log.write("resume" if first else "start", epoch=first, device=device.type, **event)
        for epoch in range(first, epochs):
            torch.manual_seed(mixed_seed(seed, 2, epoch))
            total = torch.zeros((), device=device)
            for step, chosen in enumerate(order.epoch(epoch), start=1):
                total += learn(images[chosen].to(device))
                if step % _READ_EVERY == 0 or step == order.steps:
                    progress.advance(
                        epoch + 1, epoch * order.steps + step, {"loss": float(total) / step}
                    )
                if interruption.requested:
                    break
            if step < order.steps:  # what was learned stays; a resumption repeats the epoch
                break
            done = epoch + 1
            scores = validate()
            record = EpochRecord(
                model=name,
                epoch=done,
                step=done * order.steps,
                loss=float(total) / step,
                nll=float(total) / step,
                kl=0.0,
                alive=None,
                scores=scores,
                best=False,
                seconds=time.monotonic() - began,
            )
            progress.epoch(record, next(iter(scores)))
            log.write("epoch", **record.line())
            if run is not None:
                so_far = {"epoch": done, "events": log.position()}
                save_checkpoint(run, "last", learner, optimizer=optimizer, progress=so_far)
            if interruption.requested:
                break
        log.write("stop" if done == epochs else "interrupted", epoch=done)
    progress.close()
    return done


def _restore(
    learner: nn.Module, run: RunFolder | None, optimizer: Optimizer | None
) -> tuple[int, int]:
    """Epochs done, and the length of the event log then."""
    if run is None or not run.exists("checkpoints/last.safetensors"):
        return 0, 0
    progress = load_checkpoint(run, "last", learner, optimizer=optimizer, random=False)
    return int(progress["epoch"]), int(progress["events"])


class _Log:
    """The event log of a run, or of none.

    Args:
        run: None writes nothing.
        model: named in every line.
        position: what a killed process wrote after so many bytes is taken back.
    """

    def __init__(self, run: RunFolder | None, model: str, position: int) -> None:
        self.model = model
        self.events = None if run is None else run.events(position)

    def write(self, event: str, **fields: object) -> None:
        if self.events is not None:
            self.events.write(event, model=self.model, **fields)

    def position(self) -> int:
        return 0 if self.events is None else self.events.position()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.events is not None:
            self.events.close()
