"""What training a trajectory network means: its objective, its held-out scores, its vitals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..core import Collect, LocalTerm
from ..objective import penalties
from ..training.task import AbstractTask
from ..vitals.health import health
from .network import TrajectoryNetwork
from .predictive import TrajectoryDistribution
from .usefulness import measure_usefulness
from .windows import Windows, evenly_spaced

if TYPE_CHECKING:
    import pandas as pd

EVALUATION_BATCH = 2048
USE_WINDOWS = 1024
LOADING_RATE = 20.0
"""Learning rate of W over that of the rest. At 3, W is still on its way after eight epochs, and
what looks like a gain of units over a static head is the speed of learning: validation joint NLL
per step of units and static head, Exchange −1.636 and −1.582 at 3, −1.663 and −1.664 at 30;
ETTh1 .104 and .123 at 3, .100 and .116 at 30 (there units earn their cost)."""

GAINS = (0.0, 0.25, 0.5, 0.75, 1.0)


class TrajectoryObjective(nn.Module):
    r"""Rate-regularised likelihood of whole paths, in nats per window.

    .. math:: \underbrace{-\textstyle\sum_h \ln t_\nu(y_h)}_{\text{trains } m, R, \mu, \tau, \nu}
              \underbrace{-\ln t_\nu(y)}_{\text{trains } W, s} + \textstyle\sum_j \beta_j KL_j

    The joint term sees fixed margins. log p(y | x) is exact, with z integrated out, so that the
    KL here prices the information that units take from the window; it does not make a bound.

    Args:
        network: what is trained.
    """

    def __init__(self, network: TrajectoryNetwork) -> None:
        super().__init__()
        self.collected = Collect(network)

    @property
    def network(self) -> TrajectoryNetwork:
        """What is trained."""
        network = self.collected.model
        if not isinstance(network, TrajectoryNetwork):
            raise TypeError(
                f"the objective holds a {type(network).__name__}, not a trajectory network"
            )
        return network

    def forward(
        self,
        context: Tensor,
        target: Tensor,
        context_observed: Tensor | None = None,
        target_observed: Tensor | None = None,
    ) -> tuple[Tensor, tuple[LocalTerm, ...], Tensor, dict[str, Tensor]]:
        """Nats per window [batch], the units' terms, the controls' penalty, and numbers to log."""
        path: TrajectoryDistribution
        path, terms = self.collected(context, context_observed)
        # under mixed precision the network is in bfloat16; factorisations must not be
        with torch.autocast(context.device.type, enabled=False):
            path = path.float()
            nll = path.marginal_nll(target, target_observed).sum(-1)
            logs = {"nll": nll.detach().mean() / path.horizon}
            if path.loading is not None:
                joint = path.with_fixed_margins().joint_nll(target, target_observed)
                logs["joint_nll"] = joint.detach().mean() / path.horizon
                nll = nll + joint
        penalty = torch.as_tensor(penalties(self.network, terms), dtype=nll.dtype)
        return nll, terms, penalty.to(nll.device), logs


class TrajectoryTask(AbstractTask):
    """Training windows, validation windows, and a network between them.

    Checkpoints are chosen by the score that the model is for: joint NLL where it models
    dependence, the steps' own NLL where it does not. Choosing a joint model by a marginal score
    stops it before dependence is learned.

    Args:
        network: what is trained.
        train: windows to learn from.
        validation: held-out windows; at least one.
        weight_decay: of AdamW, on weight matrices.
        loading_rate: learning rate of W over that of the rest.
    """

    def __init__(
        self,
        network: TrajectoryNetwork,
        train: Windows,
        validation: Windows,
        weight_decay: float = 1e-2,
        loading_rate: float = LOADING_RATE,
    ) -> None:
        self.module = TrajectoryObjective(network)
        self.network = network
        self.score = "val_nll" if network.loading is None else "val_joint_nll"
        self.examples = len(train)
        self._train = train
        self._validation = validation
        self._weight_decay = weight_decay
        self._loading_rate = loading_rate

    def batch(self, indices: Tensor, device: torch.device) -> tuple[Tensor, ...]:
        """Context and target, and their masks where something is missing."""
        if self._train.starts.device != device:  # once: the series are large, a batch is not
            self._train = self._train.to(device)
        batch = self._train.gather(indices.to(device))
        if batch.context_observed is None or batch.target_observed is None:
            return batch.context, batch.target
        return batch.context, batch.target, batch.context_observed, batch.target_observed

    def parameter_groups(self) -> list[dict[str, Any]]:
        """W learns faster and is not pulled to zero; biases and ν are not decayed either."""
        loading = self.network.loading
        others = [p for p in self.network.parameters() if p is not loading]
        groups: list[dict[str, Any]] = [
            {"params": [p for p in others if p.dim() > 1], "weight_decay": self._weight_decay},
            {"params": [p for p in others if p.dim() <= 1], "weight_decay": 0.0},
        ]
        if loading is not None:
            groups.append(
                {"params": [loading], "weight_decay": 0.0, "lr_scale": self._loading_rate}
            )
        return groups

    def validate(self, module: nn.Module) -> dict[str, float]:
        """Held-out scores: NLL in nats per step, MSE in squared training deviations.

        Sets how much of Rµ forecasts use, and measures what each unit is worth.
        """
        windows = self._validation.to(next(module.parameters()).device)
        if self.network.units is not None:
            self.network.mean_gain.copy_(_best_gain(self.network, windows))
        scores = _held_out_scores(self.network, windows)
        self._measure_use(windows)
        return scores

    def vitals(self) -> pd.DataFrame | None:
        """Every unit's vitals and verdict as of the last validation; None without units."""
        units = self.network.units
        return None if units is None or not units.variational else health(self.module).units

    def _measure_use(self, windows: Windows) -> None:
        units = self.network.units
        if units is None or not units.variational:
            return
        some = evenly_spaced(len(windows), USE_WINDOWS)
        found = measure_usefulness(self.network, windows.gather(some.to(windows.starts.device)))
        if found is not None:
            units.statistics.use.copy_(found.use)
            units.statistics.dynamic_use.copy_(found.dynamic_use)
            units.statistics.outcome_information.copy_(found.outcome_information)
            units.statistics.marginal_use.copy_(found.marginal_use)
            units.statistics.measurements.add_(1)


