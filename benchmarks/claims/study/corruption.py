"""What is done to a context to see how a forecast bears it; the target stays as it is."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Corruption = Callable[[Tensor, torch.Generator], Tensor]
"""Contexts [windows, L] in, faulty copies out."""

SPIKES = 0.05
SPIKE_SIZE = 4.0
NOISE = 0.5
STUCK = 8
"""The last eighth of a stuck window repeats one value."""


def noise(context: Tensor, random: torch.Generator) -> Tensor:
    """White noise of half the window's own deviation on every value."""
    drawn = torch.randn(context.shape, generator=random, dtype=context.dtype)
    return context + NOISE * _spread(context) * drawn


def spikes(context: Tensor, random: torch.Generator) -> Tensor:
    """One value in twenty is off by four of the window's own deviations."""
    hit = torch.rand(context.shape, generator=random) < SPIKES
    sign = torch.where(torch.rand(context.shape, generator=random) < 0.5, -1.0, 1.0)
    return context + hit * sign * SPIKE_SIZE * _spread(context)


def stuck(context: Tensor, random: torch.Generator) -> Tensor:
    """The sensor stands still for the last eighth."""
    start = context.shape[1] - context.shape[1] // STUCK
    found = context.clone()
    found[:, start:] = found[:, start : start + 1]
    return found


CORRUPTIONS: dict[str, Corruption] = {"noise": noise, "spikes": spikes, "stuck": stuck}


def _spread(context: Tensor) -> Tensor:
    return context.std(1, keepdim=True) + 0.05
