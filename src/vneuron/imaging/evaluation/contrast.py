"""Responses to gratings of rising contrast, with and without a mask, and how soon they come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .circuit import Circuit

__all__ = [
    "NakaRushton",
    "contrast_response",
    "half_rise",
    "log_slope",
    "mask_suppression",
    "naka_rushton",
]


def contrast_response(
    circuit: Circuit,
    preferred: Tensor,
    neurons: Tensor,
    contrasts: Sequence[float],
    steps: int = 400,
) -> NDArray[np.float64]:
    """Rates of neurons for their own gratings at some contrasts, less their rates at rest.

    Args:
        circuit: the network.
        preferred: one image of unit contrast for each neuron, [n, features].
        neurons: which, [n].
        contrasts: in units of the training images' standard deviation.
        steps: from rest, under a constant image.

    Returns:
        [n, contrasts].
    """
    found = [_rates(circuit, c * preferred, neurons, steps) for c in contrasts]
    rest: NDArray[np.float64] = circuit.rest[neurons].exp().double().numpy()
    risen: NDArray[np.float64] = np.stack(found, 1) - rest[:, None]
    return risen


def mask_suppression(
    circuit: Circuit,
    preferred: Tensor,
    mask: Tensor,
    neurons: Tensor,
    contrast: float,
    mask_contrasts: Sequence[float],
    steps: int = 400,
) -> NDArray[np.float64]:
    """By how much a mask lowers responses: 1 − r(own + mask) / r(own).

    0: the mask does nothing; 1: it silences; below 0: it helps.

    Args:
        circuit: the network.
        preferred: of each neuron, at unit contrast, [n, features].
        mask: what is laid over it, such as the orthogonal grating, [n, features].
        neurons: which, [n].
        contrast: of the preferred image.
        mask_contrasts: of the mask.
        steps: from rest, under a constant image.

    Returns:
        [n, mask_contrasts].
    """
    alone = _rates(circuit, contrast * preferred, neurons, steps)
    both = [
        _rates(circuit, contrast * preferred + c * mask, neurons, steps) for c in mask_contrasts
    ]
    return 1.0 - np.stack(both, 1) / alone[:, None]


def half_rise(
    circuit: Circuit, preferred: Tensor, neurons: Tensor, contrast: float, steps: int = 400
) -> NDArray[np.float64]:
    """Steps after onset at which neurons first reach half of their largest response.

    Args:
        circuit: the network.
        preferred: of each neuron, at unit contrast, [n, features].
        neurons: which, [n].
        contrast: of the image.
        steps: that are watched. Two passes are made, so that no course over time is kept.

    Returns:
        [n], interpolated between steps.
    """
    drive = circuit.drive(contrast * preferred)
    each = torch.arange(len(neurons))

    def course() -> Any:
        state = circuit.init(len(drive))
        for _ in range(steps):
            state = circuit.step(state, drive)
            yield state.potential[each, neurons].exp().double()

    before = circuit.rest[neurons].exp().double()
    largest = before.clone()
    for rate in course():
        largest = torch.maximum(largest, rate)
    half = before + 0.5 * (largest - before)
    found = torch.full_like(half, math.nan)
    for step, rate in enumerate(course(), start=1):
        crossed = found.isnan() & (rate >= half) & (rate > before)
        part = (half - before) / (rate - before).clamp_min(1e-30)
        found = torch.where(crossed, step - 1 + part, found)
        before = rate
    result: NDArray[np.float64] = found.numpy()
    return result


def log_slope(contrasts: Sequence[float], responses: Any) -> NDArray[np.float64]:
    """Slope d ln r / d ln c at the last two contrasts: below 1 it saturates, above 1 it expands.

    Args:
        contrasts: rising.
        responses: positive, [n, contrasts].

    Example:
        >>> log_slope([1.0, 2.0], [[3.0, 6.0], [1.0, 4.0]])
        array([1., 2.])
    """
    found = np.log(np.asarray(responses, dtype=np.float64)[:, -2:])
    slope: NDArray[np.float64] = (found[:, 1] - found[:, 0]) / math.log(
        contrasts[-1] / contrasts[-2]
    )
    return slope


class NakaRushton(NamedTuple):
    """R(c) = largest · cⁿ / (cⁿ + c₅₀ⁿ).

    Attributes:
        largest: the response that is approached.
        half: c₅₀.
        exponent: n.
        r2: of the fit.
    """

    largest: float
    half: float
    exponent: float
    r2: float


def naka_rushton(contrasts: Sequence[float], response: Any) -> NakaRushton:
    """The hyperbolic ratio function that fits a contrast response best, by least squares.

    Source: Naka and Rushton, Journal of Physiology 185 (1966). A c₅₀ above the largest contrast
    says that no saturation was seen.

    Args:
        contrasts: positive.
        response: at these, [contrasts].

    Example:
        >>> c = np.array([0.1, 0.2, 0.4, 0.8, 1.6])
        >>> fit = naka_rushton(c, 3 * c**2 / (c**2 + 0.3**2))
        >>> round(fit.largest, 3), round(fit.half, 3), round(fit.exponent, 3)
        (3.0, 0.3, 2.0)
    """
    from scipy.optimize import least_squares

    c, r = np.asarray(contrasts, dtype=np.float64), np.asarray(response, dtype=np.float64)
    scale = float(np.abs(r).max()) or 1.0

    def model(p: NDArray[np.float64]) -> NDArray[np.float64]:
        power = c ** np.exp(p[2])
        ratio: NDArray[np.float64] = np.exp(p[0]) * power / (power + np.exp(p[1] * np.exp(p[2])))
        return ratio

    starts = [[math.log(top), math.log(half), math.log(n)] for top in (1.0, 4.0)
              for half in (float(np.median(c)), float(c.max())) for n in (1.0, 2.5)]  # fmt: skip
    bounds = ([-3.0, math.log(c.min() / 10), -1.0], [7.0, math.log(c.max() * 100), 2.0])
    fits = [least_squares(lambda p: model(p) - r / scale, start, bounds=bounds) for start in starts]
    best = min(fits, key=lambda fit: fit.cost)
    spread = float(((r / scale - (r / scale).mean()) ** 2).sum()) or math.nan
    top, half, exponent = np.exp(best.x)
    return NakaRushton(float(top * scale), float(half), float(exponent), 1 - 2 * best.cost / spread)


def _rates(circuit: Circuit, images: Tensor, neurons: Tensor, steps: int) -> NDArray[np.float64]:
    rates = circuit.settle(circuit.drive(images), steps)
    found: NDArray[np.float64] = rates[torch.arange(len(neurons)), neurons].double().numpy()
    return found
