"""How far a window's posteriors lie from what training saw."""

from __future__ import annotations

import torch
from torch import Tensor

from ..core import AbstractUnit, Latent
from ..functional.gaussian import kl_divergence


@torch.no_grad()
def novelty(units: AbstractUnit, latent: Latent) -> Tensor:
    r"""Information of one window's posteriors against the aggregate of training, in nats.

    .. math:: \sum_j KL\bigl(N(\mu_j(x), s_j^2(x))\,\|\,N(\bar\mu_j, E s_j^2 + Var \mu_j)\bigr)

    Its mean over training windows is about the layer's rate; a window far above that is one that
    the units have not seen the like of.

    Args:
        units: the layer, trained.
        latent: posteriors of a batch of windows.

    Returns:
        Nats per window, [batch].
    """
    seen = units.statistics
    spread = (seen.scale_square + seen.loc_variance()).sqrt()
    nats = kl_divergence(latent.loc, latent.scale, seen.loc_mean, spread)
    return nats.flatten(1).sum(-1)
