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

    Autograd through a batched Cholesky keeps and revisits several [batch, N, N] arrays and runs
    two batched triangular solves; the closed form needs only ``M^{-1}``, which the forward pass
    has. The windows go through the [N, N] part in chunks that stay in cache: at 1,024 windows of
    32 units, arrays for all at once cost a quarter more, most of it in fetching fresh pages.
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
        root = n.sqrt()
        e = residual * root
        if observed is not None:
            # where, not a product: a missing residual may be NaN
            e = torch.where(observed, e, torch.zeros_like(e))
        gram = _gram(loading, observed)
        solved = _solve(gram, scale, e @ loading, gradients=any(ctx.needs_input_grad))  # type: ignore[attr-defined]
        u = torch.addmm(e, scale * solved.v, loading.T, alpha=-1.0)
        log_n = n.log()
        if observed is not None:
            u, log_n = u * observed, log_n * observed
        kept = (e, u, solved.v, n, root, loading, scale, observed, solved.own, *solved.pulled)
        ctx.save_for_backward(*kept)  # type: ignore[arg-type]
        return (e * u).sum(-1), solved.logdet - log_n.sum(-1)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: FunctionCtx, grad_q: Tensor, grad_l: Tensor
    ) -> tuple[Tensor | None, Tensor, Tensor, None]:
        e, u, v, n, root, loading, scale, observed, own, *pulled = ctx.saved_tensors  # type: ignore[attr-defined]
        weight = grad_l
        grad_q, grad_l = grad_q[:, None], grad_l[:, None]
        pushed = grad_q * u
        # n enters through e = n^1/2 r and through -sum ln n
        delta = (pushed * e - grad_l) / n
        if observed is not None:
            delta = delta * observed
        square = loading.square()
        grad_scale = 2.0 * (grad_l * own - grad_q * v * (u @ loading) + scale * (delta @ square))
        grad_loading = 2.0 * (
            _logdet_gradient(pulled, weight, loading, observed)
            - pushed.T @ (scale * v)
            + loading * (delta.T @ scale.square())
        )
        wanted = ctx.needs_input_grad[0]  # type: ignore[attr-defined]
        return 2.0 * pushed * root if wanted else None, grad_loading, grad_scale, None


class _Solved(NamedTuple):
    """What the N x N part of a batch comes to.

    Attributes:
        v: ``M^{-1} S b``, [batch, N].
        logdet: ``ln det M``, [batch].
        own: ``diag(M^{-1} S A)``, half the derivative of the log-determinant by s, [batch, N];
            None where no gradient is wanted.
        pulled: ``S M^{-1} S`` of each chunk of windows, [chunk, N * N].
    """

    v: Tensor
    logdet: Tensor
    own: Tensor | None
    pulled: list[Tensor]


CHUNK = 2**18
"""Entries of the [chunk, N, N] arrays that are worked on at a time: 1 MiB in single precision,
the second-level cache of a core."""


def _solve(gram: Tensor, scale: Tensor, b: Tensor, *, gradients: bool) -> _Solved:
    """Factor ``M = I + S A S`` window by window, a chunk of windows at a time."""
    batch, units = scale.shape
    rows = batch if scale.is_cuda else max(1, CHUNK // units**2)
    v, logdet, pulled = [], [], []
    own: list[Tensor] | None = [] if gradients else None
    for first in range(0, batch, rows):
        s = scale[first : first + rows]
        a = gram if gram.dim() == 2 else gram[first : first + rows]
        inverse, logdet_m = inverse_and_logdet(a, s)
        logdet.append(logdet_m)
        half = inverse.mul_(s[:, None, :])
        # a product and a sum: a batched product with one column costs five times as much
        v.append((half * b[first : first + rows, None, :]).sum(-1))
        if own is not None:
            own.append((half * a).sum(-1))
            pulled.append(half.mul_(s[:, :, None]).reshape(len(s), units * units))
    return _Solved(_joined(v), _joined(logdet), None if own is None else _joined(own), pulled)


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


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
    m = (scale[:, :, None] * gram).mul_(scale[:, None, :])
    torch.diagonal(m, dim1=-2, dim2=-1).add_(1.0)
    factor, failed = torch.linalg.cholesky_ex(m)
    logdet = 2.0 * torch.diagonal(factor, dim1=-2, dim2=-1).log().sum(-1)
    # LAPACK's column order, read as rows: it is symmetric, and what follows wants rows
    return torch.cholesky_inverse(factor).mT, _known(logdet, failed)


def _known(logdet: Tensor, failed: Tensor) -> Tensor:
    """NaN where M had no factor, which only overflow or NaN in W or s can bring about.

    A trainer takes that for what it is, divergence; an exception would need the device to answer
    in every step, and would end a run that still has its best weights.
    """
    return logdet.masked_fill(failed != 0, torch.nan)


def _logdet_gradient(
    pulled: list[Tensor], weight: Tensor, loading: Tensor, observed: Tensor | None
) -> Tensor:
    """Half the gradient of sum_b g_b ln det M with respect to W: W sum_b g_b S M^{-1} S."""
    units = loading.shape[1]
    size = len(pulled[0])
    if observed is None:
        parts = zip(torch.split(weight, size), pulled, strict=True)
        total = sum(g @ part for g, part in parts)
        return loading @ torch.as_tensor(total).view(units, units)
    seen = torch.split(observed * weight[:, None], size)
    per_step = sum(g.T @ part for g, part in zip(seen, pulled, strict=True))
    return torch.einsum("hk,hkj->hj", loading, torch.as_tensor(per_step).view(-1, units, units))
