r"""From draws of z to paths: a linear part, and a gated residual.

.. math:: y(z) = C z + \sigma(g(r)) \odot d(r), \qquad r = \mathrm{GELU}(D z)

Both first maps are linear in z = µ + σ ε, so that they are applied to µ once per window and to σ ε
once per pair of opposite draws: four draws cost three products in place of four, eight cost five.
z is not normalised before it is read: a layer norm of a noisy z takes its scale from the noise,
and at z = µ the head would see inputs that it has never met.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Hidden(NamedTuple):
    """What the first maps give.

    Attributes:
        skip: C z, [..., H].
        residual: D z, before its non-linearity, [..., width].
    """

    skip: Tensor
    residual: Tensor


class DrawHead(nn.Module):
    """Every draw of z to its own path.

    Args:
        inputs: size of z as it is read.
        horizon: H.
        width: of the residual.
        dropout: share of the residual's features dropped in training.
        scored: whether each draw is given a score, by which draws are weighed.

    Example:
        >>> head = DrawHead(8, horizon=3, width=4)
        >>> paths, scores = head.paths(head.opposite(torch.zeros(2, 8), torch.randn(2, 2, 8), 4))
        >>> paths.shape, scores
        (torch.Size([2, 4, 3]), None)
    """

    def __init__(
        self, inputs: int, horizon: int, width: int, dropout: float = 0.0, *, scored: bool = False
    ) -> None:
        super().__init__()
        self.horizon = horizon
        self.width = width
        self.first = nn.Linear(inputs, horizon + width)
        self.second = nn.Linear(width, 2 * horizon + int(scored))
        self.dropout = dropout

    def opposite(self, loc: Tensor, deviation: Tensor, draws: int) -> Hidden:
        """The first maps of pairs of draws, loc ± deviation.

        Args:
            loc: µ, [batch, inputs].
            deviation: σ ε, [batch, ⌈draws / 2⌉, inputs].
            draws: S; of an odd number the last has no opposite.

        Returns:
            [batch, S, ...] each.
        """
        off = self.effect(deviation, slice(None))
        return self.split(self.read(loc)[:, None] + torch.cat([off, -off], dim=1)[:, :draws])

    def read(self, z: Tensor) -> Tensor:
        """The first maps of given draws, together, [..., H + width]."""
        return self.first(z)  # type: ignore[no-any-return]

    def effect(self, change: Tensor, inputs: slice) -> Tensor:
        """What a change of some inputs of z adds to `read`.

        Args:
            change: [..., inputs].
            inputs: which they are.
        """
        return F.linear(change, self.first.weight[:, inputs])

    def split(self, first: Tensor) -> Hidden:
        """What the first maps give together, in its two parts."""
        return Hidden(first[..., : self.horizon], first[..., self.horizon :])

    def paths(self, hidden: Hidden) -> tuple[Tensor, Tensor | None]:
        """Paths [..., H], and scores [...] where draws are scored."""
        features = F.gelu(hidden.residual)
        if self.training and self.dropout > 0.0:
            # One mask for all draws of a window: they are to differ by z alone.
            kept = features.new_ones(features.shape[0], *[1] * (features.dim() - 2), self.width)
            features = features * F.dropout(kept, self.dropout)
        out = self.second(features)
        change, gate = out[..., : self.horizon], out[..., self.horizon : 2 * self.horizon]
        path = hidden.skip + torch.sigmoid(gate) * change
        scores = out[..., -1] if out.shape[-1] > 2 * self.horizon else None
        return path, scores
