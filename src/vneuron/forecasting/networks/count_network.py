r"""The network for counts: a positive rate path, dispersion by step, and units that tie the steps.

.. math:: \mu(x) = c(x)\, \zeta(1 + m(x) + R\mu_z(x)), \qquad \alpha(x) = \tau(x)^2, \qquad
          w \sim N(0,\ n^{-1/2} (W S^2(x) W^\top + I)\, n^{-1/2})

c is the window's level, ζ a softplus; m, τ, R, W and s are those of the network `trajectory`.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...core import AbstractUnit
from ..data.place import Place
from ..laws.counts import CountTrajectory
from ..laws.predictive import TrajectoryDistribution
from .forecast_network import AbstractForecastNetwork, Reading
from .network import TrajectoryNetwork
from .normalisation import WindowScale
from .pairs import last_rows

CountLikelihood: TypeAlias = Literal["poisson", "negbinomial"]

SHARPNESS = 5.0
"""Of the softplus: a path of 1 gives a rate of 1.001 levels, one of 0 gives .139."""

FIRST_SPREAD = 0.3
"""Root of the dispersion before training. A law that begins as wide as its mean learns the rate
slowly: errors count the less the wider it is."""

SMALLEST_RATE = 1e-3
"""In levels of the window, so that no count is impossible."""


class CountNetwork(AbstractForecastNetwork):
    """Windows of counts in, distributions of paths of counts out.

    A window is divided by its level c, its mean count with one event more; what the core sees and
    gives back are deviations from that level, relative to it. The dispersion τ² is that of rates
    relative to their mean.

    Args:
        core: mean path, spread, units and loading; likelihood "gaussian", location "none".
        likelihood: "negbinomial", or "poisson", whose spread is its mean's: features that serve
            the spread alone then learn nothing, and the units read them as they were drawn.

    Raises:
        ValueError: an unknown likelihood, or a core of another kind.

    Example:
        >>> import vneuron as vn
        >>> core = TrajectoryNetwork(24, 6, units=vn.GaussianUnits(32, 4), hidden=32,
        ...                          likelihood="gaussian", location="none")
        >>> path, terms = vn.Collect(CountNetwork(core))(torch.ones(3, 24))
        >>> path.rate.shape, terms[0].kl.shape
        (torch.Size([3, 6]), torch.Size([3, 4]))
    """

    def __init__(
        self, core: TrajectoryNetwork, likelihood: CountLikelihood = "negbinomial"
    ) -> None:
        super().__init__()
        if likelihood not in get_args(CountLikelihood):
            raise ValueError(
                f"likelihood is {likelihood!r}, expected one of {get_args(CountLikelihood)}."
            )
        if core.df() is not None or core.location != "none":
            raise ValueError(
                "the core normalises windows or has heavy tails, expected likelihood='gaussian' "
                "and location='none': counts have margins and levels of their own."
            )
        self.core = core
        self.lookback = core.lookback
        self.prior_lag = core.prior_lag
        self.mask_inputs = core.mask_inputs
        self.horizon = core.horizon
        self.overdispersed = likelihood == "negbinomial"
        nn.init.constant_(core.spread.bias, math.log(math.expm1(FIRST_SPREAD)))
        if not self.overdispersed:
            core.spread.requires_grad_(False)
            if core.mean_residual is None:
                core.features.requires_grad_(False)

    @property
    def units(self) -> AbstractUnit | None:  # type: ignore[override]
        """Those of the core."""
        return self.core.units

    @property
    def macro(self) -> AbstractUnit | None:  # type: ignore[override]
        """That of the core."""
        return self.core.macro

    @property
    def loading(self) -> nn.Parameter | None:
        """W of the core."""
        return self.core.loading

    def read(
        self, context: Tensor, observed: Tensor | None = None, place: Place | None = None
    ) -> Reading:
        """Everything that depends on the window, in levels of it; records nothing."""
        level = window_level(*last_rows(context, observed, self.core.input_size))
        reading = self.core.read(context / level - 1.0, observed, place)
        return reading._replace(window=WindowScale(torch.zeros_like(level), level))

    def distribution(self, reading: Reading) -> CountTrajectory:
        """Assemble the predictive distribution from what was read."""
        level = reading.window.scale
        one = WindowScale(torch.zeros_like(level), torch.ones_like(level))
        path = self.core.distribution(reading._replace(window=one))
        return self.counts(level, path)

    def counts(self, level: Tensor, path: TrajectoryDistribution) -> CountTrajectory:
        """From a path in levels of the window to counts.

        Args:
            level: c, [batch, 1].
            path: its loc is the rate before ζ less 1, its scale the root of the dispersion.
        """
        rate = level * (F.softplus(SHARPNESS * (1.0 + path.loc)) / SHARPNESS + SMALLEST_RATE)
        copula = None
        if path.loading is not None:
            zero = torch.zeros_like(rate)
            tied = (path.loading, path.unit_scale, path.own_noise)
            copula = TrajectoryDistribution(zero, zero + 1.0, None, *tied)
        return CountTrajectory(rate, path.scale.square() if self.overdispersed else None, copula)


def window_level(context: Tensor, observed: Tensor | None = None) -> Tensor:
    """The mean count of each window, had it seen one event more, [batch, 1].

    Args:
        context: [batch, L].
        observed: mask; what is missing does not count.

    Example:
        >>> window_level(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
        tensor([[0.5000],
                [4.0000]])
    """
    if observed is None:
        return (context.sum(-1, keepdim=True) + 1.0) / context.shape[-1]
    seen = torch.where(observed, context, torch.zeros_like(context))
    return (seen.sum(-1, keepdim=True) + 1.0) / observed.sum(-1, keepdim=True).clamp_min(1)
