"""Training a trunk of the library's under another loss: squared error, or pinball losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vneuron.forecasting.data.place import Place
from vneuron.forecasting.data.windows import WindowBatch, Windows
from vneuron.forecasting.forecast_task import EVALUATION_BATCH, decayed_groups
from vneuron.forecasting.networks.network import TrajectoryNetwork
from vneuron.training.task import AbstractTask

from .quantile_steps import QuantileSteps


class SquaredError(nn.Module):
    """½ Σ (y − m)² per window: a Gaussian of variance one, in training deviations.

    Args:
        trunk: a network without units, of which only the mean path is used.
    """

    def __init__(self, trunk: TrajectoryNetwork) -> None:
        super().__init__()
        self.trunk = trunk

    def path(
        self, context: Tensor, observed: Tensor | None = None, place: Place | None = None
    ) -> Tensor:
        return self.trunk(context, observed, place).point()

    def forward(
        self,
        context: Tensor,
        target: Tensor,
        observed: Tensor | None = None,
        target_observed: Tensor | None = None,
        place: Place | None = None,
    ) -> tuple[Tensor, tuple[()], Tensor, dict[str, Tensor]]:
        squared = 0.5 * (target - self.path(context, observed, place)).square()
        return as_step(squared, target_observed)


class QuantileHead(nn.Module):
    """Quantiles of each step that cannot cross: a median, and positive gaps on both its sides.

    Trained by the mean of twice the pinball losses, which is the CRPS but for the levels' spacing.

    Args:
        trunk: a network without units; its layer for the spread is replaced by one for the gaps.
        levels: an odd number, the same distance from both ends.
    """

    levels: Tensor

    def __init__(self, trunk: TrajectoryNetwork, levels: tuple[float, ...]) -> None:
        super().__init__()
        self.trunk = trunk
        self.register_buffer("levels", torch.tensor(levels))
        self.gaps = (len(levels) - 1) // 2
        hidden = trunk.spread.in_features
        trunk.spread = nn.Linear(hidden, trunk.horizon * 2 * self.gaps)
        z = torch.special.ndtri(self.levels.double())
        start = torch.cat([z[: self.gaps + 1].diff().flip(0), z[self.gaps :].diff()])
        with torch.no_grad():
            trunk.spread.weight.mul_(0.1)
            trunk.spread.bias.copy_(torch.log(torch.expm1(start)).repeat(trunk.horizon))

    def quantiles(
        self, context: Tensor, observed: Tensor | None = None, place: Place | None = None
    ) -> Tensor:
        """[batch, H, levels]."""
        reading = self.trunk.read(context, observed, place)
        gaps = reading.spread.view(len(context), self.trunk.horizon, 2, self.gaps).cumsum(-1)
        middle = reading.mean_path[..., None]
        below, above = middle - gaps[:, :, 0].flip(-1), middle + gaps[:, :, 1]
        rows = torch.cat([below, middle, above], -1)
        return reading.window.location[..., None] + reading.window.scale[..., None] * rows

    def forward(
        self,
        context: Tensor,
        target: Tensor,
        observed: Tensor | None = None,
        target_observed: Tensor | None = None,
        place: Place | None = None,
    ) -> tuple[Tensor, tuple[()], Tensor, dict[str, Tensor]]:
        error = target[..., None] - self.quantiles(context, observed, place)
        loss = 2.0 * torch.maximum(self.levels * error, (self.levels - 1.0) * error).mean(-1)
        return as_step(loss, target_observed)


class QuantileHeads(nn.Module):
    """A head for each reader of the window: each learns by itself, quantiles are averaged.

    Args:
        trunk: a network without units; its second reader, where it has one, gets a head of its own.
        levels: as of `QuantileHead`.
    """

    def __init__(self, trunk: TrajectoryNetwork, levels: tuple[float, ...]) -> None:
        super().__init__()
        second, trunk.second = trunk.second, None
        trunks = [trunk] if second is None else [trunk, second]
        self.heads = nn.ModuleList(QuantileHead(each, levels) for each in trunks)
        self.levels = levels

    def forward(
        self,
        context: Tensor,
        target: Tensor,
        observed: Tensor | None = None,
        target_observed: Tensor | None = None,
        place: Place | None = None,
    ) -> tuple[Tensor, tuple[()], Tensor, dict[str, Tensor]]:
        found = [head(context, target, observed, target_observed, place) for head in self.heads]
        shown = torch.stack([each[3]["loss"] for each in found]).mean()
        return sum(each[0] for each in found), (), found[0][2], {"loss": shown}

    @torch.no_grad()
    def forecast(self, batch: WindowBatch) -> QuantileSteps:
        values = torch.stack([head.quantiles(*batch.inputs) for head in self.heads]).mean(0)
        return QuantileSteps(np.round(self.levels, 6), values)


def as_step(
    loss: Tensor, observed: Tensor | None
) -> tuple[Tensor, tuple[()], Tensor, dict[str, Tensor]]:
    """Losses [batch, H] as the training loop takes them: per window, no terms, no penalty."""
    if observed is not None:
        loss = torch.where(observed, loss, torch.zeros_like(loss))
    return loss.sum(-1), (), loss.new_zeros(()), {"loss": F.relu(loss.detach().mean())}


class HeadTask(AbstractTask):
    """Windows to learn from and to be judged on, around one of the modules above.

    Args:
        module: what is trained; its forecasts' loss per step on held-out windows chooses the epoch.
        train: windows to learn from.
        validation: held-out windows.
    """

    score = "val_loss"

    def __init__(self, module: nn.Module, train: Windows, validation: Windows) -> None:
        self.module = module
        self.examples = len(train)
        self._train, self._validation = train, validation
        freeze_unreached(self)

    def batch(self, indices: Tensor, device: torch.device) -> tuple[Any, ...]:
        return arguments(self._train.gather(indices))

    def parameter_groups(self) -> list[dict[str, Any]]:
        trained = [p for p in self.module.parameters() if p.requires_grad]
        return decayed_groups(trained, 1e-2)

    def validate(self, module: nn.Module) -> dict[str, float]:
        total, steps = 0.0, 0.0
        for batch in self._validation.batches(EVALUATION_BATCH):
            total += float(module(*arguments(batch))[0].double().sum())
            seen = batch.target_observed
            steps += float(batch.target.numel() if seen is None else seen.sum())
        return {"val_loss": total / steps}

    def vitals(self) -> None:
        return None


def arguments(batch: WindowBatch) -> tuple[Any, ...]:
    return batch.context, batch.target, batch.context_observed, batch.target_observed, batch.place


def freeze_unreached(task: HeadTask) -> None:
    """Switch off parameters that the loss does not reach, such as a spread under squared error."""
    with torch.random.fork_rng(devices=[]):
        loss = task.module(*task.batch(torch.arange(2), torch.device("cpu")))[0].sum()
    found = torch.autograd.grad(loss, list(task.module.parameters()), allow_unused=True)
    for parameter, gradient in zip(task.module.parameters(), found, strict=True):
        parameter.requires_grad_(gradient is not None)
