"""A prior with a memory: each unit carries its own persistence from window to window."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from ..core import AbstractDynamicPrior, PriorContext, UnitStatistics
from ..functional.autoregressive import expected_kl, quadratic_penalty, stationary_scale
from ..functional.gaussian import bounded_scale, kl_divergence, unbounded_scale

TransitionForm: TypeAlias = Literal["kl", "quadratic"]


class AutoregressiveNormal(AbstractDynamicPrior):
    """p(z_t | z_{t−s}) = N(φ_j z_{t−s}, τ_j²) with φ_j and τ_j learned per unit and dimension.

    Given the posterior N(µ′, σ′²) of the window s steps before (`PriorContext.previous_loc` and
    `previous_scale`), the KL is the expected one,

        ½ [(σ² + (µ − φµ′)² + φ²σ′²)/τ² − 1 + ln(τ²/σ²)],

    and where there is no predecessor that from the stationary start N(0, τ²/(1 − φ²)). Run both
    windows through the layer in one batch; detach the earlier posterior if it is not to be
    trained by the later one. The useful lag s is the season. It starts with a stationary N(0, 1).

    With form="quadratic" the KL is that from N(0, 1) plus weight_j (µ − φµ′)²/(2τ²), with φ and
    τ fixed: the penalty of arXiv:2602.18250. There `weight` is the λ that `ShareBalance` moves.

    Args:
        units: number of units.
        latent_dim: k.
        phi: φ at the start, within (−1, 1).
        tau: τ at the start; None for √(1 − φ²).
        form: "kl" or "quadratic".

    Attributes:
        weight: buffer [units], used by the quadratic form alone.

    Raises:
        ValueError: if a size, φ, τ or the form is out of range.

    Example:
        >>> import vneuron as vn
        >>> layer = vn.GaussianUnits(3, 2, prior=AutoregressiveNormal(2))
        >>> with vn.muted():
        ...     before = layer.infer(torch.zeros(5, 3))
        >>> context = vn.PriorContext(before.loc, before.scale)
        >>> layer.infer(torch.zeros(5, 3), context).kl.shape
        torch.Size([5, 2])
    """

    raw_phi: Tensor
    raw_tau: Tensor
    weight: Tensor

    def __init__(
        self,
        units: int,
        latent_dim: int = 1,
        *,
        phi: float = 0.5,
        tau: float | None = None,
        form: TransitionForm = "kl",
    ) -> None:
        super().__init__()
        for label, size in (("units", units), ("latent_dim", latent_dim)):
            if size < 1:
                raise ValueError(f"{label} is {size}, expected at least 1.")
        if not -1.0 < phi < 1.0:
            raise ValueError(f"phi is {phi}, expected a number between -1 and 1, both excluded.")
        if form not in get_args(TransitionForm):
            raise ValueError(f"form is {form!r}, expected one of {get_args(TransitionForm)}.")
        self.form: TransitionForm = form
        start = math.sqrt(1.0 - phi * phi) if tau is None else tau
        for name, value in (("raw_phi", math.atanh(phi)), ("raw_tau", unbounded_scale(start))):
            tensor = torch.full((units, latent_dim), value)
            if form == "kl":
                self.register_parameter(name, nn.Parameter(tensor))
            else:
                self.register_buffer(name, tensor)
        self.register_buffer("weight", torch.ones(units))

    def phi(self) -> Tensor:
        """φ, [units, k]."""
        return self.raw_phi.tanh()

    def tau(self) -> Tensor:
        """τ, a standard deviation, [units, k]."""
        return bounded_scale(self.raw_tau)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Of the stationary start; of N(0, 1) under the quadratic form."""
        if self.form == "quadratic":
            return torch.zeros_like(self.raw_phi), torch.ones_like(self.raw_phi)
        scale = stationary_scale(self.phi(), self.tau())
        return torch.zeros_like(scale), scale

    def kl(self, loc: Tensor, scale: Tensor, context: PriorContext | None = None) -> Tensor:
        """Expected KL given the predecessor, [batch, units]; from the start where there is none.

        Raises:
            ValueError: if the context has one half of the predecessor's posterior.
        """
        start = kl_divergence(loc, scale, *self.moments()).sum(-1)
        if context is None or (context.previous_loc is None and context.previous_scale is None):
            return start
        if context.previous_loc is None or context.previous_scale is None:
            raise ValueError(
                "the context has one of previous_loc and previous_scale, expected both: pass the "
                "earlier latent's loc and scale."
            )
        before, before_scale = context.previous_loc, context.previous_scale
        if self.form == "quadratic":
            price = quadratic_penalty(loc, before, self.phi(), self.tau()).sum(-1)
            after = start + self.weight.to(price.dtype) * price
        else:
            after = expected_kl(loc, scale, before, before_scale, self.phi(), self.tau()).sum(-1)
        return after if context.first is None else torch.where(context.first[:, None], start, after)

    @torch.no_grad()
    def transition(self, statistics: UnitStatistics) -> Tensor:
        """E [(µ − φµ′)² + φ²σ′²] / (2τ²), without the φ²σ′² and weighted under "quadratic".

        [units], nats; the predecessors' σ² is taken to be that of all windows.
        """
        phi, tau = self.phi(), self.tau()
        moved = statistics.pairs.squared_innovation(phi)
        if self.form == "quadratic":
            return 0.5 * self.weight * (moved / tau.square()).sum(-1)
        moved = moved + phi.square() * statistics.scale_square
        price = (0.5 * moved / tau.square()).sum(-1)
        return torch.where(statistics.pairs.updates > 0, price, 0.0)

    def extra_repr(self) -> str:
        """Shape and form, for `repr`."""
        units, latent_dim = self.raw_phi.shape
        return f"units={units}, latent_dim={latent_dim}, form={self.form!r}"