def _held_out_scores(network: TrajectoryNetwork, windows: Windows) -> dict[str, float]:
    """Joint and marginal NLL, both nats per observed step, and mean squared error."""
    joint, marginal, squared, steps = 0.0, 0.0, 0.0, 0.0
    for batch in windows.batches(EVALUATION_BATCH):
        path = network(batch.context, batch.context_observed)
        error = (batch.target - path.loc).square()
        if batch.target_observed is not None:
            error = error * batch.target_observed
        joint += float(path.joint_nll(batch.target, batch.target_observed).double().sum())
        marginal += float(path.marginal_nll(batch.target, batch.target_observed).double().sum())
        squared += float(error.double().sum())
        seen = batch.target_observed
        steps += float(batch.target.numel() if seen is None else seen.sum())
    return {
        "val_joint_nll": joint / steps,
        "val_nll": marginal / steps,
        "val_mse": squared / steps,
    }


def _best_gain(network: TrajectoryNetwork, windows: Windows) -> Tensor:
    """How much of Rµ serves single steps on held-out windows.

    On short or wandering series what units add to the mean path is noise (Exchange: validation
    MSE .140 with all of it, .132 with none), on Weather it is signal (.480 against .484).
    """
    losses = torch.zeros(len(GAINS), dtype=torch.float64)
    for batch in windows.batches(EVALUATION_BATCH):
        reading = network.read(batch.context, batch.context_observed)
        if reading.latent is None:
            break
        base = reading.window.location + reading.window.scale * reading.mean_path
        shift = reading.window.scale * network.mean_shift(reading.latent)
        scale = reading.window.scale * reading.spread
        for i, gain in enumerate(GAINS):
            path = TrajectoryDistribution(base + gain * shift, scale, network.df())
            nll = path.marginal_nll(batch.target, batch.target_observed)
            losses[i] += nll.double().sum().cpu()
    return torch.tensor(GAINS[int(losses.argmin())])
