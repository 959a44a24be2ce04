r"""The joint law of several series' paths at one origin, each with its own law kept.

Every series has a multivariate t of its own, y_c ~ t_ν(m_c, Σ_c). Moved along its ray
(`vneuron.forecasting.laws.radial`) its path is Gaussian, with the same sources: units' deviations
and steps' own noise. These are what series share (`vneuron.functional.coupling`). Hence

.. math:: -\ln p(y_1, ..., y_C) = -\sum_c \ln t_\nu(y_c)
          + \tfrac12 \bigl[ x^\top \Sigma^{-1} x + \ln\det\Sigma
          - \textstyle\sum_c (x_c^\top \Sigma_c^{-1} x_c + \ln\det\Sigma_c) \bigr],

a Gaussian copula between series, exact in all margins, those of whole paths included. One mixing
variable g for all series would make all of them one multivariate t, with exact laws of totals; but
it says that all series err little or much together, which they do not (validation joint NLL in
nats per step and series, series otherwise independent: ETTh1 .096 with their own g, .170 with one;
Exchange −1.664, −1.612).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ...functional.coupling import coupled, innovations, own_form
from ...functional.low_rank import diagonal
from ..scoring.scores import as_float64
from .predictive import TrajectoryDistribution
from .radial import SMALLEST, gaussian_radius, student_radius

__all__ = ["Factors", "Loadings", "Sources", "excess_nll", "gaussian_sources", "sample_coupled"]


class Loadings(NamedTuple):
    """How much of its sources each series shares.

    Attributes:
        units: Λ, of norm below one, [series, units, factors].
        noise: λ, of norm below one, [series, factors].
    """

    units: Tensor
    noise: Tensor

    def take(self, series: Tensor) -> Loadings:
        """Those of some series."""
        return Loadings(self.units[series], self.noise[series])

    def to(self, like: Tensor) -> Loadings:
        """In the type and on the device of another tensor."""
        return Loadings(self.units.to(like), self.noise.to(like))


class Sources(NamedTuple):
    """Paths by what is new at each step: x = V ε + u, standard normal in ε and u.

    Attributes:
        value: x of what came, as a Gaussian path, [batch, H].
        columns: V, [batch, H, units].
        own_nll: ½ (x' (I + V V')⁻¹ x + ln det(I + V V')), [batch].
    """

    value: Tensor
    columns: Tensor
    own_nll: Tensor


class Factors(NamedTuple):
    """Draws of what the series share at one origin.

    Attributes:
        units: f, [draws, units, factors].
        noise: g, [draws, H, factors].
    """

    units: Tensor
    noise: Tensor

    @classmethod
    def draw(
        cls, draws: int, loadings: Loadings, horizon: int, generator: torch.Generator
    ) -> Factors:
        """Standard normal ones, in double precision on the host."""
        units, rank = loadings.units.shape[1:]
        return cls(
            torch.randn(draws, units, rank, generator=generator, dtype=torch.float64),
            torch.randn(draws, horizon, rank, generator=generator, dtype=torch.float64),
        )


def unit_columns(path: TrajectoryDistribution) -> Tensor:
    """V, the units' columns before the own noise's persistence and weight, [batch, H, units].

    Raises:
        ValueError: nothing ties the steps of this path.
    """
    if path.loading is None or path.unit_scale is None:
        raise ValueError(
            "the path has no units that tie its steps, which series could share: fit with "
            "network='trajectory'"
        )
    scaled = path.loading * path.unit_scale.expand(len(path), -1)[:, None]
    return innovations(path.own_noise, scaled)


def gaussian_sources(path: TrajectoryDistribution, target: Tensor) -> Sources:
    """What came as Gaussian paths, by what is new at each step.

    Args:
        path: forecasts.
        target: y, [batch, H], whole.
    """
    columns = unit_columns(path)
    assert path.loading is not None
    assert path.unit_scale is not None
    n = diagonal(path.loading, path.unit_scale, path.own_noise)
    residual = path.residual(target) * n.sqrt()
    value = innovations(path.own_noise, residual[..., None])[..., 0]
    form = own_form(value, columns)
    df = None if path.df is None else path.df.item()
    t = as_float64(form.quadratic).clip(SMALLEST)
    ratio = torch.from_numpy(gaussian_radius(t, path.horizon, df) / t).to(value)
    own = 0.5 * (form.quadratic * ratio + form.logdet)
    return Sources(value * ratio.sqrt()[:, None], columns, own)


def excess_nll(sources: Sources, loadings: Loadings) -> Tensor:
    """What the joint NLL of all series is beyond the sum of theirs; negative where coupling tells.

    Args:
        sources: of all series, with origins in front of everything.
        loadings: of these series.

    Returns:
        Nats, [origins].
    """
    form = coupled(sources.value, sources.columns, loadings.units, loadings.noise)
    return 0.5 * (form.quadratic + form.logdet) - sources.own_nll.sum(-1)


def sample_coupled(
    path: TrajectoryDistribution,
    loadings: Loadings,
    factors: Factors,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Joint paths of series that share these factors; of each series by itself as ever.

    Args:
        path: forecasts, in double precision.
        loadings: of the same series.
        factors: draws of what they share; the same for all series of an origin.
        generator: of what is a series' own.

    Returns:
        [batch, draws, H].
    """
    loadings = loadings.to(path.loc)
    columns = unit_columns(path)
    units = _shared(factors.units.to(path.loc), loadings.units, generator)
    noise = _shared(factors.noise.to(path.loc), loadings.noise[:, None], generator)
    deviation = path.deviation(noise, units)
    if path.df is None:
        return path.place(deviation)
    x = noise + units @ columns.mT
    squared = _squared(x, columns)
    t = student_radius(as_float64(squared), path.horizon, path.df.item())
    ratio = torch.from_numpy(t).to(squared) / squared
    return path.place(deviation * ratio.sqrt()[..., None])


def _shared(factors: Tensor, loading: Tensor, generator: torch.Generator | None) -> Tensor:
    """Λ f + √(1 − |Λ|²) ε: [draws, K, r] and [batch, K or 1, r] to [batch, draws, K]."""
    steps = factors.shape[1]
    common = torch.einsum("skr,bkr->bsk", factors, loading.expand(-1, steps, -1))
    alone = torch.randn(common.shape, generator=generator, dtype=common.dtype, device=common.device)
    return common + (1.0 - loading.square().sum(-1)).sqrt()[:, None] * alone


def _squared(x: Tensor, columns: Tensor) -> Tensor:
    """Squared radius x' (I + V V')⁻¹ x of draws [batch, S, H], by one factor a window."""
    gram = columns.mT @ columns
    torch.diagonal(gram, dim1=-2, dim2=-1).add_(1.0)
    right = (x @ columns).mT
    half: Tensor = torch.linalg.solve_triangular(torch.linalg.cholesky(gram), right, upper=False)
    return x.square().sum(-1) - half.square().sum(-2)
