r"""Student's t for margins and for whole trajectories, with the Gaussian as its limit.

``df`` is the degrees of freedom ν; ``None`` stands for ν → ∞, the Gaussian. Scales
are those of the t (not standard deviations: the variance is scale² ν/(ν-2)).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable


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


def step_nll(target: Tensor, loc: Tensor, scale: Tensor, df: Tensor | None) -> Tensor:
    r"""`marginal_nll` of y under t_ν(m, τ), with its gradient in closed form.

    With :math:`r = (y - m)/\tau` and :math:`w = (\nu + 1)/(\nu + r^2)`, the derivatives are
    :math:`-w r/\tau` by m, :math:`(1 - w r^2)/\tau` by τ, and by ν

    .. math:: \tfrac12\ln(1 + r^2/\nu) - \tfrac{w r^2}{2\nu}
              - \tfrac12\psi(\tfrac{\nu+1}2) + \tfrac12\psi(\tfrac\nu2) + \tfrac1{2\nu}.

    Autograd through `marginal_nll` runs three times as many operations, which at the size of a
    training batch are overhead.

    Args:
        target: y, any shape.
        loc: m, of that shape.
        scale: τ, of that shape.
        df: ν, a scalar, or None for the Gaussian.

    Returns:
        Nats per step, the shape of ``target``. It can be differentiated once.

    Example:
        >>> step_nll(torch.zeros(1), torch.zeros(1), torch.ones(1), None)
        tensor([0.9189])
    """
    if df is None or df.dim() > 0:
        return marginal_nll((target - loc) / scale, scale.log(), df)
    nll: Tensor = _StepNLL.apply(target, loc, scale, df)  # type: ignore[no-untyped-call]
    return nll


class _StepNLL(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, target: Tensor, loc: Tensor, scale: Tensor, df: Tensor) -> Tensor:
        r = (target - loc).div_(scale)
        square = r.square()
        bend = (square / df).log1p_()
        ctx.save_for_backward(r, square, bend, scale, df)
        half = 0.5 * (df + 1.0)
        normaliser = torch.lgamma(half) - torch.lgamma(0.5 * df) - 0.5 * torch.log(df * math.pi)
        return torch.addcmul(scale.log().sub_(normaliser), bend, half)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: FunctionCtx, grad: Tensor
    ) -> tuple[Tensor | None, Tensor, Tensor, Tensor | None]:
        r, square, bend, scale, df = ctx.saved_tensors  # type: ignore[attr-defined]
        over = grad / scale
        w = (df + 1.0) / (df + square)
        pull = w * square
        by_target = over * w * r
        by_df = None
        if ctx.needs_input_grad[3]:  # type: ignore[attr-defined]
            digammas = torch.digamma(0.5 * (df + 1.0)) - torch.digamma(0.5 * df)
            slope = torch.sub(bend, pull / df).sub_(digammas - 1.0 / df)
            by_df = 0.5 * torch.dot(grad.reshape(-1), slope.reshape(-1))
        wanted = ctx.needs_input_grad[0]  # type: ignore[attr-defined]
        return by_target if wanted else None, -by_target, over * (1.0 - pull), by_df
