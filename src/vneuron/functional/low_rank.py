r"""The low-rank correlation of a trajectory, and its quadratic form and determinant.

A trajectory of H steps, standardised step by step, has the scale matrix

.. math:: C = n^{-1/2} (W S^2 W^\top + I)\, n^{-1/2}, \qquad n = \mathrm{diag}(W S^2 W^\top + I),

with one loading W ``[steps, units]`` for all windows and the units' scales
``S = diag(s)`` of this window. C has unit diagonal for every W and s, so that
learning how steps depend on each other cannot move any single step's margin.

Everything here works through the ``units x units`` matrix ``M = I + S A S`` with
``A = W'W`` formed once per batch, never through an H x H matrix.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable


class Whitened(NamedTuple):
    """The two numbers per window that a density with scale matrix C needs.

    Attributes:
        quadratic: ``r' C^{-1} r``, ``[batch]``.
        logdet: ``ln det C`` over the observed steps, ``[batch]``.
    """

    quadratic: Tensor
    logdet: Tensor


def diagonal(loading: Tensor, unit_scale: Tensor) -> Tensor:
    r"""Diagonal ``n = diag(W S^2 W' + I)`` before it is normalised to one.

    Args:
        loading: W, ``[steps, units]``.
        unit_scale: s (a standard deviation), ``[..., units]``.

    Returns:
        n, ``[..., steps]``, each at least one.

    Example:
        >>> diagonal(torch.tensor([[2.0], [0.0]]), torch.tensor([[3.0]]))
        tensor([[37.,  1.]])
    """
    return unit_scale.square() @ loading.square().T + 1.0


def correlation(loading: Tensor, unit_scale: Tensor) -> Tensor:
    r"""The dense correlation matrix C, for reading and for tests.

    Args:
        loading: W, ``[steps, units]``.
        unit_scale: s, ``[..., units]``.

    Returns:
        C, ``[..., steps, steps]``, symmetric with unit diagonal.

    Example:
        >>> correlation(torch.tensor([[1.0], [1.0]]), torch.tensor([1.0]))
        tensor([[1.0000, 0.5000],
                [0.5000, 1.0000]])
    """
    scaled = (loading * unit_scale[..., None, :]) / diagonal(loading, unit_scale).sqrt()[..., None]
    shared = scaled @ scaled.mT
    own = 1.0 - torch.diagonal(shared, dim1=-2, dim2=-1)
    return shared + torch.diag_embed(own)


def whiten(
    residual: Tensor, loading: Tensor, unit_scale: Tensor, observed: Tensor | None = None
) -> Whitened:
    r"""Quadratic form and log-determinant of C, differentiable in all three inputs.

    With :math:`e = n^{1/2} r`, :math:`b = S W^\top e` and :math:`M = I + S A S`,

    .. math:: r^\top C^{-1} r = e^\top e - b^\top M^{-1} b, \qquad
              \ln\det C = \ln\det M - \textstyle\sum_h \ln n_h .

    Missing steps drop their rows of W, residual and n, so that A then belongs to
    a window's own pattern.

    Args:
        residual: r, standardised residuals ``[batch, steps]``.
        loading: W, ``[steps, units]``.
        unit_scale: s (a standard deviation): ``[batch, units]`` when it depends on
            the window, ``[units]`` when it is static. The static form factors one
            matrix for the whole batch.
        observed: Optional ``[batch, steps]`` mask, true where the step is known.

    Returns:
        The pair :class:`Whitened`, each ``[batch]``.

    Raises:
        ValueError: If the shapes do not belong together.

    Example:
        >>> r, w, s = torch.ones(1, 2), torch.ones(2, 1), torch.ones(1, 1)
        >>> q, logdet = whiten(r, w, s)
        >>> dense = correlation(w, s)
        >>> bool(torch.isclose(q, r @ torch.linalg.inv(dense)[0] @ r[0]))
        True
        >>> bool(torch.isclose(logdet, torch.logdet(dense)))
        True
    """
    _check(residual, loading, unit_scale)
    if unit_scale.dim() == 1 and observed is None:
        return _whiten_static(residual, loading, unit_scale)
    scale = unit_scale.expand(residual.shape[0], -1)
    quadratic, logdet = _Whiten.apply(residual, loading, scale, observed)  # type: ignore[no-untyped-call]
    return Whitened(quadratic, logdet)


def _check(residual: Tensor, loading: Tensor, unit_scale: Tensor) -> None:
    if residual.dim() != 2 or residual.shape[1] != loading.shape[0]:
        raise ValueError(
            f"residual has shape {tuple(residual.shape)} and loading {tuple(loading.shape)}; "
            "expected [batch, steps] and [steps, units] with the same number of steps"
        )
    if unit_scale.shape[-1] != loading.shape[1]:
        raise ValueError(
            f"unit_scale has {unit_scale.shape[-1]} units and loading {loading.shape[1]}; "
            "pass one scale for each column of loading"
        )


def _whiten_static(residual: Tensor, loading: Tensor, unit_scale: Tensor) -> Whitened:
    """One factorisation serves every window, and autograd through it is cheap."""
    n = diagonal(loading, unit_scale)
    scaled = loading * unit_scale
    identity = torch.eye(scaled.shape[1], dtype=scaled.dtype, device=scaled.device)
    factor, failed = torch.linalg.cholesky_ex(identity + scaled.mT @ scaled)
    e = residual * n.sqrt()
    half = torch.linalg.solve_triangular(factor, (e @ scaled).mT, upper=False)
    logdet = _known(2.0 * factor.diagonal().log().sum(), failed) - n.log().sum()
    quadratic = e.square().sum(-1) - half.square().sum(0)
    return Whitened(quadratic, logdet.expand(residual.shape[0]))


class _Whiten(torch.autograd.Function):
    """Per-window factor of I + S A S with its analytic backward.

    Autograd through a batched Cholesky keeps and revisits several [batch, N, N]
    arrays and runs two batched triangular solves; the closed form needs only
    ``M^{-1}``, which the forward pass has.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        residual: Tensor,
        loading: Tensor,
        scale: Tensor,
        observed: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        n = diagonal(loading, scale)
        e = residual * n.sqrt()
        if observed is not None:
            # where, not a product: a missing residual may be NaN
            e = torch.where(observed, e, torch.zeros_like(e))
        gram = _gram(loading, observed)
        inverse, logdet_m = inverse_and_logdet(gram, scale)
        v = torch.einsum("bjk,bk->bj", inverse, scale * (e @ loading))
        u = e - (scale * v) @ loading.T
        log_n = n.log()
        if observed is not None:
            u, log_n = u * observed, log_n * observed
        ctx.save_for_backward(e, u, v, n, inverse, loading, scale, gram, observed)  # type: ignore[arg-type]
        return (e * u).sum(-1), logdet_m - log_n.sum(-1)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: FunctionCtx, grad_q: Tensor, grad_l: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, None]:
        e, u, v, n, inverse, loading, scale, gram, observed = ctx.saved_tensors  # type: ignore[attr-defined]
        grad_q, grad_l = grad_q[:, None], grad_l[:, None]
        grad_e = 2.0 * grad_q * u
        # n enters through e = n^1/2 r and through -sum ln n
        delta = (grad_q * u * e - grad_l) / n
        if observed is not None:
            delta = delta * observed
        square = loading.square()
        own = torch.einsum("bjk,bk->bj", inverse * gram, scale)
        grad_scale = 2.0 * (grad_l * own - grad_q * v * (u @ loading) + scale * (delta @ square))
        grad_loading = (
            _logdet_gradient(inverse, scale, grad_l, loading, observed)
            - grad_e.T @ (scale * v)
            + 2.0 * loading * (delta.T @ scale.square())
        )
        return grad_e * n.sqrt(), grad_loading, grad_scale, None


