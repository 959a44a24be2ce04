"""What the spread and the units read of a window: layers of features."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from .dropout import ThinDropout

Encoder = Literal["linear", "mlp"]


class WindowFeatures(nn.ModuleList):
    """Linear maps, each followed by GELU and dropout.

    Args:
        widths: of the inputs and of each layer.
        dropout: share of features dropped in training.

    Example:
        >>> features = WindowFeatures([336, 256, 256], dropout=0.3)
        >>> features(torch.randn(5, 336), 5).shape
        torch.Size([5, 256])
    """

    def __init__(self, widths: Sequence[int], dropout: float) -> None:
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Linear(before, after), nn.GELU(), ThinDropout(dropout)]
        super().__init__(layers)

    def forward(self, inputs: Tensor, windows: int) -> Tensor:
        """Features of windows, and of their predecessors if they are there.

        Both lack the same ones of the dropped features: what changes from one to the other is
        then the windows' own.

        Args:
            inputs: [windows, inputs], or [2 · windows, inputs] with the predecessors behind.
            windows: how many windows without their predecessors.

        Returns:
            One row of features per row of inputs.
        """
        features = inputs
        for layer in self:
            if isinstance(layer, nn.Dropout) and len(features) > windows:
                kept: Tensor = layer(torch.ones_like(features[:windows]))
                features = features * kept.repeat(2, 1)
            else:
                features = layer(features)
        return features
