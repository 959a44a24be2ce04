"""The standard normal prior."""

from __future__ import annotations

import torch
from torch import Tensor

from ..core import AbstractPrior, PriorContext
from ..functional.gaussian import kl_divergence


class StandardNormal(AbstractPrior):
    """p(z) = N(0, 1) for every unit and latent dimension.

    Example:
        >>> prior = StandardNormal()
        >>> prior.kl(torch.ones(2, 3, 4), torch.ones(2, 3, 4))[0]   # 4 dimensions of ½ nat
        tensor([2., 2., 2.])
    """

    loc: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("loc", torch.zeros(()), persistent=False)
        self.register_buffer("scale", torch.ones(()), persistent=False)

    def moments(self) -> tuple[Tensor, Tensor]:
        """0 and 1, as scalar tensors."""
        return self.loc, self.scale

    def kl(self, loc: Tensor, scale: Tensor, context: PriorContext | None = None) -> Tensor:
        """KL(q ‖ N(0, I)) in nats, [batch, units]; it knows no context."""
        return kl_divergence(loc, scale).sum(-1)
