"""The free energy: the one place where local terms are reduced."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from .core import LocalTerm


def free_energy(nll: Tensor, terms: Iterable[LocalTerm], penalty: Tensor | float = 0.0) -> Tensor:
    """Mean over the batch of the negative log-likelihood and the weighted local KL.

    F = mean_b [ nll_b + Σ_terms Σ_j β_j KL_bj ] + penalty. With the log-likelihood of one draw
    and β = 1 this is an unbiased estimate of a bound on −log p(y | x) (the sum of the local ELBOs
    of arXiv:2602.18250 with a shared likelihood). Everything is in nats per example: a likelihood
    over a window is *summed* over its steps, or β means something else.

    Args:
        nll: negative log-likelihood, [batch].
        terms: what `Collect` returned; a layer that was called twice counts twice.
        penalty: added as it is, from controls.

    Returns:
        A scalar, nats per example.

    Raises:
        ValueError: if `nll` is not [batch], or a term has another batch.

    Example:
        >>> import vneuron as vn
        >>> model = vn.Collect(vn.GaussianUnits(3, 4, beta=0.5))
        >>> y, terms = model(torch.zeros(2, 3))
        >>> loss = free_energy(y.square().sum(-1), terms)
        >>> loss.shape
        torch.Size([])
    """
    if nll.ndim != 1:
        raise ValueError(
            f"nll has shape {tuple(nll.shape)}, expected [batch]: sum it over all axes but the "
            "batch, so that it is in nats per example as the KL is."
        )
    total = nll
    for term in terms:
        if term.kl.shape[0] != nll.shape[0]:
            raise ValueError(
                f"the term of {term.name!r} has a batch of {term.kl.shape[0]}, expected "
                f"{nll.shape[0]} as in nll: sum its KL over the axes that were folded into the "
                "batch."
            )
        total = total + term.kl @ term.beta.to(term.kl.dtype)
    return total.mean() + torch.as_tensor(penalty, dtype=total.dtype, device=total.device)
