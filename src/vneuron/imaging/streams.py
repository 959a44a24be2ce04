"""Moving inputs made from still images: rotating, jittering; frame after frame, nothing stored."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .images import ImageError

__all__ = ["jittering", "rotating"]


def rotating(images: Any, steps: int, degrees: float = 8.0, start: float = 0.0) -> Iterator[Tensor]:
    """Images that turn around their centres.

    What comes in from outside an image is zero. (The published feeder also matches each frame's
    histogram to the still image; here frames are what bilinear interpolation gives.)

    Args:
        images: [n, h, w].
        steps: number of frames.
        degrees: from a frame to the next, counter-clockwise.
        start: angle of the first frame.

    Yields:
        [n, h, w].

    Raises:
        ImageError: if the shape is another.

    Example:
        >>> import numpy as np
        >>> frames = list(rotating(np.eye(5)[None], steps=3, degrees=90.0))
        >>> bool(torch.allclose(frames[1][0], torch.eye(5).flip(0), atol=1e-5))
        True
    """
    pictures = _pictures(images)
    for step in range(steps):
        angle = math.radians(start + degrees * step)
        cos, sin = math.cos(angle), math.sin(angle)
        yield _resample(pictures, [[cos, -sin, 0.0], [sin, cos, 0.0]])


def jittering(
    images: Any, steps: int, diffusion: float = 0.6, spring: float = 0.03, seed: int = 0
) -> Iterator[Tensor]:
    """Images that wander like the image on a retina that never rests.

    The displacement d, the same for all images, moves by N(0, diffusion) − spring · d on each axis
    before every frame, in pixels.

    Args:
        images: [n, h, w].
        steps: number of frames.
        diffusion: variance of a move.
        spring: pull back to the centre.
        seed: of the path.

    Yields:
        [n, h, w].

    Raises:
        ImageError: if the shape is another.

    Example:
        >>> import numpy as np
        >>> [frame.shape for frame in jittering(np.eye(5)[None], steps=2)]
        [torch.Size([1, 5, 5]), torch.Size([1, 5, 5])]
    """
    pictures = _pictures(images)
    generator = torch.Generator().manual_seed(seed)
    place = torch.zeros(2)
    for _ in range(steps):
        place = place - spring * place + diffusion**0.5 * torch.randn(2, generator=generator)
        dx, dy = (2.0 * place / torch.tensor([pictures.shape[-1], pictures.shape[-2]])).tolist()
        yield _resample(pictures, [[1.0, 0.0, dx], [0.0, 1.0, dy]])


def _pictures(images: Any) -> Tensor:
    pictures = torch.as_tensor(images, dtype=torch.float32)
    if pictures.ndim != 3:
        raise ImageError(f"images have shape {tuple(pictures.shape)}, expected [n, h, w].")
    return pictures


def _resample(pictures: Tensor, matrix: list[list[float]]) -> Tensor:
    """Pictures read at the places that an affine map of a square of side two sends pixels to."""
    affine = torch.tensor(matrix, device=pictures.device).expand(len(pictures), -1, -1)
    size = [len(pictures), 1, *pictures.shape[1:]]
    grid = F.affine_grid(affine, size, align_corners=False)
    return F.grid_sample(pictures[:, None], grid, align_corners=False)[:, 0]
