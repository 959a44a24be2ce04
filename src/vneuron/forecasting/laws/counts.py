r"""The predictive distribution of paths of counts: exact margins, tied by a Gaussian copula.

.. math:: y_h = F_h^{-1}(\Phi(w_h)), \qquad w \sim N(0, C)

with F_h negative binomial or Poisson, and C the low-rank correlation of `TrajectoryDistribution`.
Whatever C is, each step has its law; sums and extremes come from draws, which are whole numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...functional import negative_binomial
from ..scoring.scores import as_float64
from .count_law import CountLaw, counts_at
from .drawn_counts import DrawnCounts
from .predictive import TrajectoryDistribution
from .trajectory import AbstractTrajectory, at_least_single

JITTERS = 16
"""Draws within the steps of F that a joint NLL averages over."""

SUM_DRAWS = 500
_EDGE = 1e-9


@dataclass(frozen=True)
class CountTrajectory(AbstractTrajectory):
    """Counts for each step of each window.

    Attributes:
        rate: µ, the mean of each step, [batch, H].
        dispersion: α, by which the variance is µ + α µ², [batch, H]; None is Poisson.
        copula: the law of w, margins N(0, 1); None where steps are independent.

    Example:
        >>> path = CountTrajectory(torch.full((1, 3), 2.0), None, None)
        >>> path.sample(4).shape, path.steps().quantile(0.5)
        (torch.Size([1, 4, 3]), array([[2., 2., 2.]]))
    """

    rate: Tensor
    dispersion: Tensor | None
    copula: TrajectoryDistribution | None

    def __len__(self) -> int:
        return self.rate.shape[0]

    @property
    def horizon(self) -> int:
        """H."""
        return self.rate.shape[1]

    def point(self) -> Tensor:
        """The mean, [batch, H]; it need not be whole."""
        return self.rate

    def sd(self) -> Tensor:
        """Standard deviation of each step, [batch, H]."""
        extra = 0.0 if self.dispersion is None else self.dispersion * self.rate.square()
        return (self.rate + extra).sqrt()

    def unit_share(self) -> Tensor:
        """Share of the variance of w that the units carry, [batch, H]."""
        return torch.zeros_like(self.rate) if self.copula is None else self.copula.unit_share()

    def marginal_nll(self, target: Tensor, observed: Tensor | None = None) -> Tensor:
        """Negative log mass of each step by itself, exact, [batch, H] nats."""
        nats = negative_binomial.nll(_known(target, observed), self.rate, self.dispersion)
        return nats if observed is None else torch.where(observed, nats, torch.zeros_like(nats))

    def joint_nll(self, target: Tensor, observed: Tensor | None = None) -> Tensor:
        r"""Negative log mass of the path, [batch] nats; without a copula exact, else from above.

        The mass of a box under the copula is E \prod_h f_h c(v) with v uniform between F(y − 1)
        and F(y): an average over 16 draws of v, of a fixed seed. Its logarithm lies below that
        of the mass in expectation, the less the larger the counts.
        """
        nats = self.marginal_nll(target, observed).sum(-1)
        if self.copula is None:
            return nats
        generator = torch.Generator().manual_seed(0)
        box = self._box(target, observed)
        ties = [self._tie(self._place(box, generator), observed) for _ in range(JITTERS)]
        return nats + math.log(JITTERS) - torch.logsumexp(-torch.stack(ties), dim=0)

    def tie_nll(
        self,
        target: Tensor,
        observed: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """−ln c(v) at one draw of v, [batch] nats; gradients reach the copula alone."""
        return self._tie(self.scores(target, observed, generator), observed)

    def scores(
        self,
        target: Tensor,
        observed: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """W = Φ⁻¹(v) with v drawn between F(y − 1) and F(y), [batch, H]: normal if F holds."""
        return self._place(self._box(target, observed), generator)

    @torch.no_grad()
    def _box(self, target: Tensor, observed: Tensor | None) -> tuple[Tensor, Tensor]:
        """F(y − 1) and F(y), [batch, H] each; no gradient."""
        law, y = self.steps(), as_float64(_known(target, observed).double())
        return torch.from_numpy(law.cdf(y - 1.0)), torch.from_numpy(law.cdf(y))

    def _place(self, box: tuple[Tensor, Tensor], generator: torch.Generator | None) -> Tensor:
        """Normal scores of a uniform draw between the two."""
        below, above = box
        place = torch.rand(below.shape, generator=generator, dtype=below.dtype)
        v = (below + place * (above - below)).clamp(_EDGE, 1.0 - _EDGE)
        w: Tensor = torch.special.ndtri(v).to(self.rate)
        return w

    def _tie(self, w: Tensor, observed: Tensor | None) -> Tensor:
        """−ln c at normal scores, [batch] nats."""
        if self.copula is None:
            return self.rate.new_zeros(len(self))
        own = self.copula.marginal_nll(w, observed).sum(-1)
        return self.copula.joint_nll(w, observed) - own

    def steps(self) -> CountLaw:
        """The law of each step, [batch, H]."""
        dispersion = None if self.dispersion is None else as_float64(self.dispersion.double())
        return CountLaw(as_float64(self.rate.double()), dispersion)

    def functional(self, weights: Tensor) -> DrawnCounts:
        """Weighted sums of the path, from 500 joint draws of a fixed seed; their mean is exact."""
        columns = weights.reshape(self.horizon, -1).double().cpu()
        # the generator is the host's, and so must be what draws with it
        drawn = self.to("cpu").sample(SUM_DRAWS, torch.Generator().manual_seed(0)).double()
        shape = (len(self), *weights.shape[1:])
        sums = (drawn @ columns).mT.reshape(*shape, SUM_DRAWS)
        mean = (self.rate.double().cpu() @ columns).reshape(shape)
        return DrawnCounts(as_float64(sums), as_float64(mean))

    def sample(self, draws: int, generator: torch.Generator | None = None) -> Tensor:
        """Joint paths of whole numbers, [batch, S, H]."""
        copula = self.copula or _independent(self.rate)
        w = copula.sample(draws, generator).double().cpu()
        cells = as_float64(torch.special.ndtr(w).mT.reshape(-1, draws))
        law = self.steps()
        flat = None if law.dispersion is None else law.dispersion.reshape(-1)
        counts = counts_at(cells, CountLaw(law.rate.reshape(-1), flat))
        paths = torch.from_numpy(counts).reshape(len(self), self.horizon, draws).mT
        return paths.to(self.rate)

    def rescale(self, mean: Tensor, sd: Tensor) -> CountTrajectory:
        """The same in double precision: counts are not scaled.

        Raises:
            ValueError: for any mean but 0 and any standard deviation but 1.
        """
        if bool((mean != 0).any()) or bool((sd != 1).any()):
            raise ValueError("counts cannot be rescaled, expected mean 0 and standard deviation 1")
        copula = self.copula
        if copula is not None:
            copula = copula.rescale(torch.zeros_like(mean), torch.ones_like(sd))
        dispersion = None if self.dispersion is None else self.dispersion.double()
        return CountTrajectory(self.rate.double(), dispersion, copula)

    def to(self, device: torch.device | str) -> CountTrajectory:
        """The same on another device."""
        return CountTrajectory(
            self.rate.to(device),
            None if self.dispersion is None else self.dispersion.to(device),
            None if self.copula is None else self.copula.to(device),
        )

    def float(self) -> CountTrajectory:
        """The same in single precision or better."""
        return CountTrajectory(
            at_least_single(self.rate),
            None if self.dispersion is None else at_least_single(self.dispersion),
            None if self.copula is None else self.copula.float(),
        )

    def without_latent(self) -> CountTrajectory:
        """The same margins, exactly, with independent steps."""
        return replace(self, copula=None)


def _known(target: Tensor, observed: Tensor | None) -> Tensor:
    """Targets with 0 for what is missing, which may be NaN."""
    return target if observed is None else torch.where(observed, target, torch.zeros_like(target))


def _independent(like: Tensor) -> TrajectoryDistribution:
    return TrajectoryDistribution(torch.zeros_like(like), torch.ones_like(like), None)
