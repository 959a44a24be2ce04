"""What the spread and the units read of a window: layers of features."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from .dropout import ThinDropout

Encoder = Literal["linear", "mlp", "multiscale", "patch"]


class WindowFeatures(nn.ModuleList):
    """Linear maps, each followed by GELU and dropout.

    Args:
        widths: of the inputs and of each layer.
        dropout: share of features dropped in training.
        skip: later layers, of the first one's width, add to what comes before them.

    Example:
        >>> features = WindowFeatures([336, 256, 256], dropout=0.3)
        >>> features(torch.randn(5, 336), 5).shape
        torch.Size([5, 256])
    """

    def __init__(self, widths: Sequence[int], dropout: float, *, skip: bool = False) -> None:
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Linear(before, after), nn.GELU(), ThinDropout(dropout)]
        super().__init__(layers)
        self.skip = skip

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
        for first in range(0, len(self), 3):
            found = self._layer(first, features, windows)
            features = found + features if self.skip and first else found
        return features

    def _layer(self, first: int, features: Tensor, windows: int) -> Tensor:
        """A linear map, GELU and dropout."""
        features = self[first + 1](self[first](features))
        dropout = self[first + 2]
        if len(features) > windows:
            kept: Tensor = dropout(torch.ones_like(features[:windows]))
            return features * kept.repeat(2, 1)
        dropped: Tensor = dropout(features)
        return dropped
