"""A prior that all units share the cause of: a macro latent per window."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..core import AbstractPrior, PriorContext
from ..functional.gaussian import bounded_scale, kl_divergence, unbounded_scale


class MacroNormal(AbstractPrior):
    """p(z_j | g) = N(b_j + A_j g, s_j²), for a macro latent g that all units of a window share.

    g is itself a unit's draw, g ~ q(g | h) with prior N(0, I): infer it with a layer of
    `GaussianUnits(h, macro_dim)`, observe it, so that its own KL is counted, and pass its sample
    as `PriorContext(macro=latent.sample.flatten(1))`. The free energy then holds the two levels of
    a hierarchical variational autoencoder: KL(q(g) ‖ p(g)) + E_g Σ_j KL(q_j ‖ p(z_j | g)). Units
    pay for what is *theirs*; what the whole window shares is paid for once.

    Without a macro sample the prior is its marginal, N(b_j, s_j² + ‖A_j‖²).

    Args:
        units: number of units.
        latent_dim: k.
        macro_dim: size of g.

    Raises:
        ValueError: if a size is not positive, or the macro sample has another shape.

    Example:
        >>> import vneuron as vn
        >>> macro, micro = vn.GaussianUnits(3, 2), vn.GaussianUnits(3, 5, prior=MacroNormal(5))
        >>> h = torch.zeros(4, 3)
        >>> g = macro.infer(h)
        >>> micro.infer(h, vn.PriorContext(macro=g.sample.flatten(1))).kl.shape
        torch.Size([4, 5])
    """

    def __init__(self, units: int, latent_dim: int = 1, macro_dim: int = 2) -> None:
        super().__init__()
        sizes = (("units", units), ("latent_dim", latent_dim), ("macro_dim", macro_dim))
        for label, size in sizes:
            if size < 1:
                raise ValueError(f"{label} is {size}, expected at least 1.")
        self.macro_dim = macro_dim
        self.loc = nn.Parameter(torch.zeros(units, latent_dim))
        # Small, not zero: at zero no gradient would reach the macro latent.
        weight = torch.randn(units, latent_dim, macro_dim) * (0.1 / math.sqrt(macro_dim))
        self.weight = nn.Parameter(weight)
        self.raw_scale = nn.Parameter(torch.full((units, latent_dim), unbounded_scale(1.0)))

    def moments(self) -> tuple[Tensor, Tensor]:
        """Of the marginal over g ~ N(0, I), [units, k] each."""
        variance = bounded_scale(self.raw_scale).square() + self.weight.square().sum(-1)
        return self.loc, variance.sqrt()

    def conditional(self, macro: Tensor) -> tuple[Tensor, Tensor]:
        """Mean [batch, units, k] and deviation [units, k] of p(z | g), g [batch, macro_dim]."""
        centre = self.loc + torch.einsum("bm,ukm->buk", macro, self.weight)
        return centre, bounded_scale(self.raw_scale)

    def kl(self, loc: Tensor, scale: Tensor, context: PriorContext | None = None) -> Tensor:
        """KL(q ‖ p(z | g)) in nats, [batch, units]; from the marginal without g."""
        if context is None or context.macro is None:
            return kl_divergence(loc, scale, *self.moments()).sum(-1)
        macro = context.macro
        if macro.shape != (loc.shape[0], self.macro_dim):
            raise ValueError(
                f"the macro sample has shape {tuple(macro.shape)}, expected "
                f"[{loc.shape[0]}, {self.macro_dim}]: one row per example "
                "(latent.sample.flatten(1)), or build the prior with another macro_dim."
            )
        return kl_divergence(loc, scale, *self.conditional(macro)).sum(-1)

    def extra_repr(self) -> str:
        """Sizes, for `repr`."""
        units, latent_dim, _ = self.weight.shape
        return f"units={units}, latent_dim={latent_dim}, macro_dim={self.macro_dim}"
