r"""A trajectory after something has become known of it: steps, sums, any linear equality.

A multivariate t stays one. With location m, scale matrix Σ and ν, and A y = b known (F rows),

.. math:: \delta = (b - Am)^\top (A\Sigma A^\top)^{-1} (b - Am), \qquad
          m' = m + \Sigma A^\top (A\Sigma A^\top)^{-1} (b - Am),

.. math:: \Sigma' = \frac{\nu+\delta}{\nu+F}\,
          (\Sigma - \Sigma A^\top (A\Sigma A^\top)^{-1} A\Sigma), \qquad \nu' = \nu + F.

Σ is kept as :math:`BB^\top + \Psi R(\rho) \Psi - GG^\top` (`TiedScale`): the units' part, the
steps' own noise, and what equalities took away. Where that noise is white, observed steps need no
G: they refine the units' posterior by one natural-gradient step (`vneuron.inference.natural`),
which leaves the other steps tied by new columns B L alone, so that the cost is that of the units x
units factor, whatever was observed. Where it lasts, an observed step also tells of its neighbours'
noise, and each is an equality like any other.

With `scale_weight` w below one, δ and F count w times in ν' and in the factor: the evidence on g,
the spread that all steps share, is tempered, that on everything else is not. A model in which g
holds for the whole path learns it from a few steps with more certainty than data bear out.
With values `told` other than those observed, the rest is given these: a robust posterior, whose
influence is bounded as Huber's ψ bounds it.

Source: Ding (2016), The American Statistician 70(3), for the conditional t.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...functional.factor_form import factor_form
from ...functional.singular import DETERMINED, singular_form
from ...functional.student import joint_nll, marginal_nll
from ...inference.natural import GaussianBelief, linear_evidence, natural_step
from ..scoring.scores import as_float64
from .determined import fault_of_sum
from .law import StudentLaw
from .predictive import TrajectoryDistribution
from .tied_scale import TiedScale
from .trajectory import AbstractTrajectory, at_least_single, mixing


@dataclass(frozen=True)
class ConditionedTrajectory(AbstractTrajectory):
    """A multivariate t given linear equalities, for each window of a batch.

    Attributes:
        loc: m, [batch, H].
        shared: B, the units' part of the scale, [batch, H, M]; M may be 0.
        own: ψ, scale of each step's own noise, [batch, H].
        known: steps that are known themselves, [batch, H].
        df: ν, [batch]; None is the Gaussian.
        rows: P, the equalities so far, with P (BBᵀ + ΨRΨ) Pᵀ = I, [batch, F, H]; rows of zeros
            where a window has fewer. G = (BBᵀ + ΨRΨ) Pᵀ.
        scale_weight: w, of what is learned about g; 1 is the conditional law itself.
        persistence: ρ of the own noise, [batch]; None where it is white.

    Example:
        >>> path = TrajectoryDistribution(torch.zeros(1, 4), torch.ones(1, 4), None)
        >>> known = ConditionedTrajectory.of(path).equate(torch.ones(1, 1, 4), torch.ones(1, 1))
        >>> known.loc, known.sd().square()
        (tensor([[0.2500, 0.2500, 0.2500, 0.2500]]),
         tensor([[0.7500, 0.7500, 0.7500, 0.7500]]))
    """

    loc: Tensor
    shared: Tensor
    own: Tensor
    known: Tensor
    df: Tensor | None
    rows: Tensor
    scale_weight: float = 1.0
    persistence: Tensor | None = None

    @classmethod
    def of(cls, path: TrajectoryDistribution, scale_weight: float = 1.0) -> ConditionedTrajectory:
        """The same law, with nothing known yet.

        Raises:
            ValueError: a weight below 0 or above 1.
        """
        if not 0.0 <= scale_weight <= 1.0:
            raise ValueError(
                f"scale_weight is {scale_weight}, expected from 0 (the spread keeps its law) to 1 "
                "(conditioned in full)"
            )
        batch, horizon = path.loc.shape
        shared, own, persistence = path.unit_part(), path.own_scale(), None
        if shared.shape[-1] and path.own_noise is not None:
            persistence = path.own_noise.expand(batch)
        df = None if path.df is None else path.df.expand(batch)
        rows = path.loc.new_zeros(batch, 0, horizon)
        known = torch.zeros_like(path.loc, dtype=torch.bool)
        return cls(path.loc, shared, own, known, df, rows, scale_weight, persistence)

    def __len__(self) -> int:
        return len(self.loc)

    @property
    def horizon(self) -> int:
        """H."""
        return self.loc.shape[1]

    @property
    def scale_matrix(self) -> TiedScale:
        """Σ."""
        return TiedScale(self.shared, self.own, self.rows, self.persistence)

    @property
    def unknown(self) -> Tensor:
        """Steps that are not known themselves, [batch, H]."""
        return ~self.known

    def window(self, index: int) -> ConditionedTrajectory:
        """One window of the batch."""
        return self._map(lambda values: values[index : index + 1])

    # -- learning more -----------------------------------------------------------------------

    def observe(self, y: Tensor, seen: Tensor, told: Tensor | None = None) -> ConditionedTrajectory:
        """Given the values of some steps.

        Args:
            y: [batch, H]; counts where seen.
            seen: mask [batch, H]; steps that are known already are left as they are.
            told: [batch, H], what these steps tell of the others: the law of those is the one
                given these values; None is y. A value that the law holds for impossible says that
                the law is wrong there, and nothing sensible of other steps.
        """
        seen, told = seen & self.unknown, y if told is None else told
        if self.rows.shape[1] or self.persistence is not None:
            return self._observe_as_equalities(y, seen, told)
        precision = torch.where(seen, self.own, torch.ones_like(self.own)).square().reciprocal()
        weight = torch.where(seen, precision, torch.zeros_like(precision))
        residual = torch.where(seen, told - self.loc, torch.zeros_like(y))
        prior = GaussianBelief.standard(self.shared[:, 0])
        evidence = linear_evidence(prior.shift, self.shared, residual, weight)
        units = natural_step(prior, prior, evidence)
        mean = units.mean()
        # δ by Woodbury: the residual's own part, less what the units explain
        delta = (residual.square() * weight).sum(-1) - (units.shift * mean).sum(-1)
        zero = torch.zeros_like(self.own)
        moved = self.loc + torch.einsum("bhm,bm->bh", self.shared, mean)
        return replace(
            self,
            loc=torch.where(seen, y, moved),
            shared=torch.where(seen[..., None], zero[..., None], self.shared @ units.root()),
            own=torch.where(seen, zero, self.own),
            known=self.known | seen,
        )._rescaled(delta, seen.sum(-1))

    def _observe_as_equalities(
        self, y: Tensor, seen: Tensor, told: Tensor
    ) -> ConditionedTrajectory:
        """One selecting row for each step that some window saw."""
        some = seen.any(0)
        select = torch.diag_embed(seen.to(self.loc.dtype))[:, some]
        values = torch.where(seen, told, torch.zeros_like(told))[:, some]
        known = self.equate(select, values)
        # exactly so, not up to rounding
        return replace(known, loc=torch.where(seen, y, known.loc), known=self.known | seen)

    def equate(self, weights: Tensor, values: Tensor) -> ConditionedTrajectory:
        """Given weighted sums of the path, A y = b.

        Args:
            weights: A, [batch, F, H]; a row of zeros is none.
            values: b, [batch, F].

        Raises:
            ValueError: a sum that what is known determines already, as it does or otherwise.
        """
        active = (weights != 0).any(-1)
        scale = self.scale_matrix
        clear = weights - (weights @ scale.gain()) @ self.rows
        covariance = clear @ scale.untied_times(clear)
        before = (weights @ scale.untied_times(weights)).diagonal(dim1=-2, dim2=-1)
        identity = torch.eye(weights.shape[1], dtype=weights.dtype, device=weights.device)
        covariance = covariance + identity * (~active)[:, None]
        factor, failed = torch.linalg.cholesky_ex(covariance)
        left = factor.diagonal(dim1=-2, dim2=-1).square()
        known = active & ~(left > DETERMINED * before)
        known |= torch.arange(weights.shape[1], device=weights.device) == failed[:, None] - 1
        if bool(known.any()):
            raise ValueError(self._determined(weights, values, known))
        missing = torch.where(active, values - torch.einsum("bfh,bh->bf", weights, self.loc), 0.0)
        white = torch.linalg.solve_triangular(factor, missing[..., None], upper=False)
        rows = torch.linalg.solve_triangular(factor, clear, upper=False)
        rows = torch.where(active[..., None], rows, torch.zeros_like(rows))
        loc = self.loc + (scale.untied_times(rows) @ white)[..., 0]
        found = replace(self, loc=loc, rows=torch.cat([self.rows, rows], 1))
        return found._rescaled(white[..., 0].square().sum(-1), active.sum(-1))

    def _determined(self, weights: Tensor, values: Tensor, known: Tensor) -> str:
        """What is wrong with the first sum that those before it, and what is known, determine."""
        window = int(known.any(-1).int().argmax())
        row = int(known[window].int().argmax())
        one, w, b = self.window(window), weights[window, : row + 1], values[window, : row + 1]
        if row:
            one = one.equate(w[None, :row], b[None, :row])
        return fault_of_sum(b[row], w[row] * one.loc[0])

    def _rescaled(self, delta: Tensor, count: Tensor) -> ConditionedTrajectory:
        """Σ times (ν + wδ)/(ν + wF), and ν + wF."""
        if self.df is None:
            return self
        weight = self.scale_weight
        df = self.df + weight * count
        root = ((self.df + weight * delta.clamp_min(0.0)) / df).sqrt()[:, None]
        return replace(
            self,
            shared=self.shared * root[..., None],
            own=self.own * root,
            rows=self.rows / root[..., None],
            df=df,
        )

    # -- answers -----------------------------------------------------------------------------

    def point(self) -> Tensor:
        """m, mean and median, [batch, H]."""
        return self.loc

    def scale(self) -> Tensor:
        """Scale of each step's t, [batch, H]; 0 at a step that is known."""
        found = self.scale_matrix.steps()
        return torch.where(self.known, torch.zeros_like(found), found)

    def sd(self) -> Tensor:
        """Standard deviation of each step, [batch, H]."""
        if self.df is None:
            return self.scale()
        return self.scale() * (self.df / (self.df - 2.0)).sqrt()[:, None]

    def unit_share(self) -> Tensor:
        r"""Share of each step's variance that lies in its expectation given z, [batch, H].

        One less the part that knowing z would leave. 0 where all is known.
        """
        variance = self.scale().square()
        left = self.scale_matrix.left_by_units()
        share = 1.0 - left / torch.where(variance > 0, variance, torch.ones_like(variance))
        return torch.where(variance > 0, share.clamp(0.0, 1.0), torch.zeros_like(share))

    def steps(self) -> StudentLaw:
        """t_ν at each step, [batch, H]; a known step is certain."""
        return self._law(self.loc, self.scale())

    def functional(self, weights: Tensor) -> StudentLaw:
        """Weighted sums of the path, exactly t_ν."""
        columns = weights.reshape(self.horizon, -1).to(self.loc)
        shape = (len(self), *weights.shape[1:])
        scale = self.scale_matrix.sums(columns)
        return self._law((self.loc @ columns).reshape(shape), scale.reshape(shape))

    def deviation(self, noise: Tensor) -> Tensor:
        """Standard normal numbers to a draw of the path's N(0, Σ).

        Args:
            noise: [batch, S, M + H].

        Returns:
            [batch, S, H].
        """
        return self.scale_matrix.deviation(noise)

    def sample(self, draws: int, generator: torch.Generator | None = None) -> Tensor:
        """Joint paths, [batch, S, H], each of which fulfils every equality."""
        size = (len(self), draws, self.shared.shape[-1] + self.horizon)
        dtype, device = self.loc.dtype, self.loc.device
        drawn = self.deviation(torch.randn(size, generator=generator, dtype=dtype, device=device))
        if self.df is not None:
            drawn = drawn / mixing(len(self), draws, self.df[:, None, None], generator).sqrt()
        return self.loc[:, None] + drawn

    # -- densities ---------------------------------------------------------------------------

    def marginal_nll(self, target: Tensor, observed: Tensor | None = None) -> Tensor:
        """Of each step that is not known, [batch, H] nats; 0 elsewhere."""
        scale = self.scale()
        counts = scale > 0 if observed is None else (scale > 0) & observed
        scale = torch.where(counts, scale, torch.ones_like(scale))
        residual = torch.where(counts, (target - self.loc) / scale, torch.zeros_like(scale))
        df = None if self.df is None else self.df[:, None]
        return torch.where(counts, marginal_nll(residual, scale.log(), df), 0.0)

    def joint_nll(self, target: Tensor, observed: Tensor | None = None) -> Tensor:
        """Of the observed steps that are not known, [batch] nats.

        Given sums of steps it is the density over the plane where they hold, by area in y's
        coordinates; infinite for a path that is not on it.
        """
        counts = self.unknown if observed is None else self.unknown & observed
        residual = torch.where(counts, target - self.loc, torch.zeros_like(self.loc))
        if self.rows.shape[1] or self.persistence is not None:
            quadratic, log_volume, size = singular_form(residual, counts, self.scale_matrix.dense())
        else:
            quadratic, log_volume = factor_form(residual, counts, self.shared, self.own)
            size = counts.sum(-1).to(residual.dtype)
        return joint_nll(quadratic, log_volume, size, self.df)

    # -- forms -------------------------------------------------------------------------------

    def rescale(self, mean: Tensor, sd: Tensor) -> ConditionedTrajectory:
        """The law of mean + sd · y, in double precision."""
        mean, sd = mean.double()[:, None], sd.double()[:, None]
        return replace(
            self,
            loc=self.loc.double() * sd + mean,
            shared=self.shared.double() * sd[..., None],
            own=self.own.double() * sd,
            df=None if self.df is None else self.df.double(),
            rows=self.rows.double() / sd[..., None],
            persistence=None if self.persistence is None else self.persistence.double(),
        )

    def to(self, device: torch.device | str) -> ConditionedTrajectory:
        """The same on another device."""
        return self._map(lambda values: values.to(device))

    def float(self) -> ConditionedTrajectory:
        """The same in single precision or better."""
        return self._map(at_least_single)

    def _map(self, change: Callable[[Tensor], Tensor]) -> ConditionedTrajectory:
        changed: dict[str, Any] = {
            name: change(values)
            for name, values in vars(self).items()
            if isinstance(values, Tensor)
        }
        return replace(self, **changed)

    def without_latent(self) -> ConditionedTrajectory:
        """The same margins, exactly, with steps that only g ties together."""
        shared, rows = self.shared[..., :0], self.rows[:, :0]
        return replace(self, shared=shared, own=self.scale(), rows=rows, persistence=None)

    def _law(self, loc: Tensor, scale: Tensor) -> StudentLaw:
        df = self.df
        if df is not None and loc.dim() == 2:
            df = df[:, None]
        return StudentLaw(
            as_float64(loc), as_float64(scale), None if df is None else as_float64(df)
        )
