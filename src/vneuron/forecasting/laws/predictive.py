r"""The predictive distribution of whole trajectories: multivariate t with a low-rank correlation.

.. math:: y = m + \sqrt{\nu/g}\; D\, n^{-1/2} (W S \varepsilon_z + \Delta \varepsilon),
          \qquad g \sim \chi^2_\nu, \quad D = \mathrm{diag}(\tau)

ε is the steps' own noise, white or first-order autoregressive (`vneuron.functional.own_noise`).
Each step is exactly t_ν(m_h, τ_h); the scale matrix of the path is D C D with C the
correlation of `vneuron.functional.low_rank`. Every linear functional of a path (a sum, a
mean, a difference) is again a t with the same ν, in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...functional.low_rank import Whitened, diagonal, whiten
from ...functional.own_noise import OwnNoise, autoregress, correlated_times
from ...functional.student import joint_nll, step_nll
from ...functional.student_crps import step_crps
from ..scoring.scores import as_float64
from .law import StudentLaw
from .trajectory import AbstractTrajectory, at_least_single, mixing


@dataclass(frozen=True)
class TrajectoryDistribution(AbstractTrajectory):
    """A multivariate t for each window of a batch.

    Attributes:
        loc: m, mean and median of each step, [batch, H].
        scale: τ, the scale of each step's t (its standard deviation is τ √(ν/(ν-2))), [batch, H].
        df: ν, a scalar tensor above 2; None is the Gaussian.
        loading: W, [H, M]; None where steps are independent given g.
        unit_scale: s, a standard deviation, [batch, M], or [M] where it does not depend on the
            window; None with `loading`.
        own_noise: ρ and δ of the steps' own noise; None is white, of weight one. It counts where
            there is a loading.
        pooled: laws of single steps whose pool m and τ are, in training, where each of them learns
            by itself; empty otherwise.

    Example:
        >>> path = TrajectoryDistribution(torch.zeros(1, 4), torch.ones(1, 4), None)
        >>> loc, scale = path.linear(torch.full((4,), 0.25))
        >>> loc.item(), scale.item()
        (0.0, 0.5)
    """

    loc: Tensor
    scale: Tensor
    df: Tensor | None
    loading: Tensor | None = None
    unit_scale: Tensor | None = None
    own_noise: OwnNoise | None = None
    pooled: tuple[TrajectoryDistribution, ...] = ()

    def __len__(self) -> int:
        return self.loc.shape[0]

    @property
    def horizon(self) -> int:
        """H."""
        return self.loc.shape[1]

    def point(self) -> Tensor:
        """m, mean and median, [batch, H]."""
        return self.loc

    def residual(self, target: Tensor) -> Tensor:
        """Standardised residual r = (y − m) / τ, [batch, H]."""
        return (target - self.loc) / self.scale

    def within(self, target: Tensor, scales: float) -> Tensor:
        """The path, drawn in where a step lies further than so many of its scales from m.

        Args:
            target: y, [batch, H].
            scales: how many; inf leaves every step where it is.

        Example:
            >>> path = TrajectoryDistribution(torch.zeros(1, 2), torch.tensor([[1.0, 0.5]]), None)
            >>> path.within(torch.tensor([[3.0, -3.0]]), 4.0)
            tensor([[ 3., -2.]])
        """
        reach = scales * self.scale
        return self.loc + torch.clamp(target - self.loc, -reach, reach)

    def marginal_nll(self, target: Tensor, observed: Tensor | None = None) -> Tensor:
        """Negative log density of each step by itself.

        Args:
            target: y, [batch, H].
            observed: mask [batch, H]; steps that are not observed count 0.

        Returns:
            Nats per step, [batch, H].
        """
        nll = step_nll(target, self.loc, self.scale, self.df)
        return nll if observed is None else torch.where(observed, nll, torch.zeros_like(nll))

    def learned_nll(self, target: Tensor, observed: Tensor | None = None) -> Tensor:
        """What trains single steps: the sum over the laws that are pooled, if this is a pool."""
        nll = [law.marginal_nll(target, observed) for law in self.pooled or (self,)]
        return torch.stack(nll).sum(0) if self.pooled else nll[0]

    def learned_crps(self, target: Tensor, observed: Tensor | None = None) -> Tensor:
        """The same of the CRPS, in the unit of the data, [batch, H]; ν gets no gradient."""
        laws = self.pooled or (self,)
        crps = torch.stack([step_crps(target, law.loc, law.scale, law.df) for law in laws]).sum(0)
        return crps if observed is None else torch.where(observed, crps, torch.zeros_like(crps))

    def joint_nll(self, target: Tensor, observed: Tensor | None = None) -> Tensor:
        """Negative log density of the path, over its observed steps.

        Args:
            target: y, [batch, H].
            observed: mask [batch, H]; None where every step is.

        Returns:
            Nats per window, [batch].
        """
        residual, log_scale = self.residual(target), self.scale.log()
        if observed is None:
            steps = residual.new_full((), self.horizon)
        else:
            zero = torch.zeros_like(residual)
            residual = torch.where(observed, residual, zero)
            log_scale = torch.where(observed, log_scale, zero)
            steps = observed.sum(-1).to(residual.dtype)
        quadratic, logdet = self.whiten(residual, observed)
        return joint_nll(quadratic, 0.5 * logdet + log_scale.sum(-1), steps, self.df)

    def whiten(self, residual: Tensor, observed: Tensor | None = None) -> Whitened:
        """Quadratic form r' C⁻¹ r and ln det C, each [batch]; C = I where there is no loading."""
        if self.loading is None or self.unit_scale is None:
            quadratic = residual.square().sum(-1)
            return Whitened(quadratic, torch.zeros_like(quadratic))
        return whiten(residual, self.loading, self.unit_scale, observed, self.own_noise)

    def windows(self, index: Tensor) -> TrajectoryDistribution:
        """Some windows alone.

        Args:
            index: positions, [windows] int64.
        """

        def taken(values: Tensor, of_each: int) -> Tensor:
            return values[index] if values.dim() == of_each else values

        own = self.own_noise
        if own is not None:
            weight = None if own.weight is None else taken(own.weight, 2)
            own = OwnNoise(taken(own.persistence, 1), weight)
        scale = None if self.unit_scale is None else taken(self.unit_scale, 2)
        here = {"loc": self.loc[index], "scale": self.scale[index]}
        pooled = tuple(law.windows(index) for law in self.pooled)
        return replace(self, **here, unit_scale=scale, own_noise=own, pooled=pooled)

    def with_fixed_margins(self) -> TrajectoryDistribution:
        """The same with m, τ and ν cut off from the gradient.

        Trained through this, dependence cannot cost any single step's score.
        """
        df = None if self.df is None else self.df.detach()
        loc, scale = self.loc.detach(), self.scale.detach()
        return replace(self, loc=loc, scale=scale, df=df, pooled=())

    def float(self) -> TrajectoryDistribution:
        """The same in single precision or better."""
        return replace(
            self,
            loc=at_least_single(self.loc),
            scale=at_least_single(self.scale),
            unit_scale=None if self.unit_scale is None else at_least_single(self.unit_scale),
            own_noise=None if self.own_noise is None else self.own_noise.map(at_least_single),
            pooled=tuple(law.float() for law in self.pooled),
        )

    def sd(self) -> Tensor:
        """Standard deviation of each step, [batch, H]."""
        return self.scale if self.df is None else self.scale * (self.df / (self.df - 2.0)).sqrt()

    def unit_share(self) -> Tensor:
        """Share of each step's variance that the units carry, (W S² W')_hh / n_h, [batch, H]."""
        if self.loading is None or self.unit_scale is None:
            return torch.zeros_like(self.scale)
        alone = 1.0 if self.own_noise is None else self.own_noise.variance()
        n = diagonal(self.loading, self.unit_scale, self.own_noise)
        return (1.0 - alone / n).expand_as(self.scale)

    def unit_part(self) -> Tensor:
        """n^-½ τ W S, what one standard deviation of each unit does to the path, [batch, H, M].

        Times √(ν/g) under heavy tails; no columns where there is no loading.
        """
        if self.loading is None or self.unit_scale is None:
            return self.loc.new_zeros(*self.loc.shape, 0)
        scale = self.unit_scale.expand(len(self), -1)
        return self._spread()[..., None] * self.loading * scale[:, None]

    def own_scale(self) -> Tensor:
        """τ δ / √n, the scale of each step's own noise, [batch, H]."""
        own, spread = self.own_noise, self._spread()
        return spread if own is None or own.weight is None else spread * own.weight

    def _spread(self) -> Tensor:
        """τ / √n, [batch, H]."""
        if self.loading is None or self.unit_scale is None:
            return self.scale
        return self.scale / diagonal(self.loading, self.unit_scale, self.own_noise).sqrt()

    def steps(self) -> StudentLaw:
        """t_ν(m, τ) at each step, [batch, H]."""
        return self._law(self.loc, self.scale)

    def functional(self, weights: Tensor) -> StudentLaw:
        """Weighted sums of the path, exactly t_ν: see `linear`."""
        return self._law(*self.linear(weights))

    def without_latent(self) -> TrajectoryDistribution:
        """The same margins, exactly, with steps that g and their own noise alone tie together."""
        if self.own_noise is None or self.unit_scale is None:
            return replace(self, loading=None, unit_scale=None)
        return replace(self, unit_scale=torch.zeros_like(self.unit_scale))

    def linear(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        r"""Law of a weighted sum of the path, exactly t_ν.

        .. math:: w^\top y \sim t_\nu\bigl(w^\top m,\ (w^\top D C D w)^{1/2}\bigr)

        Args:
            weights: w, [H] for one functional, [H, F] for several.

        Returns:
            Location and scale, each [batch] or [batch, F].
        """
        columns = weights.reshape(self.horizon, -1).to(self.loc)
        own = self.own_scale()[..., None] * columns
        variance = own.square().sum(1)
        if self.loading is not None and self.unit_scale is not None:
            if self.own_noise is not None:
                tied = correlated_times(self.own_noise.expand(len(self)), own)
                variance = (own * tied).sum(1)
            spread = self._spread()
            for column in range(columns.shape[1]):
                shared = (spread * columns[:, column]) @ self.loading * self.unit_scale
                variance[:, column] += shared.square().sum(-1)
        scale = variance.clamp_min(0.0).sqrt()
        shape = (len(self), *weights.shape[1:])
        return (self.loc @ columns).reshape(shape), scale.reshape(shape)

    def sample(self, draws: int, generator: torch.Generator | None = None) -> Tensor:
        """Joint paths.

        Args:
            draws: S, paths per window.
            generator: source of randomness on this device; None is torch's own.

        Returns:
            [batch, S, H].
        """
        noise = self._normal(draws, self.horizon, generator)
        units: Tensor | None = None
        if self.loading is not None and self.unit_scale is not None:
            units = self._normal(draws, self.loading.shape[1], generator)
        path = self.deviation(noise, units)
        if self.df is not None:
            path = path * mixing(len(self), draws, self.df, generator).rsqrt()
        return self.place(path)

    def deviation(self, noise: Tensor, units: Tensor | None) -> Tensor:
        """W S ε_z + Δ R^½ ε of given sources, which is n^½ times a standardised path.

        Args:
            noise: ε, [batch, S, H].
            units: ε_z, [batch, S, M]; None where there is no loading.
        """
        if self.loading is None or self.unit_scale is None or units is None:
            return noise
        units = units * self.unit_scale.expand(len(self), -1)[:, None]
        path = self._own_path(noise)
        path = torch.addmm(path.flatten(0, 1), units.flatten(0, 1), self.loading.T)
        return path.view(noise.shape)

    def place(self, deviation: Tensor) -> Tensor:
        """Deviations made paths, m + τ n^-½ times them, [batch, S, H]."""
        return torch.addcmul(self.loc[:, None], self._spread()[:, None], deviation)

    def _own_path(self, noise: Tensor) -> Tensor:
        """Δ R^½ of white noise [batch, S, H]."""
        if self.own_noise is None:
            return noise
        path = autoregress(self.own_noise.persistence, noise)
        weight = self.own_noise.weight
        return path if weight is None else path * weight[:, None]

    def rescale(self, mean: Tensor, sd: Tensor) -> TrajectoryDistribution:
        """The law of mean + sd · y, in double precision.

        Args:
            mean: [batch], in the data's unit.
            sd: [batch], positive.
        """
        mean, sd = mean.double()[:, None], sd.double()[:, None]
        return TrajectoryDistribution(
            loc=self.loc.double() * sd + mean,
            scale=self.scale.double() * sd,
            df=None if self.df is None else self.df.double(),
            loading=None if self.loading is None else self.loading.double(),
            unit_scale=None if self.unit_scale is None else self.unit_scale.double(),
            own_noise=None if self.own_noise is None else self.own_noise.map(torch.Tensor.double),
        )

    def shift(self, scales: Tensor) -> TrajectoryDistribution:
        """The centre moved by `scales` [batch] times τ."""
        return replace(self, loc=self.loc + scales.to(self.loc)[:, None] * self.scale)

    def widen(self, factor: Tensor) -> TrajectoryDistribution:
        """The same centre and correlations, scales times `factor` [batch]."""
        return replace(self, scale=self.scale * factor.to(self.scale)[:, None])

    def to(self, device: torch.device | str) -> TrajectoryDistribution:
        """The same on another device."""

        def moved(values: Tensor) -> Tensor:
            return values.to(device)

        return TrajectoryDistribution(
            loc=moved(self.loc),
            scale=moved(self.scale),
            df=None if self.df is None else moved(self.df),
            loading=None if self.loading is None else moved(self.loading),
            unit_scale=None if self.unit_scale is None else moved(self.unit_scale),
            own_noise=None if self.own_noise is None else self.own_noise.map(moved),
        )

    def _normal(self, draws: int, size: int, generator: torch.Generator | None) -> Tensor:
        return torch.randn(
            (len(self), draws, size),
            generator=generator,
            dtype=self.loc.dtype,
            device=self.loc.device,
        )

    def _law(self, loc: Tensor, scale: Tensor) -> StudentLaw:
        df = None if self.df is None else self.df.item()
        return StudentLaw(as_float64(loc), as_float64(scale), df)
