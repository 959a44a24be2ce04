"""Independent steps, each a t with a ν of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from vneuron.forecasting.laws.law import StudentLaw
from vneuron.forecasting.laws.trajectory import AbstractTrajectory
from vneuron.forecasting.scoring.scores import as_float64


@dataclass(frozen=True)
class IndependentSteps(AbstractTrajectory):
    """What a distribution loss per step says of a path.

    Attributes:
        loc, scale, df: [batch, H] each; ν above 2.
    """

    loc: Tensor
    scale: Tensor
    df: Tensor

    def __len__(self) -> int:
        return len(self.loc)

    @property
    def horizon(self) -> int:
        return self.loc.shape[1]

    def point(self) -> Tensor:
        return self.loc

    def sd(self) -> Tensor:
        return self.scale * (self.df / (self.df - 2.0)).sqrt()

    def unit_share(self) -> Tensor:
        return torch.zeros_like(self.loc)

    def marginal_nll(self, target: Tensor, observed: Tensor | None = None) -> Tensor:
        law = torch.distributions.StudentT(self.df, self.loc, self.scale)
        nll = -law.log_prob(target)
        return nll if observed is None else torch.where(observed, nll, torch.zeros_like(nll))

    def joint_nll(self, target: Tensor, observed: Tensor | None = None) -> Tensor:
        return self.marginal_nll(target, observed).sum(-1)

    def steps(self) -> StudentLaw:
        return StudentLaw(as_float64(self.loc), as_float64(self.scale), as_float64(self.df))

    def functional(self, weights: Tensor) -> StudentLaw:
        """Gaussian, as sums of many independent steps are, with their mean and variance."""
        columns = weights.reshape(self.horizon, -1).to(self.loc)
        shape = (len(self), *weights.shape[1:])
        spread = (self.sd().square() @ columns.square()).sqrt().reshape(shape)
        return StudentLaw(as_float64((self.loc @ columns).reshape(shape)), as_float64(spread), None)

    def sample(self, draws: int, generator: torch.Generator | None = None) -> Tensor:
        shape = (len(self), draws, self.horizon)
        noise = torch.randn(shape, generator=generator, dtype=self.loc.dtype)
        half = (0.5 * self.df)[:, None].expand(shape).contiguous()
        g = torch._standard_gamma(half, generator=generator) / half
        return self.loc[:, None] + self.scale[:, None] * noise / g.sqrt()

    def rescale(self, mean: Tensor, sd: Tensor) -> Self:
        mean, sd = mean.double()[:, None], sd.double()[:, None]
        loc = self.loc.double() * sd + mean
        return type(self)(loc, self.scale.double() * sd, self.df.double())

    def to(self, device: torch.device | str) -> Self:
        return type(self)(self.loc.to(device), self.scale.to(device), self.df.to(device))

    def float(self) -> Self:
        return type(self)(self.loc.float(), self.scale.float(), self.df.float())

    def without_latent(self) -> Self:
        return self