def _gram(loading: Tensor, observed: Tensor | None) -> Tensor:
    """A = W'W, [N, N] for the batch, or [batch, N, N] over each window's known rows."""
    if observed is None:
        return loading.T @ loading
    steps, units = loading.shape
    outer = (loading[:, :, None] * loading[:, None, :]).reshape(steps, units * units)
    return (observed.to(loading.dtype) @ outer).reshape(-1, units, units)


def inverse_and_logdet(gram: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Inverse and log-determinant of ``M = I + S A S``, whose eigenvalues are at least one.

    Args:
        gram: ``A = W'W``, ``[units, units]`` or one per window.
        scale: s, ``[batch, units]``.

    Returns:
        ``M^{-1}`` ``[batch, units, units]`` and ``ln det M`` ``[batch]``, NaN where rounding,
        overflow or NaN leave no factor.

    Example:
        >>> inverse, logdet = inverse_and_logdet(torch.eye(1), torch.ones(1, 1))
        >>> round(inverse.item(), 4), round(logdet.item(), 4)
        (0.5, 0.6931)
    """
    m = scale[:, :, None] * gram * scale[:, None, :]
    torch.diagonal(m, dim1=-2, dim2=-1).add_(1.0)
    factor, failed = torch.linalg.cholesky_ex(m)
    logdet = 2.0 * torch.diagonal(factor, dim1=-2, dim2=-1).log().sum(-1)
    return torch.cholesky_inverse(factor), _known(logdet, failed)


def _known(logdet: Tensor, failed: Tensor) -> Tensor:
    """NaN where M had no factor, which only overflow or NaN in W or s can bring about.

    A trainer takes that for what it is, divergence; an exception would need the device to answer
    in every step, and would end a run that still has its best weights.
    """
    return logdet.masked_fill(failed != 0, torch.nan)


def _logdet_gradient(
    inverse: Tensor, scale: Tensor, grad_l: Tensor, loading: Tensor, observed: Tensor | None
) -> Tensor:
    """Gradient of sum_b grad_l ln det M with respect to W: 2 W sum_b g S M^{-1} S."""
    weighted = inverse * (scale * grad_l)[:, :, None] * scale[:, None, :]
    if observed is None:
        return 2.0 * loading @ weighted.sum(0)
    units = loading.shape[1]
    per_step = observed.to(loading.dtype).T @ weighted.reshape(-1, units * units)
    return 2.0 * torch.einsum("hk,hkj->hj", loading, per_step.reshape(-1, units, units))
