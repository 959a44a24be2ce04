"""A linear forecast that is known before training, and the size of its errors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SMALLEST_ERROR = 1e-3
"""In scales of the window: held-out windows that are met exactly do not make the next ones so."""


class BasePath(nn.Module):
    r"""A path and a spread that a network starts from, and that its own outputs are measured in.

    .. math:: m = x \hat W + \hat b + \hat\sigma \odot m', \qquad \tau = \hat\sigma \odot \tau'

    with m′ and τ′ what the network would give by itself, all in scales of the window. AdamW moves
    every weight by the learning rate, however small the errors are; measured in σ̂ the errors are
    of size one, as they are on data full of noise.

    Args:
        input_size: L.
        horizon: H.

    Attributes:
        weight: buffer, Ŵ, [L, H].
        bias: buffer, b̂, [H].
        error: buffer, σ̂, root mean squared error by step, [H].

    Example:
        >>> base = BasePath(3, 2)
        >>> path, spread = base(torch.ones(5, 3), torch.ones(5, 2), torch.ones(5, 2))
        >>> bool((path == 1).all() and (spread == 1).all())
        True
    """

    weight: Tensor
    bias: Tensor
    error: Tensor

    def __init__(self, input_size: int, horizon: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(input_size, horizon))
        self.register_buffer("bias", torch.zeros(horizon))
        self.register_buffer("error", torch.ones(horizon))

    def set(self, weight: Tensor, bias: Tensor, error: Tensor) -> None:
        """Fill it.

        Args:
            weight: Ŵ, [L, H].
            bias: b̂, [H].
            error: σ̂, [H]; at least a thousandth of a window's scale is taken.
        """
        self.weight.copy_(weight)
        self.bias.copy_(bias)
        self.error.copy_(error.clamp_min(SMALLEST_ERROR))

    def forward(self, inputs: Tensor, path: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
        """Path and spread in scales of the window.

        Args:
            inputs: windows, normalised, [batch, L].
            path: m′, [batch, H].
            spread: τ′, [batch, H], or several numbers a step, [batch, H · k], step by step.
        """
        known = torch.addmm(self.bias, inputs, self.weight)
        wide = spread.view(len(spread), len(self.error), -1) * self.error[:, None]
        return known + self.error * path, wide.view(spread.shape)
