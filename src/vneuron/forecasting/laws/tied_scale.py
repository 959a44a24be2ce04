r"""The scale matrix of a path of which sums may be known: Σ = BBᵀ + ΨRΨ − GGᵀ, never made whole.

B is the units' part, ΨRΨ the steps' own noise, and G = (BBᵀ + ΨRΨ) Pᵀ what the equalities P took
away. What it costs is products with B and P; `dense` alone has H × H numbers a window.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...functional.own_noise import autoregress, correlated_times, own_correlation
from ...functional.singular import DETERMINED


@dataclass(frozen=True)
class TiedScale:
    """Σ of each window of a batch.

    Attributes:
        shared: B, [batch, H, M]; M may be 0.
        own: ψ, scale of each step's own noise, [batch, H].
        rows: P, with P (BBᵀ + ΨRΨ) Pᵀ = I, [batch, F, H]; rows of zeros are none.
        persistence: ρ of the own noise, [batch]; None where R = I.

    Example:
        >>> free = TiedScale(torch.ones(1, 2, 1), torch.ones(1, 2), torch.zeros(1, 0, 2))
        >>> free.dense(), free.steps().square().round(decimals=6)
        (tensor([[[2., 1.],
                 [1., 2.]]]), tensor([[2., 2.]]))
    """

    shared: Tensor
    own: Tensor
    rows: Tensor
    persistence: Tensor | None = None

    def untied_times(self, rows: Tensor) -> Tensor:
        """(BBᵀ + ΨRΨ) rowsᵀ, [batch, H, F]: as if nothing were known."""
        columns = rows.mT
        return self.shared @ (self.shared.mT @ columns) + self._own_times(columns)

    def gain(self) -> Tensor:
        """G, [batch, H, F]."""
        return self.untied_times(self.rows)

    def steps(self) -> Tensor:
        """Root of Σ's diagonal, [batch, H]."""
        whole = self.shared.square().sum(-1) + self.own.square()
        return _root(whole - self.gain().square().sum(-1), whole)

    def sums(self, columns: Tensor) -> Tensor:
        """Scales of weighted sums of the path, [batch, F].

        Args:
            columns: their weights, [H, F].
        """
        alone = (columns * self._own_times(columns.expand(len(self.own), -1, -1))).sum(-2)
        whole = (self.shared.mT @ columns).square().sum(-2) + alone
        taken = (self.gain().mT @ columns).square().sum(-2)
        return _root(whole - taken, whole)

    def left_by_units(self) -> Tensor:
        """Variance of each step that knowing z would leave, in Σ's unit, [batch, H].

        Under an equality that is less than the step's own noise, since the others' noise is then
        tied to it.
        """
        noise = self._own_times(self.rows.mT)
        inner = self.rows @ noise
        identity = torch.eye(inner.shape[-1], dtype=inner.dtype, device=inner.device)
        inner = inner + identity * (~(self.rows != 0).any(-1))[:, None]
        solved: Tensor = torch.linalg.solve(inner, noise.mT)
        return (self.own.square() - (noise * solved.mT).sum(-1)).clamp_min(0.0)

    def deviation(self, noise: Tensor) -> Tensor:
        """Standard normal numbers to a draw of N(0, Σ).

        Args:
            noise: [batch, S, M + H].

        Returns:
            [batch, S, H].
        """
        units = self.shared.shape[-1]
        alone = noise[..., units:]
        if self.persistence is not None:
            alone = autoregress(self.persistence, alone)
        drawn = noise[..., :units] @ self.shared.mT + alone * self.own[:, None]
        return drawn - (drawn @ self.rows.mT) @ self.gain().mT

    def dense(self) -> Tensor:
        """Σ, [batch, H, H]."""
        gain = self.gain()
        return self.shared @ self.shared.mT - gain @ gain.mT + self._own_covariance()

    def _own_times(self, columns: Tensor) -> Tensor:
        """ΨRΨ columns, [batch, H, F]."""
        own = self.own[..., None]
        if self.persistence is None:
            return own.square() * columns
        return own * correlated_times(self.persistence, own * columns)

    def _own_covariance(self) -> Tensor:
        """ΨRΨ, [batch, H, H]."""
        if self.persistence is None:
            return torch.diag_embed(self.own.square())
        own = self.own
        correlation = own_correlation(self.persistence, own.shape[-1])
        return own[:, :, None] * correlation * own[:, None]


def _root(variance: Tensor, whole: Tensor) -> Tensor:
    """Square root of what is left of a variance; rounding is nothing."""
    return torch.where(variance > DETERMINED * whole, variance, torch.zeros_like(variance)).sqrt()
