"""Units with a local decoder: a layer that learns from its own input, without a global loss."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from ..core import AbstractUnit, Latent, PriorContext
from ..functional.gaussian import bounded_scale, unbounded_scale
from ..functional.pooling import pool

Reading: TypeAlias = Literal["together", "alone"]


class LocalUnits(nn.Module):
    """A layer of units that reconstructs its own input, so that it has an ELBO of its own.

    L = E_q[log p(h | z)] − Σ_j β_j KL_j with p(h | z) = N(D z + c, diag s²), D, c and s learned.
    Units read "together" share one decoder and divide the input among them; read "alone", as in
    arXiv:2602.18250, each unit j reconstructs all of h from z_j by itself, which costs units times
    as much and makes alike units learn alike things.

    The layer is closed off: no gradient leaves it towards its input, and none of what reads it
    enters. A stack of such layers is trained by `free_energy(zeros, terms)` alone, each layer on
    its own term. `detach=False` opens it, and the local ELBO is then an auxiliary objective.

    Args:
        units: the layer of units, for instance `GaussianUnits`.
        reading: "together" or "alone".
        detach: whether gradients are kept inside.
        noise: s at the start.

    Attributes:
        layer: the units.

    Raises:
        ValueError: if the reading is unknown or the noise out of range.

    Example:
        >>> import vneuron as vn
        >>> stack = nn.Sequential(
        ...     LocalUnits(vn.GaussianUnits(8, 4)), nn.GELU(), LocalUnits(vn.GaussianUnits(4, 2))
        ... )
        >>> features, terms = vn.Collect(stack)(torch.randn(16, 8))
        >>> loss = vn.free_energy(torch.zeros(16), terms)
        >>> features.shape, features.requires_grad, loss.requires_grad
        (torch.Size([16, 2]), False, True)
    """

    def __init__(
        self,
        units: AbstractUnit,
        reading: Reading = "together",
        *,
        detach: bool = True,
        noise: float = 1.0,
    ) -> None:
        super().__init__()
        if reading not in get_args(Reading):
            raise ValueError(f"reading is {reading!r}, expected one of {get_args(Reading)}.")
        self.layer = units
        self.reading: Reading = reading
        self.detach = detach
        size, count = units.in_features, units.units if reading == "alone" else 1
        read = units.latent_dim * (1 if reading == "alone" else units.units)
        self.decoder = nn.Parameter(torch.randn(count, read, size) / read**0.5)
        self.bias = nn.Parameter(torch.zeros(count, size))
        self.raw_noise = nn.Parameter(torch.full((count, size), unbounded_scale(noise)))

    def forward(self, h: Tensor, context: PriorContext | None = None) -> Tensor:
        """Infer, record the term with its local likelihood, and return the activity."""
        h = h.detach() if self.detach else h
        latent = self.layer.infer_given(h, context)
        self.layer.observe(latent, context, self.local_nll(latent, h))
        sample = latent.sample.detach() if self.detach else latent.sample
        return pool(sample, self.layer.activity)

    def local_nll(self, latent: Latent, h: Tensor) -> Tensor:
        """−log p(h | z) in nats: [batch, 1] read together, [batch, units] alone."""
        z = latent.sample.flatten(1)[:, None] if self.reading == "together" else latent.sample
        mean = torch.einsum("bck,ckd->bcd", z, self.decoder) + self.bias
        noise = bounded_scale(self.raw_noise)
        error = ((h[:, None] - mean) / noise).square()
        constant = 1.8378770664093453  # ln 2π
        return (0.5 * (error + constant) + noise.log()).sum(-1)

    def extra_repr(self) -> str:
        """Reading, for `repr`."""
        return f"reading={self.reading!r}, detach={self.detach}"
