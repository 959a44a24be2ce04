r"""The density of ``W S^2 W' + N`` by its units, for a noise N whose inverse Ω is tridiagonal.

.. math:: e^\top (W S^2 W^\top + N)^{-1} e = e^\top \Omega\, (e - W S v), \qquad
          v = M^{-1} S W^\top \Omega e, \qquad M = I + S A S, \quad A = W^\top \Omega W

.. math:: \ln\det(W S^2 W^\top + N) = \ln\det N + \ln\det M

With Ω of its own a window has an A of its own, linear in Ω's entries: α times the products of
W's rows with themselves and β times those of neighbours, one matrix product for all windows.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from .own_noise import tridiagonal_times


class Whitened(NamedTuple):
    """The two numbers per window that a Gaussian or t density needs.

    Attributes:
        quadratic: ``r' C^{-1} r``, ``[batch]``.
        logdet: ``ln det C`` over the observed steps, ``[batch]``.
    """

    quadratic: Tensor
    logdet: Tensor


def solve(
    residual: Tensor, loading: Tensor, scale: Tensor, alpha: Tensor, beta: Tensor
) -> Whitened:
    """Quadratic form, and ln det M, with their gradients in closed form.

    Args:
        residual: e, ``[batch, steps]``.
        loading: W, ``[steps, units]``.
        scale: s (a standard deviation), ``[batch, units]``.
        alpha: the diagonal of Ω, ``[batch, steps]`` or ``[1, steps]``.
        beta: beside it, ``[batch, steps - 1]`` or ``[1, steps - 1]``.

    Returns:
        The quadratic form and ``ln det M`` (without ``ln det N``), each ``[batch]``.

    Example:
        >>> e, w, s = torch.ones(1, 2), torch.ones(2, 1), torch.ones(1, 1)
        >>> found = solve(e, w, s, torch.ones(1, 2), torch.zeros(1, 1))
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
    return _Products.of(loading).gram(alpha, beta)


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
        alpha: Tensor,
        beta: Tensor,
    ) -> tuple[Tensor, Tensor]:
        outer = _Products.of(loading)
        gram = outer.gram(alpha, beta)
        b = tridiagonal_times(alpha, beta, e) @ loading
        found = factor(gram, scale, b, gradients=any(ctx.needs_input_grad))  # type: ignore[attr-defined]
        t = torch.addmm(e, scale * found.v, loading.T, alpha=-1.0)
        x = tridiagonal_times(alpha, beta, t)
        kept = (t, x, found.v, loading, scale, alpha, beta, found.own, *found.pulled)
        ctx.save_for_backward(*kept)  # type: ignore[arg-type]
        return (e * x).sum(-1), found.logdet

    @staticmethod
    @once_differentiable
    def backward(
        ctx: FunctionCtx, grad_q: Tensor, grad_l: Tensor
    ) -> tuple[Tensor | None, Tensor, Tensor, Tensor | None, Tensor | None]:
        t, x, v, loading, scale, alpha, beta, own, *pulled = ctx.saved_tensors  # type: ignore[attr-defined]
        of_e, _, _, of_alpha, of_beta = ctx.needs_input_grad  # type: ignore[attr-defined]
        outer = _Products.of(loading)
        weight = grad_l
        grad_q, grad_l = grad_q[:, None], grad_l[:, None]
        pushed = grad_q * x
        grad_scale = 2.0 * (grad_l * own - v * (pushed @ loading))
        grad_loading = -2.0 * (pushed.T @ (scale * v))
        grad_alpha = grad_q * t.square() if of_alpha else None
        grad_beta = 2.0 * grad_q * t[:, :-1] * t[:, 1:] if of_beta else None
        if len(alpha) == 1:
            total = _weighted(weight, pulled)[None]
            grad_loading += outer.pull(total, alpha, beta)
            if grad_alpha is not None and grad_beta is not None:
                by_alpha, by_beta = outer.by_precision(total)
                grad_alpha = grad_alpha.sum(0, keepdim=True) + by_alpha
                grad_beta = grad_beta.sum(0, keepdim=True) + by_beta
        else:
            first = 0
            for part in pulled:
                here = slice(first, first + len(part))
                first += len(part)
                k = part * grad_l[here]
                grad_loading += outer.pull(k, alpha[here], beta[here])
                if grad_alpha is not None and grad_beta is not None:
                    by_alpha, by_beta = outer.by_precision(k)
                    grad_alpha[here] += by_alpha
                    grad_beta[here] += by_beta
        return 2.0 * pushed if of_e else None, grad_loading, grad_scale, grad_alpha, grad_beta


