r"""First-order autoregressive Gaussians: what a state costs, given a belief about the one before.

p(z_t | z_{t-s}) = N(φ z_{t-s}, τ²), |φ| < 1, started from N(0, τ²/(1 − φ²)). Everything is
elementwise; `scale` and `tau` are standard deviations; nats.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .gaussian import kl_divergence


def stationary_scale(phi: Tensor, tau: Tensor) -> Tensor:
    """Standard deviation τ/√(1 − φ²) of the process where it has no predecessor.

    Example:
        >>> stationary_scale(torch.tensor(0.6), torch.tensor(0.8))
        tensor(1.)
    """
    return tau * torch.rsqrt((1.0 - phi) * (1.0 + phi))


def expected_kl(
    loc: Tensor,
    scale: Tensor,
    previous_loc: Tensor,
    previous_scale: Tensor,
    phi: Tensor,
    tau: Tensor,
) -> Tensor:
    """Expected divergence from the transition, under a Gaussian belief about the state before.

    E_{z′ ~ N(µ′, σ′²)} KL(N(µ, σ²) ‖ N(φ z′, τ²))
    = ½ [(σ² + (µ − φ µ′)² + φ² σ′²)/τ² − 1 + ln(τ²/σ²)].

    Summed over a sequence, the first state held against the stationary start, it is exactly
    KL(Π_t q_t ‖ p(z_1, ..., z_T)), with the dense Gaussian that the process is.

    Args:
        loc: µ, any shape.
        scale: σ > 0, broadcastable.
        previous_loc: µ′, broadcastable.
        previous_scale: σ′, broadcastable.
        phi: φ in (−1, 1), broadcastable.
        tau: τ > 0, broadcastable.

    Returns:
        Nats, in the broadcast shape.

    Example:
        >>> one, zero = torch.ones(1), torch.zeros(1)
        >>> expected_kl(zero, one, zero, zero, 0.9 * one, one)
        tensor([0.])
    """
    conditional = kl_divergence(loc, scale, phi * previous_loc, tau)
    return conditional + 0.5 * (phi * previous_scale / tau).square()


def quadratic_penalty(loc: Tensor, previous_loc: Tensor, phi: Tensor, tau: Tensor) -> Tensor:
    """(µ − φ µ′)² / (2τ²): the part of the expected divergence that the means alone decide.

    Example:
        >>> one = torch.ones(1)
        >>> quadratic_penalty(one, one, 0.5 * one, one)
        tensor([0.1250])
    """
    return 0.5 * ((loc - phi * previous_loc) / tau).square()
