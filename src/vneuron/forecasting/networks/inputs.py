"""What a network's features see of a window: its values, their mask, how they are read, its place.

What is seen is the window in its own scale, with a mask of what was observed beside it where there
is one, read at several scales or in patches where the encoder says so, and then what is told of
where it stands.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..data.place import Place
from .features import Encoder
from .multiscale import MultiscaleReader
from .normalisation import WindowScale
from .patches import PatchReader
from .place_features import PlaceFeatures


def window_reader(
    encoder: Encoder, input_size: int, channels: int
) -> MultiscaleReader | PatchReader | None:
    """The layer through which an encoder reads a window; None where its rows go in as they are.

    Args:
        encoder: of the network.
        input_size: L.
        channels: 2 where the mask stands beside the values, else 1.

    Example:
        >>> window_reader("linear", 24, 1) is None, type(window_reader("patch", 24, 1)).__name__
        (True, 'PatchReader')
    """
    if encoder == "multiscale":
        return MultiscaleReader(input_size, channels)
    return PatchReader(input_size, channels) if encoder == "patch" else None


def with_mask(inputs: Tensor, observed: Tensor | None) -> Tensor:
    """The windows [batch, L] and, beside them, which of their rows were observed: [batch, 2L].

    Args:
        inputs: in the windows' scales.
        observed: mask of the same shape; None where all is observed.

    Example:
        >>> with_mask(torch.zeros(1, 2), None)
        tensor([[0., 0., 1., 1.]])
    """
    mask = torch.ones_like(inputs) if observed is None else observed.to(inputs.dtype)
    return torch.cat([inputs, mask], dim=-1)


def with_place(
    seen: Tensor, told: PlaceFeatures, place: Place | None, window: WindowScale, lag: int
) -> Tensor:
    """What is seen of windows [batch, width] and what is told of where they stand.

    Args:
        seen: of the windows themselves.
        told: which of series, calendar, level and scale.
        place: where each window stands.
        window: their levels and scales.
        lag: steps back to the windows of a prior with a memory; 0 for none.

    Raises:
        ValueError: there is no place.
    """
    if place is None:
        raise ValueError(
            "the network's features tell of a window's place, which is not given: pass "
            "WindowBatch.inputs, or build it with features='window'"
        )
    return torch.cat([seen, told(place, window, lag)], dim=-1)
