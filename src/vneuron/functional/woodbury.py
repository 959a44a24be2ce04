r"""The density of ``W S^2 W' + N`` by its units, for a noise N whose inverse Ω is tridiagonal.

.. math:: e^\top (W S^2 W^\top + N)^{-1} e = e^\top \Omega\, (e - W S v), \qquad
          v = M^{-1} S W^\top \Omega e, \qquad M = I + S A S, \quad A = W^\top \Omega W

.. math:: \ln\det(W S^2 W^\top + N) = \ln\det N + \ln\det M

With Ω of its own a window has an A of its own, linear in Ω's entries: α times the products of
W's rows with themselves and β times those of neighbours, one matrix product for all windows.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from .gram import OwnPrecision, SharedPrecision, precisions


class Whitened(NamedTuple):
    """The two numbers per window that a Gaussian or t density needs.

    Attributes:
        quadratic: ``r' C^{-1} r``, ``[batch]``.
        logdet: ``ln det C`` over the observed steps, ``[batch]``.
    """

    quadratic: Tensor
    logdet: Tensor


def solve(
    residual: Tensor,
    loading: Tensor,
    scale: Tensor,
    alpha: Tensor | None = None,
    beta: Tensor | None = None,
) -> Whitened:
    """Quadratic form, and ln det M, with their gradients in closed form.

    Args:
        residual: e, ``[batch, steps]``.
        loading: W, ``[steps, units]``.
        scale: s (a standard deviation), ``[batch, units]``.
        alpha: the diagonal of Ω, ``[batch, steps]``, or ``[1, steps]`` where all windows share
            one, which is much cheaper; None where Ω = I.
        beta: beside it, ``[batch, steps - 1]`` or ``[1, steps - 1]``; None with alpha.

    Returns:
        The quadratic form and ``ln det M`` (without ``ln det N``), each ``[batch]``.

    Example:
        >>> e, w, s = torch.ones(1, 2), torch.ones(2, 1), torch.ones(1, 1)
        >>> found = solve(e, w, s)
        >>> round(found.quadratic.item(), 4), round(found.logdet.item(), 4)
        (0.6667, 1.0986)
    """
    quadratic, logdet = _Solve.apply(residual, loading, scale, alpha, beta)  # type: ignore[no-untyped-call]
    return Whitened(quadratic, logdet)


def gram(loading: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """A = W'ΩW, ``[batch, units, units]``, or ``[units, units]`` where there is one Ω.

    Example:
        >>> gram(torch.ones(2, 1), torch.ones(1, 2), -0.5 * torch.ones(1, 1))
        tensor([[1.]])
    """
    return precisions(loading, alpha, beta).gram()


class _Solve(torch.autograd.Function):
    """The forward pass has all that the backward pass needs: v, x and ``K = S M^{-1} S``.

    Autograd through a batched Cholesky keeps and revisits several [batch, N, N] arrays and runs
    two batched triangular solves. The windows go through the [N, N] part in chunks that stay in
    cache: at 1,024 windows of 32 units, arrays for all at once cost a quarter more, most of it in
    fetching fresh pages.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        e: Tensor,
        loading: Tensor,
        scale: Tensor,
        alpha: Tensor | None,
        beta: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        omega = precisions(loading, alpha, beta)
        b = omega.times(e) @ loading
        found = factor(omega, scale, b, gradients=any(ctx.needs_input_grad))  # type: ignore[attr-defined]
        t = torch.addmm(e, scale * found.v, loading.T, alpha=-1.0)
        x = omega.times(t)
        quadratic = (e * x).sum(-1)
        lost = _lost(quadratic, (t * x).sum(-1) + found.v.square().sum(-1))
        if lost is not None:
            _mend(lost, found, quadratic, t, x, (e, loading, scale, alpha, beta))
        kept = (t, x, found.v, loading, scale, alpha, beta, found.own, *found.pulled)
        ctx.save_for_backward(*kept)  # type: ignore[arg-type]
        return quadratic, found.logdet

    @staticmethod
    @once_differentiable
    def backward(
        ctx: FunctionCtx, grad_q: Tensor, grad_l: Tensor
    ) -> tuple[Tensor | None, Tensor, Tensor, Tensor | None, Tensor | None]:
        t, x, v, loading, scale, alpha, beta, own, *pulled = ctx.saved_tensors  # type: ignore[attr-defined]
        of_e, _, _, of_omega, _ = ctx.needs_input_grad  # type: ignore[attr-defined]
        weight = grad_l
        grad_q, grad_l = grad_q[:, None], grad_l[:, None]
        pushed = grad_q * x
        grad_scale = 2.0 * (grad_l * own - v * (pushed @ loading))
        omega = precisions(loading, alpha, beta)
        by_loading, by_alpha, by_beta = omega.pull(weight, pulled, precisions=of_omega)
        grad_loading = by_loading.addmm_(pushed.T, scale * v, alpha=-2.0)
        if by_alpha is not None and by_beta is not None:
            direct = grad_q * t.square(), 2.0 * grad_q * t[:, :-1] * t[:, 1:]
            by_alpha += direct[0].sum_to_size(by_alpha.shape)
            by_beta += direct[1].sum_to_size(by_beta.shape)
        return 2.0 * pushed if of_e else None, grad_loading, grad_scale, by_alpha, by_beta


LOST = 1e-3
"""Relative difference of the two forms of the quadratic from which rounding has told."""


