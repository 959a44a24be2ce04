"""What a model looks at while it learns through time: images that rest or move, or given films."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from .images import ImageError
from .streams import jittering, rotating

__all__ = ["Film", "Motion", "film_of", "given_film"]

Motion: TypeAlias = Literal["still", "rotating", "jittering"]
"""How images are shown: as they are, turning by 8 degrees a frame, or wandering."""

Film: TypeAlias = Callable[[Tensor, int], Iterable[Tensor]]
"""From rows [batch, ...] and a number of frames to that many frames [batch, features]."""

_LARGEST_SEED = 2**31


def film_of(motion: Motion, shape: tuple[int, ...]) -> Film:
    """Films made of still images.

    Args:
        motion: "still", "rotating" or "jittering", see `streams`; the path of a jitter is drawn
            afresh for each batch.
        shape: of one image.

    Raises:
        ValueError: if the motion is unknown.
        ImageError: if images are to move and are not pictures (h, w).

    Example:
        >>> film = film_of("rotating", (4, 4))
        >>> [frame.shape for frame in film(torch.ones(3, 16), 2)]
        [torch.Size([3, 16]), torch.Size([3, 16])]
    """
    if motion not in get_args(Motion):
        raise ValueError(f"motion is {motion!r}, expected one of {get_args(Motion)}.")
    if motion == "still":
        return itertools.repeat
    if len(shape) != 2:
        raise ImageError(
            f"motion is {motion!r} and an image has shape {shape}, expected (h, w): pass images as "
            "[n, h, w]."
        )

    def moving(rows: Tensor, frames: int) -> Iterable[Tensor]:
        pictures = rows.reshape(-1, *shape)
        if motion == "rotating":
            return (frame.flatten(1) for frame in rotating(pictures, frames))
        seed = int(torch.randint(_LARGEST_SEED, ()))
        return (frame.flatten(1) for frame in jittering(pictures, frames, seed=seed))

    return moving


def given_film(rows: Tensor, frames: int) -> Iterable[Tensor]:
    """The frames that rows [batch, frames · features] hold one after the other.

    Example:
        >>> [frame.tolist() for frame in given_film(torch.tensor([[1, 2, 3, 4]]), 2)]
        [[[1, 2]], [[3, 4]]]
    """
    return rows.reshape(len(rows), frames, -1).unbind(1)
