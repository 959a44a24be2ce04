"""One optimiser step, such that nothing in it waits for the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from ..controls import begin_statistics, control_step, prepare_controls
from ..core import Info, LocalTerm
from ..objective import free_energy
from .config import TrainingConfig
from .meter import Meter
from .schedule import cosine, settling
from .task import AbstractTask

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Stepper", "build_optimizer"]


class Stepper:
    """Forward, backward, AdamW and controls, on a device, alone or with other processes.

    Args:
        fabric: launched.
        config: how to train.
        task: its module must be on the device.
        optimizer: over the module's parameters.
        total: steps of the whole run.
        epoch: steps of an epoch.
    """

    def __init__(
        self,
        fabric: Fabric,
        config: TrainingConfig,
        task: AbstractTask,
        optimizer: AdamW,
        total: int,
        epoch: int,
    ) -> None:
        self._fabric = fabric
        self._config = config
        self._task = task
        self._optimizer = optimizer
        self._total = total
        self._epoch = epoch
        prepare_controls(task.module, total)
        self._fused = bool(optimizer.defaults["fused"])
        self._mixed = config.precision != "32-true"
        self._clipped: dict[str | None, list[nn.Parameter]] = {}
        for group in optimizer.param_groups:
            self._clipped.setdefault(group.get("clipped"), []).extend(group["params"])
        # The strategy's wrapper and not fabric.setup's, which walks through every output of every
        # step to cast it and to hook it: 0.1 ms for one layer of units.
        module: nn.Module = fabric.strategy.setup_module(task.module)
        self._module: nn.Module = torch.compile(module) if config.compile else module  # type: ignore[assignment]

    @property
    def watched(self) -> dict[str, float]:
        """The scores that groups settle by, and the gain of an epoch below which they do."""
        groups = self._optimizer.param_groups
        return {g["settles_by"]: g["settles_at"] for g in groups if g["settles_by"] is not None}

    def __call__(
        self, indices: Tensor, done: int, meter: Meter, settled: Mapping[str, int]
    ) -> Info:
        """Take one step.

        Args:
            indices: the examples, int64 [batch].
            done: steps before this one.
            meter: what the step shows is added to it.
            settled: the step at which each watched score had stopped falling, where one has.
        """
        self._set_learning_rate(done, settled)
        batch = self._task.batch(indices, self._fabric.device)
        with self._fabric.autocast():
            nll, terms, penalty, logs = self._module(*batch)
        if self._mixed:
            nll, terms = nll.float(), [_single(term) for term in terms]
        loss = free_energy(nll, terms, penalty)
        begun = begin_statistics(terms)
        self._fabric.backward(loss)
        if self._config.gradient_clip > 0:
            self._clip(self._config.gradient_clip)
        self._optimizer.step()
        self._optimizer.zero_grad()
        info = control_step(self._task.module, terms, self._optimizer, begun)
        meter.add(loss, nll, logs)
        return info

    def _clip(self, largest: float) -> None:
        """Let the gradient's norm be at most `largest` in the update that follows, in each part."""
        for parameters in self._clipped.values():
            norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
            if self._fused and len(self._clipped) == 1:
                # The kernel divides by it as it reads the gradients, which saves a pass over them.
                self._optimizer.grad_scale = (norm / largest).clamp_min(1.0)  # type: ignore[attr-defined]
            else:
                nn.utils.clip_grads_with_norm_(parameters, largest, norm)

    def _set_learning_rate(self, done: int, settled: Mapping[str, int]) -> None:
        total, warmup = self._total, self._config.warmup_steps
        for group in self._optimizer.param_groups:
            since = settled.get(group["settles_by"])
            if since is None:
                factor = cosine(done, total, warmup)
            else:
                factor = settling(done, total, since, self._epoch, warmup)
            group["lr"] = self._config.learning_rate * factor * group["lr_scale"]


def build_optimizer(task: AbstractTask, config: TrainingConfig) -> AdamW:
    """AdamW over a task's parameter groups, fused where torch can.

    Raises:
        ValueError: a group holds something unknown, or there is nothing to train.
    """
    groups: list[dict[str, Any]] = []
    for group in task.parameter_groups():
        own: dict[str, Any] = {
            "weight_decay": 0.0,
            "lr_scale": 1.0,
            "settles_by": None,
            "settles_at": 0.0,
            "clipped": None,
        }
        unknown = sorted(group.keys() - {"params", *own})
        if unknown:
            raise ValueError(
                f"a parameter group has {unknown}, expected only 'params', 'weight_decay', "
                "'lr_scale', 'settles_by', 'settles_at' and 'clipped': the learning rate and its "
                "schedule are the trainer's."
            )
        own |= group
        groups.append({**own, "params": list(own["params"])})
    parameters = [parameter for group in groups for parameter in group["params"]]
    if not parameters:
        raise ValueError("the task has no parameters, expected at least one to train.")
    fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters)
    return AdamW(groups, lr=config.learning_rate, fused=fused)


def _single(term: LocalTerm) -> LocalTerm:
    return term._replace(kl=term.kl.float())
