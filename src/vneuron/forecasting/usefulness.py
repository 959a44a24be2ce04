r"""What each unit is worth on held-out windows, in nats per window.

*Use* is the rise of the joint NLL when a unit is silenced (s_j = 0, margins kept): what its
column of W explains at all. *Dynamic use* is the rise when only its dependence on the window is
taken away (s_j and µ_j frozen at their means): what the unit does that a fixed factor could not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..core import AbstractUnit, Latent
from ..functional.gaussian import information_rate
from ..functional.leave_one_out import LeaveOneOut
from ..functional.low_rank import Whitened, whiten
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
    reading = network.read(batch.context, batch.context_observed)
    if reading.latent is None:
        return None
    path = network.distribution(reading)
    return usefulness_of(
        HeldOut.of(
            path,
            path.residual(batch.target),
            units,
            reading.latent,
            reader=network.mean_gain * network.mean_reader,
            spread=reading.spread,
        )
    )


def usefulness_of(held_out: HeldOut) -> Usefulness:
    """Every unit changed in turn; see `measure_usefulness`."""
    present = held_out.present(held_out.path.whiten(held_out.residual))
    every = range(held_out.units)
    return Usefulness(
        use=torch.stack([held_out.silenced(unit) for unit in every]) - present,
        dynamic_use=torch.stack([held_out.frozen(unit) for unit in every]) - present,
        outcome_information=held_out.changed.outcome_information().mean(0),
        marginal_use=held_out.marginal_use(held_out.changed.loading),
    )


@dataclass(frozen=True)
class HeldOut:
    """Held-out windows, read once; every unit is then changed in turn."""

    path: TrajectoryDistribution
    residual: Tensor  # r, [batch, H]
    units: int
    changed: LeaveOneOut
    loc: Tensor  # µ about its mean over these windows, [batch, M]
    reader: Tensor  # R, [H, M]
    spread: Tensor  # τ, [batch, H]

    @classmethod
    def of(
        cls,
        path: TrajectoryDistribution,
        residual: Tensor,
        units: AbstractUnit,
        latent: Latent,
        *,
        reader: Tensor,
        spread: Tensor,
    ) -> HeldOut:
        """From a path with a loading, its standardised residuals, and the posteriors behind it.

        Args:
            path: whose correlation is looked at.
            residual: r, [batch, H].
            units: the layer.
            latent: its posteriors.
            reader: R, [H, M].
            spread: what a change of the path is divided by to be one of r, [batch, H].
        """
        if path.loading is None:
            raise ValueError("the path has no loading, expected one: units tie steps through it")
        scale, loc = latent.scale.flatten(1), latent.loc.flatten(1)
        changed = LeaveOneOut(path.loading, scale, units.latent_dim)
        return cls(path, residual, units.units, changed, loc - loc.mean(0), reader, spread)

    def present(self, whitened: Whitened) -> Tensor:
        """Mean NLL, up to the margins' scales, which are the same whatever unit is changed."""
        steps = self.residual.new_full((), self.residual.shape[1])
        return joint_nll(whitened.quadratic, 0.5 * whitened.logdet, steps, self.path.df).mean()

    def silenced(self, unit: int) -> Tensor:
        """The same without the unit's share of the dependence."""
        none = self.residual.new_zeros(self.changed.latent_dim)
        return self.present(self.changed.whiten(unit, self.residual, none))

    def frozen(self, unit: int) -> Tensor:
        """The same with the unit at its mean over these windows."""
        k = self.changed.latent_dim
        own = slice(unit * k, (unit + 1) * k)
        residual = self.residual + self.loc[:, own] @ self.reader[:, own].T / self.spread
        scale = self.changed.scale[:, own].mean(0)
        return self.present(self.changed.whiten(unit, residual, scale))

    def marginal_use(self, loading: Tensor) -> Tensor:
        r"""Held-out nats that the next nat of each unit's rate buys, [units].

        .. math:: -\frac{\partial J / \partial a_j}{\partial R_j / \partial a_j}, \qquad
                  \ln s_j(x) \leftarrow \overline{\ln s_j} + a_j (\ln s_j(x) - \overline{\ln s_j}),

        and likewise µ_j, at a = 1: what it would do to the joint NLL J, and to the rate R, if
        unit j followed the window a little more than it does. One backward pass for all units.
        """
        k = self.changed.latent_dim
        log_scale = self.changed.scale.log()
        centre = log_scale.mean(0)
        with torch.enable_grad():
            amplitude = torch.ones(len(centre) // k, device=centre.device, requires_grad=True)
            each = amplitude.repeat_interleave(k)
            scale = (centre + each * (log_scale - centre)).exp()
            residual = self.residual - ((each - 1.0) * self.loc) @ self.reader.T / self.spread
            nll = self.present(whiten(residual, loading.detach(), scale))
            variance = (each * self.loc).square().mean(0)
            zero = torch.zeros_like(variance)
            rate = information_rate(zero, variance, scale.square().mean(0), scale.log().mean(0))
            (slope,) = torch.autograd.grad(nll, amplitude, retain_graph=True)
            (cost,) = torch.autograd.grad(rate.sum(), amplitude)
        return -slope / (cost + SMALLEST_RATE)
