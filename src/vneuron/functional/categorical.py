"""Categorical distributions over the last axis: divergence, one-hot draws, and relaxed ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def kl_divergence(logits: Tensor, prior_logits: Tensor) -> Tensor:
    """Divergence Σ_k q_k (ln q_k − ln p_k) of one categorical distribution from another.

    Args:
        logits: unnormalised ln q, [..., k].
        prior_logits: unnormalised ln p, broadcastable.

    Returns:
        Nats, [...].

    Example:
        >>> kl_divergence(torch.tensor([0.0, -100.0]), torch.zeros(2))   # one certain bit
        tensor(0.6931)
    """
    log_q = logits.log_softmax(-1)
    return (log_q.exp() * (log_q - prior_logits.log_softmax(-1))).sum(-1).clamp_min(0.0)


def sample_one_hot(logits: Tensor) -> Tensor:
    """Exact one-hot draws; no gradient passes.

    Args:
        logits: [..., k].

    Returns:
        Zeros and a single one, [..., k].

    Example:
        >>> sample_one_hot(torch.tensor([0.0, -100.0]))
        tensor([1., 0.])
    """
    chosen = (logits.detach() + _gumbel(logits)).argmax(-1)
    return F.one_hot(chosen, logits.shape[-1]).to(logits.dtype)


def relaxed_one_hot(logits: Tensor, temperature: float) -> Tensor:
    """Draws softmax((logits + G)/τ) with Gumbel noise G, which gradients pass.

    As τ → 0 they become one-hot draws. Source: Jang et al., "Categorical reparameterization with
    Gumbel-softmax" (arXiv:1611.01144); Maddison et al. (arXiv:1611.00712).

    Args:
        logits: [..., k].
        temperature: τ > 0.

    Returns:
        [..., k], each row summing to one.

    Raises:
        ValueError: if the temperature is not positive.

    Example:
        >>> round(relaxed_one_hot(torch.zeros(3), 0.5).sum().item(), 5)
        1.0
    """
    check_temperature(temperature)
    return ((logits + _gumbel(logits)) / temperature).softmax(-1)


def check_temperature(temperature: float) -> None:
    """Refuse a temperature at which there is no relaxed draw.

    Raises:
        ValueError: if it is not positive and finite.

    Example:
        >>> check_temperature(0.5)
    """
    if not 0.0 < temperature < float("inf"):
        raise ValueError(
            f"temperature is {temperature}, expected a positive number, such as 0.5: at 0 no "
            "gradient passes."
        )


def _gumbel(like: Tensor) -> Tensor:
    """−ln E with E ~ Exp(1): torch's exponential is never zero, so this is finite."""
    return torch.empty_like(like).exponential_().clamp_min_(1e-30).log_().neg_()
