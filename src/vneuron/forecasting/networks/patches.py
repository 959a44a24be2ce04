"""Short stretches of a window, each read by the same map, and what they say to each other."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LENGTH, STRIDE, WIDTH = 16, 8, 24
"""Rows of a patch, from one to the next, and numbers that describe it."""


class PatchReader(nn.Module):
    r"""A window as patches: [rows, L] to [rows, P · 24].

    .. math:: p_i = \mathrm{gelu}(E x_{8i:8i+16} + e_i), \qquad
              \tilde p_i = p_i + \mathrm{gelu}(\textstyle\sum_j M_{ij} p_j + m_i)

    E is the same at every place of the window, so that a shape learned at one is known at all; M
    lets patches that lie a season apart speak to each other. Patches are counted back from the
    window's end; up to 7 rows at its start may be left over.

    Patches are those of Nie et al., arXiv 2211.14730; attention between them is replaced by one
    linear map over places, after Tolstikhin et al., arXiv 2105.01601, which at these sizes costs a
    fifth.

    Args:
        input_size: L.
        channels: 1, or 2 where the mask of observed values comes behind the values.

    Attributes:
        width: P · 24.

    Example:
        >>> reader = PatchReader(336)
        >>> reader.width, reader(torch.randn(5, 336)).shape
        (984, torch.Size([5, 984]))
    """

    def __init__(self, input_size: int, channels: int = 1) -> None:
        super().__init__()
        self.input_size = input_size
        self.channels = channels
        self.length = min(LENGTH, input_size)
        self.count = (input_size - self.length) // STRIDE + 1
        self.width = self.count * WIDTH
        self.embed = nn.Linear(self.length * channels, WIDTH)
        self.place = nn.Parameter(torch.zeros(self.count, WIDTH))
        self.mix = nn.Linear(self.count, self.count)

    def forward(self, inputs: Tensor) -> Tensor:
        """Descriptions of all patches, one after the other.

        Args:
            inputs: [rows, channels · L].
        """
        left = (self.input_size - self.length) % STRIDE
        series = inputs.view(len(inputs), self.channels, self.input_size)[..., left:]
        patches = series.unfold(-1, self.length, STRIDE).transpose(1, 2).flatten(2)
        described = F.gelu(self.embed(patches) + self.place)
        mixed = described + F.gelu(self.mix(described.mT)).mT
        return mixed.flatten(1)
