"""What training any forecasting network has in common: windows, held-out scores, units' use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..core import Collect, LocalTerm
from ..objective import penalties
from ..training.task import AbstractTask
from ..vitals.health import health
from .cold_start import hide_beginnings
from .data.place import Place
from .data.windows import WindowBatch, Windows, evenly_spaced
from .latent_share import remember_latent_share
from .laws.trajectory import AbstractTrajectory
from .macro_use import measure_macro_use
from .networks.forecast_network import AbstractForecastNetwork
from .usefulness import Usefulness

if TYPE_CHECKING:
    import pandas as pd

EVALUATION_BATCH = 2048
MOST_JUDGED = 65_536


class AbstractForecastObjective(nn.Module, ABC):
    """A network, and what its forecasts cost; every objective is in nats per window.

    Args:
        network: what is trained.
    """

    def __init__(self, network: AbstractForecastNetwork) -> None:
        super().__init__()
        self.collected = Collect(network)

    @property
    def network(self) -> AbstractForecastNetwork:
        """What is trained."""
        network = self.collected.model
        if not isinstance(network, AbstractForecastNetwork):
            raise TypeError(
                f"the objective holds a {type(network).__name__}, not a forecasting network"
            )
        return network

    @abstractmethod
    def nll(
        self, path: AbstractTrajectory, target: Tensor, observed: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What a forecast costs when `target` comes.

        Args:
            path: the forecast.
            target: [batch, H].
            observed: mask [batch, H]; None where all is observed.

        Returns:
            Nats per window, [batch], and numbers to log, detached.
        """

    def forward(
        self,
        context: Tensor,
        target: Tensor,
        context_observed: Tensor | None = None,
        target_observed: Tensor | None = None,
        place: Place | None = None,
    ) -> tuple[Tensor, tuple[LocalTerm, ...], Tensor, dict[str, Tensor]]:
        """Nats per window [batch], the units' terms, the controls' penalty, and numbers to log."""
        path: AbstractTrajectory
        path, terms = self.collected(context, context_observed, place)
        # under mixed precision the network is in bfloat16; likelihoods must not be
        with torch.autocast(context.device.type, enabled=False):
            nll, logs = self.nll(path.float(), target, target_observed)
        told = penalties(self.network, terms)
        # filled where it is: a number copied to a GPU would wait for it at every step
        penalty = told.to(nll.dtype) if isinstance(told, Tensor) else nll.new_full((), told)
        return nll, terms, penalty, logs


class AbstractForecastTask(AbstractTask):
    """Training windows, validation windows, and a network between them.

    Args:
        objective: around the network that is trained.
        network: that network.
        score: the held-out score by which checkpoints are chosen: "val_joint_nll" or "val_nll".
        train: windows to learn from.
        validation: held-out windows; at least one. Of more than 65,536 so many are judged, evenly
            spaced: an epoch has a thousand steps at most, and would wait for its scores.
        use_windows: at most so many of these tell what units are worth.
    """

    def __init__(
        self,
        objective: AbstractForecastObjective,
        network: AbstractForecastNetwork,
        score: str,
        train: Windows,
        validation: Windows,
        use_windows: int,
    ) -> None:
        self.module = objective
        self.score = score
        self.examples = len(train)
        self._network = network
        self._train = train
        self._validation = validation.take(evenly_spaced(len(validation), MOST_JUDGED))
        self._use_windows = use_windows

    @abstractmethod
    def calibrate(self, windows: Windows) -> None:
        """Set what of the network is chosen on held-out windows and not trained."""

    @abstractmethod
    def usefulness(self, batch: WindowBatch) -> Usefulness | None:
        """What each unit is worth on held-out windows; None where that cannot be told."""

    def batch(self, indices: Tensor, device: torch.device) -> tuple[Any, ...]:
        """Context and target, their masks where something is missing, and places.

        A network that reads masks is to forecast series that have just begun, too: it learns from
        some windows of which it sees the end alone. A prior with a memory needs whole ones.
        """
        if self._train.device != device:  # once: the series are large, a batch is not
            self._train = self._train.to(device)
        batch = self._train.gather(indices.to(device, non_blocking=True))
        context, observed = batch.context, batch.context_observed
        if self._network.mask_inputs and not self._network.prior_lag:
            shortest = self._network.shortest
            context, observed = hide_beginnings(context, observed, shortest=shortest)
        return context, batch.target, observed, batch.target_observed, batch.place

    def validate(self, module: nn.Module) -> dict[str, float]:
        """Held-out scores: NLL in nats per step, MSE in squared training deviations.

        Calibrates the network, and measures what each unit is worth and all of them carry.
        """
        device = next(module.parameters()).device
        if self._validation.device != device:
            self._validation = self._validation.to(device)
        self.calibrate(self._validation)
        scores = held_out_scores(self._network, self._validation)
        self._measure_use(self._validation)
        return scores

    def vitals(self) -> pd.DataFrame | None:
        """Every unit's vitals and verdict as of the last validation; None without units."""
        units = self._network.units
        return None if units is None or not units.variational else health(self.module).units

    def _measure_use(self, windows: Windows) -> None:
        units = self._network.units
        if units is None or not units.variational:
            return
        remember_latent_share(self._network, windows, self._use_windows)
        some = evenly_spaced(len(windows), self._use_windows)
        batch = windows.gather(some.to(windows.device))
        shared = measure_macro_use(self._network, batch)
        if shared is not None and self._network.macro is not None:
            # Not counted as a measurement: budgets by use go by what the forecast gains.
            self._network.macro.statistics.use.copy_(shared[0])
            self._network.macro.statistics.dynamic_use.copy_(shared[1])
        found = self.usefulness(batch)
        if found is not None:
            units.statistics.use.copy_(found.use)
            units.statistics.dynamic_use.copy_(found.dynamic_use)
            units.statistics.outcome_information.copy_(found.outcome_information)
            units.statistics.marginal_use.copy_(found.marginal_use)
            units.statistics.measurements.add_(1)


def decayed_groups(parameters: list[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Groups for AdamW in which only matrices are decayed.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> [len(group["params"]) for group in decayed_groups(list(layer.parameters()), 0.01)]
        [1, 1]
    """
    return [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]


def held_out_scores(network: AbstractForecastNetwork, windows: Windows) -> dict[str, float]:
    """Joint and marginal NLL, both nats per observed step, and mean squared error."""
    joint, marginal, squared, steps = 0.0, 0.0, 0.0, 0.0
    for batch in windows.batches(EVALUATION_BATCH):
        path: AbstractTrajectory = network(*batch.inputs)
        error = (batch.target - path.point()).square()
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
