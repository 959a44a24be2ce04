r"""The predictive distribution as a mixture over draws of the latent.

.. math:: p(y \mid x) = \sum_s w_s\, t_\nu(y;\ m(z_s),\ \mathrm{diag}(\tau^2)), \qquad
          z_s \sim q(z \mid x)

Given z and the t's mixing variable g, steps are independent; what ties them together is that each
draw is a whole path. It is a density of paths in its own right, the one that is forecast with, and
for equal weights its log-density at y is, in expectation, at most that with z integrated out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ...functional.student import joint_nll, marginal_nll
from ..scoring.scores import as_float64
from .law import MixtureLaw
from .predictive import TrajectoryDistribution
from .trajectory import AbstractTrajectory, at_least_single, mixing


@dataclass(frozen=True)
class MixtureTrajectory(AbstractTrajectory):
    """A weighted mixture of paths with noise about each.

    Attributes:
        loc: the paths m(z_s), [batch, S, H].
        scale: τ, scale of the noise at each step, the same for every draw, [batch, H].
        df: ν, a scalar tensor above 2; None is the Gaussian.
        log_weights: ln w, [batch, S], normalised; None where draws count the same.
        median_point: put the draws' median forward at each step, in place of the mean.

    Example:
        >>> loc = torch.tensor([[[0.0, 0.0], [2.0, 2.0]]])
        >>> path = MixtureTrajectory(loc, torch.ones(1, 2), None)
        >>> path.point(), path.unit_share()
        (tensor([[1., 1.]]), tensor([[0.5000, 0.5000]]))
    """

    loc: Tensor
    scale: Tensor
    df: Tensor | None
    log_weights: Tensor | None = None
    median_point: bool = False

    def __len__(self) -> int:
        return self.loc.shape[0]

    @property
    def horizon(self) -> int:
        """H."""
        return self.loc.shape[2]

    def mean(self) -> Tensor:
        """Expectation of each step, [batch, H]."""
        if self.log_weights is None:
            return self.loc.mean(1)
        return torch.einsum("bs,bsh->bh", self.log_weights.exp(), self.loc)

    def point(self) -> Tensor:
        """The mean, or the step-by-step median of the draws' paths, [batch, H]."""
        return self.loc.quantile(0.5, dim=1) if self.median_point else self.mean()

    def sd(self) -> Tensor:
        """Standard deviation of each step, [batch, H]."""
        return (self._noise_variance() + self._between_variance()).sqrt()

    def unit_share(self) -> Tensor:
        """Share of each step's variance that lies between draws, [batch, H]."""
        between = self._between_variance()
        return between / (between + self._noise_variance())

    def marginal_nll(self, target: Tensor, observed: Tensor | None = None) -> Tensor:
        """Of the mixture at each step, [batch, H] nats."""
        residual = self._residual(target, observed)
        nll = self._mix(marginal_nll(residual, self.scale.log()[:, None], self.df))
        return nll if observed is None else torch.where(observed, nll, torch.zeros_like(nll))

    def joint_nll(self, target: Tensor, observed: Tensor | None = None) -> Tensor:
        r"""−ln \sum_s w_s p(y | z_s), [batch] nats: whole paths are mixed, not steps."""
        return self._mix(self.component_nll(target, observed))

    def component_nll(self, target: Tensor, observed: Tensor | None = None) -> Tensor:
        """Negative log density of the path given each draw, [batch, S] nats."""
        squared = self._residual(target, observed).square()
        log_scale = self.scale.log()
        if observed is None:
            steps = squared.new_full((), self.horizon)
        else:
            squared = torch.where(observed[:, None], squared, torch.zeros_like(squared))
            log_scale = torch.where(observed, log_scale, torch.zeros_like(log_scale))
            steps = observed.sum(-1, keepdim=True).to(squared.dtype)
        return joint_nll(squared.sum(-1), log_scale.sum(-1, keepdim=True), steps, self.df)

    def steps(self) -> MixtureLaw:
        """The mixture at each step, [batch, H]."""
        return self._law(self.loc.mT, self.scale)

    def functional(self, weights: Tensor) -> MixtureLaw:
        """Weighted sums of the path: the same mixture, of t's about each path's own sum."""
        columns = weights.reshape(self.horizon, -1).to(self.loc)
        loc = (self.loc @ columns).mT
        scale = (self.scale.square() @ columns.square()).sqrt()
        shape = (len(self), *weights.shape[1:])
        return self._law(loc.reshape(*shape, -1), scale.reshape(shape))

    def sample(self, draws: int, generator: torch.Generator | None = None) -> Tensor:
        """Joint paths [batch, S, H]: a draw's path, then noise about it."""
        batch, components = self.loc.shape[:2]
        weights = self.loc.new_ones(batch, components)
        if self.log_weights is not None:
            weights = self.log_weights.exp()
        chosen = torch.multinomial(weights, draws, replacement=True, generator=generator)
        path = self.loc.gather(1, chosen[..., None].expand(-1, -1, self.horizon))
        shape = (batch, draws, self.horizon)
        device, dtype = self.loc.device, self.loc.dtype
        noise = torch.randn(shape, generator=generator, dtype=dtype, device=device)
        if self.df is not None:
            noise = noise / mixing(batch, draws, self.df, generator).sqrt()
        return path + self.scale[:, None] * noise

    def rescale(self, mean: Tensor, sd: Tensor) -> MixtureTrajectory:
        """The law of mean + sd · y, in double precision."""
        mean, sd = mean.double()[:, None], sd.double()[:, None]
        return replace(
            self,
            loc=self.loc.double() * sd[..., None] + mean[..., None],
            scale=self.scale.double() * sd,
            df=None if self.df is None else self.df.double(),
            log_weights=None if self.log_weights is None else self.log_weights.double(),
        )

    def shift(self, scales: Tensor) -> MixtureTrajectory:
        """All paths moved by `scales` [batch] times the scale of one t of the same spread."""
        by = scales.to(self.loc)[:, None] * self.sd() / _deviation(self.df)
        return replace(self, loc=self.loc + by[:, None])

    def widen(self, factor: Tensor) -> MixtureTrajectory:
        """Paths' distances from their mean, and the scale about each, times `factor` [batch]."""
        factor, mean = factor.to(self.scale)[:, None], self.mean()[:, None]
        loc = mean + factor[..., None] * (self.loc - mean)
        return replace(self, loc=loc, scale=self.scale * factor)

    def to(self, device: torch.device | str) -> MixtureTrajectory:
        """The same on another device."""
        return replace(
            self,
            loc=self.loc.to(device),
            scale=self.scale.to(device),
            df=None if self.df is None else self.df.to(device),
            log_weights=None if self.log_weights is None else self.log_weights.to(device),
        )

    def float(self) -> MixtureTrajectory:
        """The same in single precision or better."""
        weights = self.log_weights
        return replace(
            self,
            loc=at_least_single(self.loc),
            scale=at_least_single(self.scale),
            log_weights=None if weights is None else at_least_single(weights),
        )

    def without_latent(self) -> TrajectoryDistribution:
        """One t with the mixture's mean and standard deviation at each step.

        The margins keep their first two moments, not their shape, which a mixture of t's has to
        itself.
        """
        scale = self.sd() / _deviation(self.df)
        return TrajectoryDistribution(self.mean(), scale, self.df)

    def _residual(self, target: Tensor, observed: Tensor | None) -> Tensor:
        """(y − m(z_s)) / τ, [batch, S, H]; a missing target, which may be NaN, counts as 0."""
        if observed is not None:
            target = torch.where(observed, target, torch.zeros_like(target))
        return (target[:, None] - self.loc) / self.scale[:, None]

    def _mix(self, nats: Tensor) -> Tensor:
        """From the draws' nats, [batch, S, ...], to the mixture's, [batch, ...]."""
        if self.log_weights is None:
            return math.log(nats.shape[1]) - torch.logsumexp(-nats, dim=1)
        weights = self.log_weights.reshape(*self.log_weights.shape, *[1] * (nats.dim() - 2))
        return -torch.logsumexp(weights - nats, dim=1)

    def _noise_variance(self) -> Tensor:
        return (self.scale * _deviation(self.df)).square()

    def _between_variance(self) -> Tensor:
        about = (self.loc - self.mean()[:, None]).square()
        return replace(self, loc=about).mean()

    def _law(self, loc: Tensor, scale: Tensor) -> MixtureLaw:
        """The law with `loc` [batch, ..., S] and `scale` [batch, ...]."""
        weights = np.full(1, 1.0 / loc.shape[-1])
        if self.log_weights is not None:
            weights = as_float64(self.log_weights.double().exp())
            weights = weights.reshape(len(weights), *[1] * (loc.dim() - 2), -1)
        df = None if self.df is None else self.df.item()
        return MixtureLaw(as_float64(loc), as_float64(scale), df, weights)


def _deviation(df: Tensor | None) -> Tensor | float:
    """Standard deviation of the standard t."""
    return 1.0 if df is None else (df / (df - 2.0)).sqrt()
