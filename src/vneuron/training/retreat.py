"""Weights of parts as they were when their score was last lowered, to put back."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

__all__ = ["Retreat"]


class Retreat:
    """What each part that settles by a score of its own may go back to.

    A network is kept at the epoch that is best for the whole. A part of it can have been at its
    best long before: steps' laws begin to learn windows by heart while what ties the steps still
    gains. One copy of each such part is held, in memory and in the checkpoint "last", until it is
    decided whether to go back.

    Args:
        optimizer: its groups with the same `settles_by` are one part.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> group = {"params": layer.parameters(), "settles_by": "val_nll"}
        >>> retreat = Retreat(torch.optim.AdamW([group]))
        >>> before = layer.weight.item()
        >>> retreat.keep("val_nll")
        >>> _ = nn.init.constant_(layer.weight, 3.0)
        >>> retreat.exchange("val_nll")
        >>> layer.weight.item() == before
        True
        >>> retreat.exchange("val_nll")
        >>> layer.weight.item()
        3.0
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._parts: dict[str, list[nn.Parameter]] = {}
        for group in optimizer.param_groups:
            if group["settles_by"] is not None:
                self._parts.setdefault(group["settles_by"], []).extend(group["params"])
        self._kept: dict[str, list[torch.Tensor]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._kept

    def keep(self, name: str) -> None:
        """From now on the part of this score may go back to where it is."""
        self._kept[name] = [parameter.detach().clone() for parameter in self._parts[name]]

    @torch.no_grad()
    def exchange(self, name: str) -> None:
        """Put back what was kept and keep what was there: done twice, nothing has changed."""
        for parameter, kept in zip(self._parts[name], self._kept[name], strict=True):
            now = parameter.clone()
            parameter.copy_(kept)
            kept.copy_(now)

    def forget(self, name: str) -> None:
        """Nothing is kept for this score any more."""
        del self._kept[name]

    def state_dict(self) -> dict[str, Any]:
        """What is kept, by score."""
        return {name: list(kept) for name, kept in self._kept.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep what a checkpoint held."""
        self._kept = {
            name: [kept.to(own.device) for kept, own in zip(found, self._parts[name], strict=True)]
            for name, found in state_dict.items()
        }
