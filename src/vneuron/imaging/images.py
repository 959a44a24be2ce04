"""Images in: arrays of any usual form become rows of pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["ImageError", "to_rows"]


class ImageError(ValueError):
    """Images that cannot be used. One line: what was found, where, and the cure."""


def to_rows(images: Any, features: int | None = None) -> tuple[Tensor, tuple[int, ...]]:
    """Rows of pixels, and the shape of one image.

    Args:
        images: [n, pixels] or [n, h, w] or [n, h, w, channels]: numpy, torch, or nested lists.
        features: how many pixels there must be; None takes any number.

    Returns:
        float32 [n, pixels], and what one image was: (pixels,), (h, w) or (h, w, channels).

    Raises:
        ImageError: if there is no image, a pixel is not a finite number, or the size is another.

    Example:
        >>> rows, shape = to_rows(np.zeros((5, 4, 3)))
        >>> rows.shape, shape
        (torch.Size([5, 12]), (4, 3))
    """
    array = images.detach().cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)
    if array.dtype.kind not in "buif":
        raise ImageError(f"images are of type {array.dtype}, expected numbers: decode them first")
    if array.ndim not in (2, 3, 4) or 0 in array.shape:
        raise ImageError(
            f"images have shape {array.shape}, expected [n, pixels], [n, h, w] or "
            "[n, h, w, channels] with none of them 0: put a single image into a batch, image[None]"
        )
    shape = tuple(int(size) for size in array.shape[1:])
    if features is not None and math.prod(shape) != features:
        raise ImageError(
            f"images of shape {shape} have {math.prod(shape)} pixels, but the model was fitted to "
            f"{features}: crop or resize them to that"
        )
    rows = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).flatten(1)
    bad = ~torch.isfinite(rows).all(1)
    if bool(bad.any()):
        raise ImageError(
            f"image {int(bad.nonzero()[0])} (counted from 0) has a pixel that is not finite "
            f"({int(bad.sum())} such images): fill or drop them"
        )
    return rows, shape
