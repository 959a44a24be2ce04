"""What training a network for counts means: its objective, and what validation chooses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .data.windows import WindowBatch, Windows
from .forecast_task import (
    EVALUATION_BATCH,
    AbstractForecastObjective,
    AbstractForecastTask,
)
from .laws.counts import CountTrajectory
from .laws.trajectory import AbstractTrajectory
from .networks.count_network import CountNetwork
from .task import GAINS, LOADING_RATE, USE_WINDOWS, network_groups
from .usefulness import HeldOut, Usefulness, usefulness_of


class CountObjective(AbstractForecastObjective):
    r"""Rate-regularised likelihood of paths of counts, in nats per window.

    .. math:: -\textstyle\sum_h \ln f_h(y_h) - \ln c(v) + \sum_j \beta_j KL_j

    The margins' mass is exact. The copula sees fixed margins, at one draw of v between F(y − 1)
    and F(y): in expectation its term is an upper bound of what the copula takes off (Denuit and
    Lambert, J. Multivar. Anal. 93 (2005), on continuing counts by uniform noise).

    Args:
        network: what is trained.
    """

    def nll(
        self, path: AbstractTrajectory, target: Tensor, observed: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Marginal NLL summed over steps, and the copula's with fixed margins, [batch]."""
        if not isinstance(path, CountTrajectory):
            raise TypeError(f"found a {type(path).__name__}, expected a CountTrajectory")
        nll = path.marginal_nll(target, observed).sum(-1)
        logs = {"nll": nll.detach().mean() / path.horizon}
        if path.copula is not None:
            tie = path.tie_nll(target, observed)
            logs["joint_nll"] = (nll + tie).detach().mean() / path.horizon
            nll = nll + tie
        return nll, logs


class CountTask(AbstractForecastTask):
    """Training windows, validation windows, and a network for counts between them.

    Args:
        network: what is trained.
        train: windows to learn from.
        validation: held-out windows; at least one.
        weight_decay: of AdamW, on weight matrices.
    """

    def __init__(
        self,
        network: CountNetwork,
        train: Windows,
        validation: Windows,
        weight_decay: float = 1e-2,
    ) -> None:
        score = "val_nll" if network.loading is None else "val_joint_nll"
        super().__init__(CountObjective(network), network, score, train, validation, USE_WINDOWS)
        self.network = network
        self._weight_decay = weight_decay

    def parameter_groups(self) -> list[dict[str, Any]]:
        """As for trajectories: W learns faster and is not pulled to zero."""
        return network_groups(self.network.core, self._weight_decay, LOADING_RATE)

    @torch.no_grad()
    def calibrate(self, windows: Windows) -> None:
        """Set how much of Rµ forecasts use, by the steps' own NLL."""
        network, core = self.network, self.network.core
        if core.units is None:
            return
        losses = torch.zeros(len(GAINS), dtype=torch.float64)
        for batch in windows.batches(EVALUATION_BATCH):
            reading = network.read(*batch.inputs)
            for i, gain in enumerate(GAINS):
                core.mean_gain.fill_(gain)
                path = network.distribution(reading)
                nll = path.marginal_nll(batch.target, batch.target_observed)
                losses[i] += nll.double().sum().cpu()
        core.mean_gain.fill_(GAINS[int(losses.argmin())])

    @torch.no_grad()
    def usefulness(self, batch: WindowBatch) -> Usefulness | None:
        """Use, dynamic use and outcome information of every unit, in the copula's normal scores.

        What freezing a unit does to the rate is told to first order, as a shift of the scores.
        """
        network, batch = self.network, batch.complete()
        if network.units is None or network.loading is None or not len(batch.target):
            return None
        reading = network.read(*batch.inputs)
        path = network.distribution(reading)
        if reading.latent is None or path.copula is None:
            return None
        w = path.scores(batch.target, None, torch.Generator().manual_seed(0))
        core = network.core
        return usefulness_of(
            HeldOut.of(
                path.copula,
                w,
                network.units,
                reading.latent,
                loading=network.loading,
                reader=core.mean_gain * core.mean_reader,
                spread=path.sd() / reading.window.scale,
                own_noise=core.own_noise,
            )
        )
