"""Switch a model's units from drawing to returning their means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from .unit import units_of


@contextmanager
def deterministic(model: nn.Module) -> Iterator[None]:
    """Within the context, every unit of the model returns its posterior mean.

    KL, scale and recording are as before; only the draw is replaced. The switch is state of each
    layer (`unit.deterministic`), not a global one: other models keep drawing, and every layer's
    earlier state comes back on leaving, also after an exception. Under activation checkpointing
    the backward pass runs the forward again, so it belongs inside the context too.

    Args:
        model: any module with units inside.

    Example:
        >>> import torch, vneuron as vn
        >>> layer, x = vn.GaussianUnits(3, 2), torch.ones(1, 3)
        >>> with vn.deterministic(layer):
        ...     bool((layer(x) == layer(x)).all())
        True
    """
    layers = [unit for _, unit in units_of(model)]
    before = [unit.deterministic for unit in layers]
    try:
        for unit in layers:
            unit.deterministic = True
        yield
    finally:
        for unit, state in zip(layers, before, strict=True):
            unit.deterministic = state
