r"""What each unit is worth on held-out windows, in nats per window.

*Use* is the rise of the joint NLL when a unit is silenced (s_j = 0, margins kept, what it steers
held at its mean): what it explains at all. *Dynamic use* is the rise when only its dependence on
the window is taken away (s_j and µ_j frozen at their means): what the unit does that a fixed factor
could not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..core import AbstractUnit, Latent
from ..functional.gaussian import information_rate
from ..functional.low_rank import posterior, whiten
from ..functional.own_noise import OwnNoise
from ..functional.student import joint_nll
from .data.windows import WindowBatch
from .laws.predictive import TrajectoryDistribution
from .networks.network import TrajectoryNetwork

SMALLEST_RATE = 1e-3
"""Nats; keeps the price of a nat finite for a unit that takes none."""


class Usefulness(NamedTuple):
    """Means over held-out windows, nats per window, [units] each.

    Attributes:
        use: rise of the joint NLL when the unit is silenced.
        dynamic_use: rise when the unit is frozen at its mean.
        outcome_information: model-implied information between unit and outcome.
        marginal_use: what the next nat of the unit's rate would take off the joint NLL, in nats
            per nat.
    """

    use: Tensor
    dynamic_use: Tensor
    outcome_information: Tensor
    marginal_use: Tensor


LEAST_HEARD = 1e-6
"""Share of what units add to the path that is taken where nothing of it is left."""


@torch.no_grad()
def measure_usefulness(network: TrajectoryNetwork, batch: WindowBatch) -> Usefulness | None:
    """Use, dynamic use and outcome information of every unit.

    Windows with a missing target are left out.

    Args:
        network: in evaluation mode, with variational units.
        batch: held-out windows; some hundreds tell units apart.

    Returns:
        None where there is nothing to measure: no variational units, or no complete window.
    """
    units, loading = network.units, network.loading
    batch = batch.complete()
    if units is None or loading is None or not len(batch.target):
        return None
    reading = network.read(*batch.inputs)
    if reading.latent is None:
        return None
    path = network.distribution(reading)
    # of a path that is drawn in to its level nothing of what units add is left
    heard = None if reading.heard is None else reading.heard.clamp_min(LEAST_HEARD)
    return usefulness_of(
        HeldOut.of(
            path,
            path.residual(batch.target),
            units,
            reading.latent,
            loading=loading,
            reader=network.mean_gain * network.path_reader(),
            spread=reading.spread if heard is None else reading.spread / heard,
            own_noise=network.own_noise,
        )
    )


def usefulness_of(held_out: HeldOut) -> Usefulness:
    """Every unit changed in turn; see `measure_usefulness`."""
    present = held_out.present(held_out.residual, held_out.scale, held_out.scale)
    every = range(held_out.units)
    return Usefulness(
        use=torch.stack([held_out.silenced(unit) for unit in every]) - present,
        dynamic_use=torch.stack([held_out.frozen(unit) for unit in every]) - present,
        outcome_information=held_out.outcome_information(),
        marginal_use=held_out.marginal_use(),
    )


@dataclass(frozen=True)
class HeldOut:
    """Held-out windows, read once; every unit is then changed in turn."""

    path: TrajectoryDistribution
    loading: Tensor  # W, [H, M]
    residual: Tensor  # r, [batch, H]
    units: int
    loc: Tensor  # µ, [batch, M]
    scale: Tensor  # s, [batch, M]
    reader: Tensor  # R, [H, M]
    spread: Tensor  # τ, [batch, H]
    own_noise: Callable[[Tensor], OwnNoise | None]

    @classmethod
    def of(
        cls,
        path: TrajectoryDistribution,
        residual: Tensor,
        units: AbstractUnit,
        latent: Latent,
        *,
        loading: Tensor,
        reader: Tensor,
        spread: Tensor,
        own_noise: Callable[[Tensor], OwnNoise | None],
    ) -> HeldOut:
        """From a path, its standardised residuals, and the posteriors behind it.

        Args:
            path: whose correlation is looked at.
            residual: r, [batch, H].
            units: the layer.
            latent: its posteriors.
            loading: W itself, [H, M]; a path's own may hold the steps' own noise.
            reader: R, [H, M].
            spread: what a change of the path is divided by to be one of r, [batch, H].
            own_noise: from the units' scales to the steps' own noise.
        """
        scale, loc = latent.scale.flatten(1), latent.loc.flatten(1)
        loading = loading.detach()
        return cls(path, loading, residual, units.units, loc, scale, reader, spread, own_noise)

    def present(self, residual: Tensor, scale: Tensor, steering: Tensor) -> Tensor:
        """Mean NLL, up to the margins' scales, which are the same whatever unit is changed.

        Args:
            residual: r, [batch, H].
            scale: s of the columns of W, [batch, M].
            steering: s by which the own noise goes, [batch, M].
        """
        found = whiten(residual, self.loading, scale, own=self.own_noise(steering))
        steps = residual.new_full((), residual.shape[1])
        return joint_nll(found.quadratic, 0.5 * found.logdet, steps, self.path.df).mean()

    def _of(self, unit: int) -> slice:
        k = self.loc.shape[1] // self.units
        return slice(unit * k, (unit + 1) * k)

    def _still(self, unit: int) -> Tensor:
        """S with the unit's at its mean over these windows."""
        scale, own = self.scale.clone(), self._of(unit)
        scale[:, own] = scale[:, own].mean(0)
        return scale

    def silenced(self, unit: int) -> Tensor:
        """The same without the unit's column; what else it steers is held at its mean."""
        steering = self._still(unit)
        scale = steering.clone()
        scale[:, self._of(unit)] = 0.0
        return self.present(self.residual, scale, steering)

    def frozen(self, unit: int) -> Tensor:
        """The same with the unit at its mean over these windows."""
        own, scale = self._of(unit), self._still(unit)
        moved = self.loc[:, own] - self.loc[:, own].mean(0)
        residual = self.residual + moved @ self.reader[:, own].T / self.spread
        return self.present(residual, scale, scale)

    def outcome_information(self) -> Tensor:
        r"""Model-implied information between each unit and the outcome, given the window and g.

        .. math:: I_j = \tfrac12 \ln \det S_J^2 / \det V_{JJ}
                      = -\tfrac12 \ln\det (M^{-1})_{JJ}, \qquad V = S M^{-1} S

        It depends on the rotation of W, so it is shown and never a bar.

        Returns:
            Nats, mean over windows, [units].
        """
        k = self.loc.shape[1] // self.units
        inverse = posterior(self.loading, self.scale, self.own_noise(self.scale))
        blocks = inverse.reshape(-1, self.units, k, self.units, k)
        own = torch.diagonal(blocks, dim1=1, dim2=3).permute(0, 3, 1, 2)
        return -0.5 * torch.logdet(own).mean(0)

    def marginal_use(self) -> Tensor:
        r"""Held-out nats that the next nat of each unit's rate buys, [units].

        .. math:: -\frac{\partial J / \partial a_j}{\partial R_j / \partial a_j}, \qquad
                  \ln s_j(x) \leftarrow \overline{\ln s_j} + a_j (\ln s_j(x) - \overline{\ln s_j}),

        and likewise µ_j, at a = 1: what it would do to the joint NLL J, and to the rate R, if
        unit j followed the window a little more than it does. One backward pass for all units.
        """
        k = self.loc.shape[1] // self.units
        log_scale, moved = self.scale.log(), self.loc - self.loc.mean(0)
        centre = log_scale.mean(0)
        with torch.enable_grad():
            amplitude = torch.ones(self.units, device=centre.device, requires_grad=True)
            each = amplitude.to(centre.dtype).repeat_interleave(k)
            scale = (centre + each * (log_scale - centre)).exp()
            residual = self.residual - ((each - 1.0) * moved) @ self.reader.T / self.spread
            nll = self.present(residual, scale, scale)
            variance = (each * moved).square().mean(0)
            zero = torch.zeros_like(variance)
            rate = information_rate(zero, variance, scale.square().mean(0), scale.log().mean(0))
            (slope,) = torch.autograd.grad(nll, amplitude, retain_graph=True)
            (cost,) = torch.autograd.grad(rate.sum(), amplitude)
        return -slope / (cost + SMALLEST_RATE)
