"""What integer codes cost: bits to store them, and synaptic events to read them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["CodeCost", "code_cost", "count_model"]

_ESCAPE = 64


class CodeCost(NamedTuple):
    """Means per image.

    Attributes:
        bits: ideal length of the code under a static model of each latent's counts.
        bits_per_pixel: the same over the number of pixels.
        spikes: Σ z.
        active: number of latents that are not zero.
        events: spikes times fan-out: additions that an event-driven decoder makes.
        gathers: active latents times fan-out: multiply–adds of a decoder that skips zeros.
        dense: latents times pixels: multiply–adds of a decoder that does not.
    """

    bits: float
    bits_per_pixel: float
    spikes: float
    active: float
    events: float
    gathers: float
    dense: int


def count_model(codes: Any) -> NDArray[np.float64]:
    """Bits of each count of each latent, from how often it occurs in some codes.

    Frequencies are smoothed by half an occurrence of every count up to 64, which stands for all
    larger ones (these pay 2 log₂(1 + z − 64) + 1 bits more, an Elias gamma code).

    Args:
        codes: whole numbers not below zero, [n, latents]; take training images'.

    Returns:
        [latents, 65].

    Raises:
        ValueError: if codes are not such numbers.

    Example:
        >>> count_model(np.array([[0], [0], [0], [1]])).shape
        (1, 65)
    """
    counts = _checked(codes)
    found = np.full((counts.shape[1], _ESCAPE + 1), 0.5)
    latents = np.broadcast_to(np.arange(counts.shape[1]), counts.shape)
    np.add.at(found, (latents, np.minimum(counts, _ESCAPE)), 1.0)
    bits: NDArray[np.float64] = -np.log2(found / found.sum(1, keepdims=True))
    return bits


def code_cost(codes: Any, model: NDArray[np.float64], pixels: int) -> CodeCost:
    """What codes cost to store and to read.

    Args:
        codes: whole numbers not below zero, [n, latents].
        model: from `count_model`, of other codes of the same latents.
        pixels: size of an image, the fan-out of each latent.

    Raises:
        ValueError: if codes are not such numbers, or the model is of other latents.

    Example:
        >>> codes = np.array([[0, 3], [0, 0]])
        >>> cost = code_cost(codes, count_model(codes), pixels=10)
        >>> cost.spikes, cost.active, cost.events, cost.gathers, cost.dense
        (1.5, 0.5, 15.0, 5.0, 20)
    """
    counts = _checked(codes)
    if len(model) != counts.shape[1]:
        raise ValueError(
            f"the model is of {len(model)} latents and the codes have {counts.shape[1]}; expected "
            "the same: make it from codes of the same model."
        )
    latents = np.broadcast_to(np.arange(counts.shape[1]), counts.shape)
    bits = model[latents, np.minimum(counts, _ESCAPE)]
    escaped = counts >= _ESCAPE
    bits = bits + escaped * (2.0 * np.floor(np.log2(1.0 + np.maximum(counts - _ESCAPE, 0))) + 1.0)
    total, spikes = float(bits.sum(1).mean()), float(counts.sum(1).mean())
    active = float((counts > 0).sum(1).mean())
    return CodeCost(
        bits=total,
        bits_per_pixel=total / pixels,
        spikes=spikes,
        active=active,
        events=spikes * pixels,
        gathers=active * pixels,
        dense=counts.shape[1] * pixels,
    )


def _checked(codes: Any) -> NDArray[np.int64]:
    array = np.asarray(codes)
    counts = array.astype(np.int64)
    if array.ndim != 2 or (counts != array).any() or (counts < 0).any():
        raise ValueError(
            f"codes of shape {array.shape} and type {array.dtype} are not counts; expected whole "
            "numbers not below zero, [n, latents]: pass what a Poisson model's transform returned."
        )
    return counts
