r"""Student's t for margins and for whole trajectories, with the Gaussian as its limit.

``df`` is the degrees of freedom ν; ``None`` stands for ν → ∞, the Gaussian. Scales
are those of the t (not standard deviations: the variance is scale² ν/(ν-2)).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def marginal_nll(residual: Tensor, log_scale: Tensor, df: Tensor | None) -> Tensor:
    r"""Negative log density of each step on its own.

    .. math:: -\ln t_\nu(y) = \ln\tau + \tfrac{\nu+1}{2}\ln(1 + r^2/\nu)
              - \ln\frac{\Gamma(\frac{\nu+1}2)}{\Gamma(\frac\nu2)\sqrt{\nu\pi}}

    Args:
        residual: ``r = (y - m) / τ``, any shape.
        log_scale: ``ln τ``, broadcastable to ``residual``.
        df: ν, broadcastable to ``residual``, or None for the Gaussian.

    Returns:
        Nats per step, the shape of ``residual``.

    Example:
        >>> marginal_nll(torch.zeros(1), torch.zeros(1), None)
        tensor([0.9189])
    """
    return joint_nll(residual.square(), log_scale, residual.new_ones(()), df)


def joint_nll(quadratic: Tensor, log_volume: Tensor, steps: Tensor, df: Tensor | None) -> Tensor:
    r"""Negative log density of ``steps`` values with a common mixing variable.

    .. math:: -\ln t_\nu(y) = \ln|\Sigma^{1/2}| + \tfrac{\nu+d}{2}\ln(1+q/\nu)
              - \ln\frac{\Gamma(\frac{\nu+d}2)}{\Gamma(\frac\nu2)(\nu\pi)^{d/2}}

    Args:
        quadratic: ``q = (y-m)' Σ^{-1} (y-m)``, any shape.
        log_volume: ``½ ln det Σ``, broadcastable.
        steps: d, the number of values in the density (a tensor: it varies by
            window where steps are missing).
        df: ν, or None for the Gaussian.

    Returns:
        Nats, the shape of ``quadratic``.

    Example:
        >>> two = torch.tensor(2.0)
        >>> joint_nll(torch.zeros(1), torch.zeros(1), two, torch.tensor(3.0))
        tensor([1.8379])
    """
    if df is None:
        return log_volume + 0.5 * (quadratic + steps * math.log(2.0 * math.pi))
    normaliser = (
        torch.lgamma(0.5 * (df + steps))
        - torch.lgamma(0.5 * df)
        - 0.5 * steps * (torch.log(df) + math.log(math.pi))
    )
    return log_volume + 0.5 * (df + steps) * torch.log1p(quadratic / df) - normaliser
