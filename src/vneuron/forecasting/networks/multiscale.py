"""A window seen sharply where it ends, and ever more coarsely further back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SCALES = ((1, 48), (4, 144), (12, None))
"""Rows to a mean, and rows from the window's end over which such means are taken; None is all."""


class MultiscaleReader(nn.Module):
    """Means over 1, 4 and 12 rows of the last 48, the last 144, and all rows.

    What a forecast needs of far rows is their course, not each one: 336 rows become 112 numbers,
    and what is left to learn by heart is a third. Nothing of it is learned.

    Args:
        input_size: L.
        channels: 1, or 2 where the mask of observed values comes behind the values; its means are
            the shares that are observed.

    Attributes:
        width: how many numbers come out.

    Example:
        >>> reader = MultiscaleReader(336)
        >>> reader.width, reader(torch.ones(2, 336)).unique()
        (112, tensor([1.]))
    """

    def __init__(self, input_size: int, channels: int = 1) -> None:
        super().__init__()
        self.input_size = input_size
        self.channels = channels
        reach = [input_size if most is None else min(most, input_size) for _, most in SCALES]
        self.counts = [rows // size for rows, (size, _) in zip(reach, SCALES, strict=True)]
        self.width = channels * sum(self.counts)

    def forward(self, inputs: Tensor) -> Tensor:
        """Means, [rows, width].

        Args:
            inputs: [rows, channels · L].
        """
        series = inputs.view(len(inputs), self.channels, self.input_size)
        parts = [
            self._means(series, size, count)
            for (size, _), count in zip(SCALES, self.counts, strict=True)
            if count
        ]
        return torch.cat(parts, dim=-1)

    def _means(self, series: Tensor, size: int, count: int) -> Tensor:
        last = series[..., self.input_size - size * count :]
        return last.reshape(len(last), self.channels * count, size).mean(-1)
