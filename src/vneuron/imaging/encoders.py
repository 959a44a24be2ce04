"""Encoders of amortised image models: everything before the units' own linear map."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias, get_args

from torch import nn

__all__ = ["EncoderKind", "build_encoder"]

EncoderKind: TypeAlias = Literal["linear", "mlp", "conv"]

_HIDDEN = 512
_CHANNELS = 32


def build_encoder(kind: EncoderKind, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """Features of an image, and how many they are; the units' own linear map comes after.

    Args:
        kind: "linear" (none but that map), "mlp" (one hidden layer), "conv" (two convolutions).
        shape: of one image.

    Raises:
        ValueError: if the kind is unknown, or the shape is not that of an image for "conv".

    Example:
        >>> build_encoder("linear", (10, 10))[1]
        100
    """
    features = math.prod(shape)
    if kind not in get_args(EncoderKind):
        raise ValueError(f"encoder is {kind!r}, expected one of {get_args(EncoderKind)}.")
    if kind == "linear":
        return nn.Identity(), features
    if kind == "mlp":
        return nn.Sequential(nn.Linear(features, _HIDDEN), nn.SiLU()), _HIDDEN
    if len(shape) != 2:
        raise ValueError(
            f"encoder is 'conv' and an image has shape {shape}, expected (h, w): pass images as "
            "[n, h, w]."
        )
    body = nn.Sequential(
        nn.Unflatten(1, (1, *shape)),
        nn.Conv2d(1, _CHANNELS, 3, stride=2, padding=1),
        nn.SiLU(),
        nn.Conv2d(_CHANNELS, 2 * _CHANNELS, 3, stride=2, padding=1),
        nn.SiLU(),
        nn.Flatten(),
    )
    return body, 2 * _CHANNELS * math.prod(math.ceil(size / 4) for size in shape)
