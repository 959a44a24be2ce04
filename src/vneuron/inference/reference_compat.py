"""The update of the published code of arXiv:2410.19315 (commit 38c5bf2), equation for equation.

For comparisons with published numbers, which were fitted under it. It differs from the library's
own update in its soft limits, which also act at rest, in lacking the ½ diag(ΦᵀΣ⁻¹Φ) term, and in a
KL that is e^δ times the true one: it multiplies f(δ) by the posterior's rate where the divergence
has the prior's. A step of at most one spike more or less changes little; large rises of a rate are
charged too much.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..functional.poisson import kl_divergence, relaxed_sample, sample_counts
from ..functional.soft_clamp import soft_ceiling, soft_clamp

# Limits: from the first value to the second as training opens them.
_POISSON_LIMIT = (2.0, 10.0)
_LOC_LIMIT = (1.0, 7.0)
_LOC_STEP_LIMIT = (1.0, 7.0)
_LOG_SCALE_LIMIT = (1.0, 2.0)
_LOG_SCALE_STEP_LIMIT = (1.0, 3.0)
_RATE_OFFSET = torch.finfo(torch.float32).eps


def poisson_move(log_rate: Tensor, change: Tensor, openness: float = 1.0) -> Tensor:
    """Move u ← S(u + S(du)) with S(x) = c − softplus(c − max(x, −8)), c from 2 to 10.

    Example:
        >>> poisson_move(torch.zeros(1), torch.zeros(1))
        tensor([-9.1553e-05])
    """
    limit = _limit(_POISSON_LIMIT, openness)
    return soft_ceiling(log_rate + soft_ceiling(change, limit), limit)


def poisson_kl(log_rate: Tensor, prior_log_rate: Tensor) -> Tensor:
    """e^δ times the divergence, elementwise in nats.

    Example:
        >>> poisson_kl(torch.tensor(1.0), torch.tensor(0.0))   # e times 1
        tensor(2.7183)
    """
    shift = log_rate - prior_log_rate
    return shift.exp() * kl_divergence(log_rate, prior_log_rate)


def poisson_sample(log_rate: Tensor, temperature: float) -> Tensor:
    """Counts at the rate eᵘ + 1.2e-7, relaxed by the sigmoid window above temperature 0.

    Example:
        >>> poisson_sample(torch.full((2,), -50.0), 0.0)
        tensor([0., 0.])
    """
    if temperature == 0.0:
        return sample_counts(log_rate.detach().exp() + _RATE_OFFSET)
    return relaxed_sample((log_rate.exp() + _RATE_OFFSET).log(), temperature, "sigmoid")


def gaussian_move(
    state: tuple[Tensor, Tensor], change: tuple[Tensor, Tensor], openness: float = 1.0
) -> tuple[Tensor, Tensor]:
    """(µ, ln σ) after a step, under c tanh(·/c) on the change and on the result.

    Example:
        >>> zero = torch.zeros(1)
        >>> gaussian_move((zero, zero), (zero, zero))
        (tensor([0.]), tensor([0.]))
    """
    limits = ((_LOC_STEP_LIMIT, _LOC_LIMIT), (_LOG_SCALE_STEP_LIMIT, _LOG_SCALE_LIMIT))
    moved = [
        soft_clamp(value + soft_clamp(d, _limit(step, openness)), _limit(bound, openness))
        for value, d, (step, bound) in zip(state, change, limits, strict=True)
    ]
    return moved[0], moved[1]


def _limit(ends: tuple[float, float], openness: float) -> float:
    start, end = ends
    return start + openness * (end - start)
