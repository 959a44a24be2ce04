"""Means over training steps, accumulated where the tensors are and read once in a while."""

from __future__ import annotations

import torch
import torch.distributed
from torch import Tensor, nn

from ..core import units_of
from ..vitals.measures import alive

__all__ = ["Meter", "Reading", "unit_state"]


class Reading(dict[str, float]):
    """Means over steps and processes by name, "loss" and "nll" among them."""

    interrupted: bool = False


class Meter:
    """Sums of each step's loss, likelihood part and logs.

    `add` waits for nothing; `read` is the only place where the training loop waits for the
    device, and where processes tell each other that they were interrupted.

    Example:
        >>> meter = Meter()
        >>> meter.add(torch.tensor(2.0), torch.tensor([1.0, 2.0]), {})
        >>> meter.add(torch.tensor(4.0), torch.tensor([2.0, 3.0]), {})
        >>> meter.read()
        {'loss': 3.0, 'nll': 2.0}
    """

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._sums = torch.empty(0)
        self._steps = 0

    def add(self, loss: Tensor, nll: Tensor, logs: dict[str, Tensor]) -> None:
        """Count one step.

        Args:
            loss: scalar, nats per example.
            nll: [batch], nats per example.
            logs: further scalars; the same names each time.
        """
        values = torch.stack([loss.detach(), nll.detach().mean(), *logs.values()])
        if self._steps == 0:
            self._names = ("loss", "nll", *logs)
            self._sums = values.double()
        else:
            self._sums += values
        self._steps += 1

    def read(self, interrupted: bool = False) -> Reading:
        """The means so far; at least one step must have been added.

        Args:
            interrupted: whether this process was asked to stop; in the reading, whether any was.
        """
        mean = self._sums / self._steps
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            mean = torch.cat([mean, mean.new_tensor([float(interrupted)])])
            torch.distributed.all_reduce(mean)
            *means, flag = (mean / torch.distributed.get_world_size()).tolist()
            interrupted = flag > 0
        else:
            means = mean.tolist()
        reading = Reading(zip(self._names, means, strict=True))
        reading.interrupted = interrupted
        return reading


@torch.no_grad()
def unit_state(module: nn.Module) -> tuple[float, float | None]:
    """Running KL summed over all units, in nats, and the share of them that are alive.

    Example:
        >>> unit_state(nn.Linear(1, 1))
        (0.0, None)
    """
    kl = [unit.statistics.kl for _, unit in units_of(module) if unit.variational]
    if not kl:
        return 0.0, None
    every = torch.cat(kl)
    total, share = torch.stack([every.sum(), alive(every).float().mean()]).tolist()
    return total, share
