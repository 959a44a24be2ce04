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
    return _precisions(loading, alpha, beta).gram()


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
        omega = _precisions(loading, alpha, beta)
        b = omega.times(e) @ loading
        found = factor(omega.gram(), scale, b, gradients=any(ctx.needs_input_grad))  # type: ignore[attr-defined]
        t = torch.addmm(e, scale * found.v, loading.T, alpha=-1.0)
        x = omega.times(t)
        kept = (t, x, found.v, loading, scale, alpha, beta, found.own, *found.pulled)
        ctx.save_for_backward(*kept)  # type: ignore[arg-type]
        return (e * x).sum(-1), found.logdet

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
        omega = _precisions(loading, alpha, beta)
        by_loading, by_alpha, by_beta = omega.pull(weight, pulled, precisions=of_omega)
        grad_loading = by_loading.addmm_(pushed.T, scale * v, alpha=-2.0)
        if by_alpha is not None and by_beta is not None:
            direct = grad_q * t.square(), 2.0 * grad_q * t[:, :-1] * t[:, 1:]
            by_alpha += direct[0].sum_to_size(by_alpha.shape)
            by_beta += direct[1].sum_to_size(by_beta.shape)
        return 2.0 * pushed if of_e else None, grad_loading, grad_scale, by_alpha, by_beta


class _SharedPrecision(NamedTuple):
    """One Ω for all windows, and so one A.

    Attributes:
        loading: W, [H, N].
        alpha: [1, H]; None where Ω = I.
        beta: [1, H − 1]; None with alpha.
    """

    loading: Tensor
    alpha: Tensor | None
    beta: Tensor | None

    def times(self, rows: Tensor) -> Tensor:
        """Ω times each row, [batch, H]."""
        if self.alpha is None or self.beta is None:
            return rows
        return tridiagonal_times(self.alpha, self.beta, rows)

    def gram(self) -> Tensor:
        """A = W'ΩW, [N, N]."""
        return self.times(self.loading.T) @ self.loading

    def pull(
        self, weight: Tensor, pulled: list[Tensor], *, precisions: bool
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Slopes of Σ_b g_b ln det M_b by W, α and β: 2 Ω W K, w'Kw and 2 w'Kw₊, K = Σ_b g_b K_b.

        Args:
            weight: g, [batch].
            pulled: K_b, chunk by chunk, [chunk, N · N].
            precisions: whether those by α and β are wanted.
        """
        units = self.loading.shape[1]
        parts = zip(torch.split(weight, len(pulled[0])), pulled, strict=True)
        k = torch.as_tensor(sum(g @ part for g, part in parts)).view(units, units)
        by_loading = (2.0 * k) @ self.times(self.loading.T)
        if not precisions:
            return by_loading.T.contiguous(), None, None
        drawn = self.loading @ k
        by_alpha = (drawn * self.loading).sum(-1)
        by_beta = 2.0 * (drawn[:-1] * self.loading[1:]).sum(-1)
        return by_loading.T.contiguous(), by_alpha[None], by_beta[None]


class _OwnPrecision(NamedTuple):
    """An Ω for each window: A from products of W's rows, as lower triangles of T entries.

    Attributes:
        loading: W, [H, N].
        alpha: [batch, H].
        beta: [batch, H − 1].
        own: w_h w_h', [H, T].
        beside: w_h w_{h+1}' + w_{h+1} w_h', [H − 1, T].
    """

    loading: Tensor
    alpha: Tensor
    beta: Tensor
    own: Tensor
    beside: Tensor

    def times(self, rows: Tensor) -> Tensor:
        """Ω of each window times its row, [batch, H]."""
        return tridiagonal_times(self.alpha, self.beta, rows)

    def gram(self) -> Tensor:
        """A = W'ΩW of each window, [batch, N, N]."""
        units = self.loading.shape[1]
        _, _, whole, _ = _triangle(units, self.loading.device)
        packed = torch.addmm(self.alpha @ self.own, self.beta, self.beside)
        return packed.index_select(1, whole).view(-1, units, units)

    def pull(
        self, weight: Tensor, pulled: list[Tensor], *, precisions: bool
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Slopes of Σ_b g_b ln det M_b by W, α and β, as `_SharedPrecision.pull`."""
        units = self.loading.shape[1]
        rows, columns, whole, lower = _triangle(units, self.loading.device)
        twice = torch.where(rows == columns, 1.0, 2.0).to(self.loading.dtype)
        to_own, to_beside = self.own.T, self.beside.T
        if precisions:  # off the diagonal each entry of K counts twice
            to_own, to_beside = to_own * twice[:, None], to_beside * twice[:, None]
        by_own, by_beside = torch.zeros_like(self.own), torch.zeros_like(self.beside)
        by_alpha, by_beta = [], []
        first = 0
        for part in pulled:
            here = slice(first, first + len(part))
            first += len(part)
            k = part.index_select(1, lower).mul_(weight[here, None])
            by_own.addmm_(self.alpha[here].T, k)
            by_beside.addmm_(self.beta[here].T, k)
            if precisions:
                by_alpha.append(k @ to_own)
                by_beta.append(k @ to_beside)
        own = by_own.index_select(1, whole).view(-1, units, units)
        found = torch.bmm(self.loading[:, None], own)[:, 0]
        if len(self.loading) > 1:
            beside = by_beside.index_select(1, whole).view(-1, units, units)
            found[:-1] += torch.bmm(self.loading[1:, None], beside)[:, 0]
            found[1:] += torch.bmm(self.loading[:-1, None], beside)[:, 0]
        found.mul_(2.0)
        return (found, _joined(by_alpha), _joined(by_beta)) if precisions else (found, None, None)


def _precisions(
    loading: Tensor, alpha: Tensor | None, beta: Tensor | None
) -> _SharedPrecision | _OwnPrecision:
    if alpha is None or beta is None or len(alpha) == 1:
        return _SharedPrecision(loading, alpha, beta)
    rows, columns, _, _ = _triangle(loading.shape[1], loading.device)
    left, right = loading.index_select(1, rows), loading.index_select(1, columns)
    beside = left[:-1] * right[1:] + left[1:] * right[:-1]
    return _OwnPrecision(loading, alpha, beta, left * right, beside)


@cache
def _triangle(units: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows and columns of a lower triangle, its places in the matrix, and the matrix's in it."""
    rows, columns = torch.tril_indices(units, units, device=device)
    place = torch.zeros(units, units, dtype=torch.int64, device=device)
    place[rows, columns] = torch.arange(len(rows), device=device)
    whole = torch.maximum(place, place.T).flatten()
    return rows, columns, whole, rows * units + columns


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
