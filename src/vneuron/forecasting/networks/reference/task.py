"""What training the reference network means."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ...data.windows import WindowBatch, Windows
from ...forecast_task import AbstractForecastObjective, AbstractForecastTask, decayed_groups
from ...laws.trajectory import AbstractTrajectory
from ...usefulness import Usefulness
from .network import ReferenceNetwork
from .use import measure_use

USE_WINDOWS = 256


class ReferenceObjective(AbstractForecastObjective):
    r"""Likelihood of whole paths under the mixture over draws, in nats per window.

    .. math:: -\ln \sum_s w_s\, p(y \mid z_s) + \textstyle\sum_j \beta_j KL_j

    The log is taken of the sum of the densities of whole paths. With equal weights and β = 1 its
    negative is a lower bound on ln ∫ p(y | z) q(z | x) dz less the KL, tighter the more draws.
    """

    def nll(
        self, path: AbstractTrajectory, target: Tensor, observed: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The joint NLL of the mixture, [batch]."""
        nll = path.joint_nll(target, observed)
        return nll, {"joint_nll": nll.detach().mean() / path.horizon}


class ReferenceTask(AbstractForecastTask):
    """The reference network between its windows; checkpoints are chosen by joint NLL.

    Args:
        network: what is trained.
        train: windows to learn from.
        validation: held-out windows; at least one.
        weight_decay: of AdamW, on weight matrices.
    """

    def __init__(
        self,
        network: ReferenceNetwork,
        train: Windows,
        validation: Windows,
        weight_decay: float = 1e-2,
    ) -> None:
        objective = ReferenceObjective(network)
        super().__init__(objective, network, "val_joint_nll", train, validation, USE_WINDOWS)
        self.network = network
        self._weight_decay = weight_decay

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Matrices are decayed; biases, τ and ν are not."""
        return decayed_groups(list(self.network.parameters()), self._weight_decay)

    def calibrate(self, windows: Windows) -> None:
        """Nothing: all of this network is trained."""

    def usefulness(self, batch: WindowBatch) -> Usefulness | None:
        """Use and dynamic use of every unit, to second order."""
        return measure_use(self.network, batch)
