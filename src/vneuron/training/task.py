"""What is trained: the interface between the training loop and a model with its data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from ..core import LocalTerm

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AbstractTask", "StepOutput"]


class StepOutput(NamedTuple):
    """What a task's module returns for one batch; a plain tuple in this order will do.

    Attributes:
        nll: negative log-likelihood, [batch], nats per example.
        terms: what `Collect` returned: the local terms of the units, before any reduction.
        penalty: scalar, added to the free energy as it is (of controls); a tensor.
        logs: detached scalar tensors by name, averaged over the epoch's steps into the event log.
    """

    nll: Tensor
    terms: tuple[LocalTerm, ...]
    penalty: Tensor
    logs: dict[str, Tensor]


class AbstractTask(ABC):
    """A module, its training examples, and how it is judged on held-out ones.

    With several processes each has its own copy of the task. Nothing in a task may change during
    training but the module (and what `validate` keeps for `vitals`); where the processes are
    started by the trainer the task is pickled to them, its tensors shared and not copied, so its
    class must be importable.

    Attributes:
        module: what is trained and checkpointed. `module(*batch)` gives a `StepOutput`; all that
            depends on parameters happens inside it, so that `DistributedDataParallel` and
            `torch.compile` see plain tensors go in and come out. Every trainable parameter must
            reach the loss. Under a mixed precision it runs in autocast: switch that off inside
            for what needs single precision. What it draws must come from torch's global
            generators, which the loop seeds.
        examples: number of training examples.
        score: the key of what `validate` returns by which checkpoints are chosen; lower is
            better.
    """

    module: nn.Module
    examples: int
    score: str

    @abstractmethod
    def batch(self, indices: Tensor, device: torch.device) -> tuple[Tensor, ...]:
        """The arguments of `module` for some examples, by one gather.

        Args:
            indices: int64 [batch], on the CPU; pinned where `device` is a GPU, so that
                `indices.to(device, non_blocking=True)` waits for nothing.
            device: where the module is, and the result must be.
        """

    @abstractmethod
    def parameter_groups(self) -> list[dict[str, Any]]:
        """The groups for AdamW: "params", and "weight_decay", "lr_scale" and more as wanted.

        `lr_scale` multiplies the learning rate of a group; 1 if absent. `settles_by` names a score
        of `validate`: once an eighth of the run's epochs has not lowered it by `settles_at`, the
        group's learning rate falls to zero by half of the run, though not before step 800, and the
        group rests.
        Groups that name the same `clipped` (None if absent) have their gradients clipped together,
        by a norm of their own.
        Order and content must be the same each time: checkpoints identify parameters by their
        place.
        """

    @abstractmethod
    def validate(self, module: nn.Module) -> dict[str, float]:
        """Held-out scores.

        Called after each epoch, without gradients and in eval mode, on the first process alone:
        it must not communicate with others, so neither call `control_step`. What it writes into
        the module's buffers (such as units' use) then goes to all processes.

        Args:
            module: `self.module`, bare and on its device.

        Returns:
            Numbers by name, among them `score`; names start with "val_" by custom.
        """

    @abstractmethod
    def vitals(self) -> pd.DataFrame | None:
        """The units' state after `validate`: `health(self.module).units`; None without units."""