class _Products(NamedTuple):
    """Products of W's rows, the lower triangles of symmetric N × N matrices as vectors.

    Attributes:
        loading: W, [H, N].
        own: w_h w_h', [H, T].
        beside: w_h w_{h+1}' + w_{h+1} w_h', [H − 1, T].
    """

    loading: Tensor
    own: Tensor
    beside: Tensor

    @classmethod
    def of(cls, loading: Tensor) -> _Products:
        rows, columns, _, _ = _triangle(loading.shape[1], loading.device)
        left, right = loading[:, rows], loading[:, columns]
        return cls(loading, left * right, left[:-1] * right[1:] + left[1:] * right[:-1])

    def gram(self, alpha: Tensor, beta: Tensor) -> Tensor:
        """A = W'ΩW of each window, [batch, N, N], or [N, N] where there is one Ω."""
        units = self.loading.shape[1]
        _, _, whole, _ = _triangle(units, self.loading.device)
        packed = torch.addmm(alpha @ self.own, beta, self.beside)
        gram = packed[:, whole].view(-1, units, units)
        return gram[0] if len(gram) == 1 else gram

    def by_precision(self, k: Tensor) -> tuple[Tensor, Tensor]:
        """⟨K, ∂A⟩ by α and by β, from K [batch, N · N]."""
        packed = self._packed(k)
        return packed @ self.own.T, packed @ self.beside.T

    def pull(self, k: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        """Σ_b 2 Ω_b W K_b, half the gradient's two equal halves together, [H, N]."""
        units = self.loading.shape[1]
        _, _, whole, lower = _triangle(units, k.device)
        packed = k[:, lower]
        own = (alpha.T @ packed)[:, whole].view(-1, units, units)
        found = torch.einsum("hk,hkj->hj", self.loading, own)
        if len(self.loading) > 1:
            beside = (beta.T @ packed)[:, whole].view(-1, units, units)
            found[:-1] += torch.einsum("hk,hkj->hj", self.loading[1:], beside)
            found[1:] += torch.einsum("hk,hkj->hj", self.loading[:-1], beside)
        return 2.0 * found

    def _packed(self, k: Tensor) -> Tensor:
        """Lower triangle of symmetric K, with what is off the diagonal counted twice."""
        rows, columns, _, lower = _triangle(self.loading.shape[1], k.device)
        return k[:, lower] * torch.where(rows == columns, 1.0, 2.0).to(k.dtype)


@cache
def _triangle(units: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows and columns of a lower triangle, its places in the matrix, and the matrix's in it."""
    rows, columns = torch.tril_indices(units, units, device=device)
    place = torch.zeros(units, units, dtype=torch.int64, device=device)
    place[rows, columns] = torch.arange(len(rows), device=device)
    whole = torch.maximum(place, place.T).flatten()
    return rows, columns, whole, rows * units + columns


def _weighted(weight: Tensor, pulled: list[Tensor]) -> Tensor:
    """Σ_b g_b K_b, [N · N]."""
    parts = zip(torch.split(weight, len(pulled[0])), pulled, strict=True)
    return torch.as_tensor(sum(g @ part for g, part in parts))


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


def factor(gram: Tensor, scale: Tensor, b: Tensor, *, gradients: bool) -> Factored:
    """Factor ``M = I + S A S`` window by window, a chunk of windows at a time.

    Args:
        gram: A, ``[units, units]`` or one per window.
        scale: s, ``[batch, units]``.
        b: ``W' Ω e``, ``[batch, units]``.
        gradients: keep what a backward pass needs.
    """
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
    m = (scale[:, :, None] * gram).mul_(scale[:, None, :])
    torch.diagonal(m, dim1=-2, dim2=-1).add_(1.0)
    found, failed = torch.linalg.cholesky_ex(m)
    logdet = 2.0 * torch.diagonal(found, dim1=-2, dim2=-1).log().sum(-1)
    # LAPACK's column order, read as rows: it is symmetric, and what follows wants rows
    return torch.cholesky_inverse(found).mT, known(logdet, failed)


def known(logdet: Tensor, failed: Tensor) -> Tensor:
    """NaN where M had no factor, which only overflow or NaN in W or s can bring about.

    A trainer takes that for what it is, divergence; an exception would need the device to answer
    in every step, and would end a run that still has its best weights.

    Example:
        >>> known(torch.zeros(1), torch.ones(1))
        tensor([nan])
    """
    return logdet.masked_fill(failed != 0, torch.nan)
