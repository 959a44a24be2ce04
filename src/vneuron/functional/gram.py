r"""A = W'ΩW for a tridiagonal Ω, one for all windows or one for each, and its slopes.

.. math:: A_b = \sum_h \alpha_{bh}\, w_h w_h^\top
          + \sum_h \beta_{bh}\, (w_h w_{h+1}^\top + w_{h+1} w_h^\top)

is linear in Ω's entries: with an Ω for each window one matrix product gives all A.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from .own_noise import tridiagonal_times

EVERY = slice(None)


class SharedPrecision(NamedTuple):
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

    def gram(self, windows: slice = EVERY) -> Tensor:
        """A = W'ΩW, [N, N], whichever the windows."""
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


class OwnPrecision(NamedTuple):
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

    def gram(self, windows: slice = EVERY) -> Tensor:
        """A = W'ΩW of each of these windows, [windows, N, N]."""
        units = self.loading.shape[1]
        _, _, whole, _ = _triangle(units, self.loading.device)
        packed = torch.addmm(self.alpha[windows] @ self.own, self.beta[windows], self.beside)
        return packed.index_select(1, whole).view(-1, units, units)

    def pull(
        self, weight: Tensor, pulled: list[Tensor], *, precisions: bool
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Slopes of Σ_b g_b ln det M_b by W, α and β, as `SharedPrecision.pull`."""
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
        return (
            (found, torch.cat(by_alpha), torch.cat(by_beta)) if precisions else (found, None, None)
        )


def precisions(
    loading: Tensor, alpha: Tensor | None, beta: Tensor | None
) -> SharedPrecision | OwnPrecision:
    """What A = W'ΩW is made of.

    Args:
        loading: W, [H, N].
        alpha: the diagonal of Ω, [batch, H], or [1, H] where all windows share one; None: Ω = I.
        beta: beside it, [batch, H − 1] or [1, H − 1]; None with alpha.

    Example:
        >>> precisions(torch.ones(2, 1), None, None).gram()
        tensor([[2.]])
    """
    if alpha is None or beta is None or len(alpha) == 1:
        return SharedPrecision(loading, alpha, beta)
    rows, columns, _, _ = _triangle(loading.shape[1], loading.device)
    left, right = loading.index_select(1, rows), loading.index_select(1, columns)
    beside = left[:-1] * right[1:] + left[1:] * right[:-1]
    return OwnPrecision(loading, alpha, beta, left * right, beside)


def _triangle(units: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows and columns of a lower triangle, the matrix's places in it, and its in the matrix."""
    # Dynamo traces what stands behind a cache, and warns of it.
    return _places(units, device) if torch.compiler.is_compiling() else _kept(units, device)


@torch.inference_mode(False)  # what is kept serves gradients too
def _places(units: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rows, columns = torch.tril_indices(units, units, device=device)
    place = torch.zeros(units, units, dtype=torch.int64, device=device)
    place[rows, columns] = torch.arange(len(rows), device=device)
    whole = torch.maximum(place, place.T).flatten()
    return rows, columns, whole, rows * units + columns


_kept = cache(_places)
