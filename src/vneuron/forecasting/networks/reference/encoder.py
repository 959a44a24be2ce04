"""From a window and the same window some steps before to features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AVERAGED = 25
"""Steps of the moving average that tells trend from season."""


class PairEncoder(nn.Module):
    r"""Features of a window x and of x', the same window `lag` steps before.

    .. math:: e(x) = A\,(x - Tx) + B\,Tx, \qquad
              h = \mathrm{LN}\,\mathrm{GELU}\bigl(P\,\tfrac{e + e'}2 + \sigma(G[e, e', e - e'])
              \odot Q\,(e - e')\bigr)

    with T the moving average. What persists goes through P, what is new through Q, as far as the
    gate lets it. e is linear in x, so that its two maps are folded into one before they are
    applied: A + (B − A) T.

    Args:
        input_size: L.
        lag: steps between the two windows, at least 1.
        features: width of h.
        mask_inputs: whether the mask of observed values is read too.

    Raises:
        ValueError: a lag below 1.

    Example:
        >>> encoder = PairEncoder(24, lag=4, features=8)
        >>> encoder(torch.randn(3, 28)).shape
        torch.Size([3, 8])
    """

    average: Tensor

    def __init__(
        self, input_size: int, lag: int, features: int, *, mask_inputs: bool = False
    ) -> None:
        super().__init__()
        if lag < 1:
            raise ValueError(f"lag is {lag}, expected at least 1 step between the windows.")
        self.input_size = input_size
        self.lag = lag
        self.seasonal = nn.Linear(input_size, features)
        self.trend = nn.Linear(input_size, features)
        self.mask = nn.Linear(input_size, features, bias=False) if mask_inputs else None
        self.persistence = nn.Linear(features, features)
        self.innovation = nn.Linear(features, features)
        self.gate = nn.Linear(3 * features, features)
        self.norm = nn.LayerNorm(features)
        average = moving_average(input_size, min(AVERAGED, input_size))
        self.register_buffer("average", average, persistent=False)

    def forward(self, inputs: Tensor, observed: Tensor | None = None) -> Tensor:
        """Features, [batch, features].

        Args:
            inputs: the window and the `lag` rows before it, [batch, lag + L].
            observed: mask of the same shape; None where all is observed.
        """
        now, before = self._encode(inputs, observed).chunk(2)
        new = now - before
        gate = torch.sigmoid(self.gate(torch.cat([now, before, new], dim=-1)))
        mixed = self.persistence(0.5 * (now + before)) + gate * self.innovation(new)
        features: Tensor = self.norm(F.gelu(mixed))
        return features

    def _encode(self, inputs: Tensor, observed: Tensor | None) -> Tensor:
        """Both windows by e, the later ones first, [2 · batch, features]."""
        weight = torch.addmm(
            self.seasonal.weight, self.trend.weight - self.seasonal.weight, self.average
        )
        encoded = F.linear(self._pair(inputs), weight, self.seasonal.bias + self.trend.bias)
        if self.mask is None:
            return encoded
        mask = torch.ones_like(inputs) if observed is None else observed.to(inputs.dtype)
        missing: Tensor = self.mask(self._pair(1.0 - mask))
        return encoded + missing

    def _pair(self, rows: Tensor) -> Tensor:
        return torch.cat([rows[:, self.lag :], rows[:, : self.input_size]])


def moving_average(size: int, width: int) -> Tensor:
    """The centred moving average as a matrix; the ends repeat their values.

    Args:
        size: rows of the series.
        width: values averaged; an even one is taken one shorter, to have a centre.

    Returns:
        T with T x the average of x, [size, size].

    Example:
        >>> moving_average(3, 3) @ torch.tensor([3.0, 6.0, 9.0])
        tensor([4., 6., 8.])
    """
    half = (width - 1) // 2
    rows = torch.arange(size)[:, None]
    columns = (rows + torch.arange(-half, half + 1)).clamp(0, size - 1)
    share = torch.full(columns.shape, 1.0 / (2 * half + 1))
    return torch.zeros(size, size).scatter_add_(1, columns, share)