def _lost(quadratic: Tensor, stable: Tensor) -> Tensor | None:
    r"""Windows in which single precision does not do; None where there are none, or on a GPU.

    .. math:: e^\top \Omega t = t^\top \Omega t + v^\top v, \qquad t = e - W S v

    at the exact v. The left side is a difference of large numbers; the right side is what v
    minimises, and errors of v enter it squared. On a GPU a step would have to wait for the answer.

    Args:
        quadratic: the left side, [batch].
        stable: the right side.
    """
    if quadratic.is_cuda or quadratic.dtype != torch.float32:
        return None
    kept = (quadratic - stable).abs() <= LOST * (1.0 + stable)  # false for NaN, too
    return None if kept.all() else (~kept).nonzero()[:, 0]


def _mend(
    lost: Tensor,
    found: Factored,
    quadratic: Tensor,
    t: Tensor,
    x: Tensor,
    given: tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None],
) -> None:
    """Factor these windows in double precision, from W, s and Ω on, and put what comes in place.

    Where units are wide and noise lasts and weighs little they all but explain the residual: with s
    of 7, W of 4 and δ of .1 (a window of exchange rates that stands still but for a spike) the
    quadratic was 8,593 in place of 185, and below −ν in the next window, which ended the run.
    """
    e, loading, scale, alpha, beta = given

    def rows_of(entries: Tensor | None) -> Tensor | None:
        if entries is None:
            return None
        return (entries if len(entries) == 1 else entries[lost]).double()

    e, loading, scale = e[lost].double(), loading.double(), scale[lost].double()
    omega = precisions(loading, rows_of(alpha), rows_of(beta))
    again = factor(omega, scale, omega.times(e) @ loading, gradients=found.own is not None)
    residual = torch.addmm(e, scale * again.v, loading.T, alpha=-1.0)
    weighed = omega.times(residual)
    mended = [(found.v, again.v), (found.logdet, again.logdet), (t, residual), (x, weighed)]
    mended.append((quadratic, (e * weighed).sum(-1)))
    if found.own is not None and again.own is not None:
        mended.append((found.own, again.own))
        chunk, inverses = len(found.pulled[0]), torch.cat(again.pulled)
        for window, inverse in zip(lost.tolist(), inverses, strict=True):
            found.pulled[window // chunk][window % chunk].copy_(inverse)
    for place, values in mended:
        place[lost] = values.to(place.dtype)


class Factored(NamedTuple):
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


def factor(
    omega: SharedPrecision | OwnPrecision, scale: Tensor, b: Tensor, *, gradients: bool
) -> Factored:
    """Factor ``M = I + S A S`` window by window, a chunk of windows at a time.

    Args:
        omega: what A is made of.
        scale: s, ``[batch, units]``.
        b: ``W' Ω e``, ``[batch, units]``.
        gradients: keep what a backward pass needs.
    """
    batch, units = scale.shape
    rows = batch if scale.is_cuda else max(1, CHUNK // units**2)
    v, logdet, pulled = [], [], []
    own: list[Tensor] | None = [] if gradients else None
    shared = omega.gram() if isinstance(omega, SharedPrecision) else None
    for first in range(0, batch, rows):
        s = scale[first : first + rows]
        a = omega.gram(slice(first, first + rows)) if shared is None else shared
        found, logdet_m = _cholesky(a, s)
        logdet.append(logdet_m)
        if own is None:  # the inverse itself is needed by gradients alone
            right = (s * b[first : first + rows])[..., None]
            v.append(torch.cholesky_solve(right, found)[..., 0])
            continue
        half = _inverse(found).mul_(s[:, None, :])
        # a product and a sum: a batched product with one column costs five times as much
        v.append((half * b[first : first + rows, None, :]).sum(-1))
        own.append((half * a).sum(-1))
        pulled.append(half.mul_(s[:, :, None]).reshape(len(s), units * units))
    return Factored(_joined(v), _joined(logdet), None if own is None else _joined(own), pulled)


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def inverse_and_logdet(gram: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Inverse and log-determinant of ``M = I + S A S``, whose eigenvalues are at least one.

    Args:
        gram: A, ``[units, units]`` or one per window.
        scale: s, ``[batch, units]``.

    Returns:
        ``M^{-1}`` ``[batch, units, units]`` and ``ln det M`` ``[batch]``, NaN where rounding,
        overflow or NaN leave no factor.

    Example:
        >>> inverse, logdet = inverse_and_logdet(torch.eye(1), torch.ones(1, 1))
        >>> round(inverse.item(), 4), round(logdet.item(), 4)
        (0.5, 0.6931)
    """
    found, logdet = _cholesky(gram, scale)
    return _inverse(found), logdet


def _cholesky(gram: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """The factor of M, and its log-determinant."""
    m = (scale[:, :, None] * gram).mul_(scale[:, None, :])
    torch.diagonal(m, dim1=-2, dim2=-1).add_(1.0)
    found, failed = torch.linalg.cholesky_ex(m)
    logdet = 2.0 * torch.diagonal(found, dim1=-2, dim2=-1).log().sum(-1)
    return found, known(logdet, failed)


def _inverse(found: Tensor) -> Tensor:
    # LAPACK's column order, read as rows: it is symmetric, and what follows wants rows
    return torch.cholesky_inverse(found).mT


def known(logdet: Tensor, failed: Tensor) -> Tensor:
    """NaN where M had no factor, which only overflow or NaN in W or s can bring about.

    A trainer takes that for what it is, divergence; an exception would need the device to answer
    in every step, and would end a run that still has its best weights.

    Example:
        >>> known(torch.zeros(1), torch.ones(1))
        tensor([nan])
    """
    return logdet.masked_fill(failed != 0, torch.nan)
