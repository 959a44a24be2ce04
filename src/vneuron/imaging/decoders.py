"""Decoders for images by name: linear, with a hidden layer, convolutional."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias, get_args

from torch import Tensor, nn

from ..inference import AbstractDecoder, LinearDecoder, NonlinearDecoder

__all__ = ["DecoderKind", "build_decoder"]

DecoderKind: TypeAlias = Literal["linear", "mlp", "conv"]

_HIDDEN = 256
_CHANNELS = 32


class ConvolutionalBody(nn.Module):
    """A map from latents to a quarter-size grid of channels, doubled twice to an image.

    Args:
        latents: K.
        shape: (h, w) of an image; each is rounded up to a multiple of four inside and cut after.

    Example:
        >>> import torch
        >>> ConvolutionalBody(8, (10, 10))(torch.zeros(2, 8)).shape
        torch.Size([2, 100])
    """

    def __init__(self, latents: int, shape: tuple[int, int]) -> None:
        super().__init__()
        self.shape = shape
        self.grid = tuple(math.ceil(size / 4) for size in shape)
        self.spread = nn.Linear(latents, 2 * _CHANNELS * math.prod(self.grid))
        self.grow = nn.Sequential(
            nn.SiLU(),
            nn.ConvTranspose2d(2 * _CHANNELS, _CHANNELS, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.ConvTranspose2d(_CHANNELS, 1, 4, stride=2, padding=1),
        )

    def forward(self, activity: Tensor) -> Tensor:
        """[batch, latents] to [batch, h · w]."""
        grid = self.spread(activity).unflatten(-1, (2 * _CHANNELS, *self.grid))
        h, w = self.shape
        pixels: Tensor = self.grow(grid)[..., 0, :h, :w].flatten(-2)
        return pixels


def build_decoder(
    kind: DecoderKind, latents: int, shape: tuple[int, ...], scale: float = 0.01
) -> AbstractDecoder:
    """A decoder for images of a shape.

    Args:
        kind: "linear" (a dictionary), "mlp" (one hidden layer of 256), or "conv" (two transposed
            convolutions; for images of shape (h, w)).
        latents: K.
        shape: of one image.
        scale: standard deviation of a linear dictionary before training.

    Raises:
        ValueError: if the kind is unknown, or the shape is not that of an image for "conv".

    Example:
        >>> build_decoder("mlp", 8, (10, 10)).features
        100
    """
    features = math.prod(shape)
    if kind not in get_args(DecoderKind):
        raise ValueError(f"decoder is {kind!r}, expected one of {get_args(DecoderKind)}.")
    if kind == "linear":
        return LinearDecoder(latents, features, scale)
    if kind == "mlp":
        body: nn.Module = nn.Sequential(
            nn.Linear(latents, _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, features)
        )
        return NonlinearDecoder(body, latents, features)
    if len(shape) != 2:
        raise ValueError(
            f"decoder is 'conv' and an image has shape {shape}, expected (h, w): pass images as "
            "[n, h, w]."
        )
    return NonlinearDecoder(ConvolutionalBody(latents, (shape[0], shape[1])), latents, features)
