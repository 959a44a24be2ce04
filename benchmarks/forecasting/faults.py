"""Faults of sensors and of data, put into contexts [windows, L] that are scaled by training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Fault = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""Contexts in, faulty copies out; a fault's size is in each window's own standard deviations."""


def spread(x: np.ndarray) -> np.ndarray:
    return x.std(1, keepdims=True) + 0.05


def sign(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return random.choice([-1.0, 1.0], size=(len(x), 1))


def level_shift(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Up or down by 1.5, from a random point of the last half on."""
    length = x.shape[1]
    start = random.integers(length // 2, length - length // 14, size=(len(x), 1))
    return x + 1.5 * spread(x) * sign(x, random) * (np.arange(length) >= start)


def spikes(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Three values off by 4."""
    found = x.copy()
    for _ in range(3):
        at = random.integers(x.shape[1], size=len(x))
        found[np.arange(len(x)), at] += 4.0 * (spread(x) * sign(x, random))[:, 0]
    return found


def stuck(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The last seventh stands still."""
    found, start = x.copy(), x.shape[1] - x.shape[1] // 7
    found[:, start:] = x[:, start : start + 1]
    return found


def scale_change(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The last third swings twice as far about its mean."""
    found, start = x.copy(), x.shape[1] - x.shape[1] // 3
    part = x[:, start:]
    found[:, start:] = part.mean(1, keepdims=True) + 2.0 * (part - part.mean(1, keepdims=True))
    return found


def reversal(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Backwards in time."""
    return x[:, ::-1].copy()


def shuffled(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Pieces of 16 rows in another order."""
    pieces = x.shape[1] // 16
    order = np.argsort(random.random((len(x), pieces)), 1)
    rows = (order[..., None] * 16 + np.arange(16)).reshape(len(x), -1)
    found = x.copy()
    found[:, : pieces * 16] = np.take_along_axis(x, rows, 1)
    return found


def whole_level(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The whole window up or down by 3 training deviations: another unit, another zero."""
    return x + 3.0 * sign(x, random)


def whole_scale(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The whole window four times as wide about its mean."""
    middle = x.mean(1, keepdims=True)
    return middle + 4.0 * (x - middle)


FAULTS: dict[str, Fault] = {
    "level shift": level_shift,
    "spikes": spikes,
    "stuck": stuck,
    "scale change": scale_change,
    "reversal": reversal,
    "shuffled": shuffled,
    "level of all": whole_level,
    "scale of all": whole_scale,
}
