"""Gratings: what neurons are tuned by."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["grating"]


def grating(shape: tuple[int, int], orientation: Any, frequency: Any, phase: Any = 0.0) -> Tensor:
    """√2 cos(2π f (x cos θ + y sin θ) + φ) around the image's centre: of unit contrast (rms).

    The contrast over a small image is not exactly 1: a whole number of periods seldom fits.

    Args:
        shape: (h, w).
        orientation: θ in radians, the direction across the bars; with `frequency` and `phase`
            broadcast to [...].
        frequency: f, cycles per pixel.
        phase: φ in radians, at the centre.

    Returns:
        [..., h, w].

    Example:
        >>> grating((4, 4), orientation=0.0, frequency=0.25)[0].round()
        tensor([-1.,  1.,  1., -1.])
    """
    theta, f, phi = (
        torch.as_tensor(v, dtype=torch.float32)[..., None, None]
        for v in (orientation, frequency, phase)
    )
    y = torch.arange(shape[0], dtype=torch.float32) - 0.5 * (shape[0] - 1)
    x = torch.arange(shape[1], dtype=torch.float32) - 0.5 * (shape[1] - 1)
    along = theta.cos() * x + theta.sin() * y[:, None]
    return 2**0.5 * torch.cos(2 * torch.pi * f * along + phi)
