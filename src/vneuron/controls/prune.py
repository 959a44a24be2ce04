"""Pruning: taking units out of a layer for good."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..core import AbstractUnit


@torch.no_grad()
def prune(unit: AbstractUnit, keep: Tensor) -> None:
    """Remove units from a layer, and their columns from its declared readers, in place.

    The cure for units that nothing reads. Every tensor of the layer's state that has the units
    (or units · k) as its first axis is cut: weights, β, statistics, priors, controls. The layer
    then has fewer parameters, so build a new optimiser. What a removed unit sent on is gone; for
    units of no use that changes nothing that matters.

    Args:
        unit: the layer, whose readers are all declared.
        keep: bool [units]; True for the units that stay.

    Raises:
        ValueError: if `keep` has another shape or dtype or keeps nothing, or no reader is
            declared.

    Example:
        >>> import vneuron as vn
        >>> layer, head = vn.GaussianUnits(3, 4), nn.Linear(4, 2)
        >>> layer.readers.append(vn.Reader(head))
        >>> prune(layer, torch.tensor([True, False, True, True]))
        >>> head(layer(torch.zeros(5, 3))).shape, layer.units
        (torch.Size([5, 2]), 3)
    """
    if keep.dtype != torch.bool or keep.shape != (unit.units,) or not bool(keep.any()):
        raise ValueError(
            f"keep is {keep.dtype} of shape {tuple(keep.shape)} with {int(keep.sum())} kept, "
            f"expected bool [{unit.units}] that keeps at least one."
        )
    if not unit.readers:
        raise ValueError(
            f"no reader of {unit.name!r} is declared, so what reads it would not fit it any more: "
            "append vneuron.Reader(module) to unit.readers for each."
        )
    units, k = unit.units, unit.latent_dim
    index = keep.nonzero()[:, 0]
    for reader in unit.readers:
        _cut(
            reader.module,
            reader.name,
            _rows(index, units, reader.weight.shape[reader.dim]),
            reader.dim,
        )
        if isinstance(reader.module, nn.Linear) and reader.dim in (1, -1):
            reader.module.in_features = reader.weight.shape[1]
    left = int(index.numel())
    for module in unit.modules():
        for store in (module._parameters, module._buffers):
            for name, tensor in list(store.items()):
                if tensor is not None and tensor.ndim and tensor.shape[0] in (units, units * k):
                    _cut(module, name, _rows(index, units, tensor.shape[0]), 0)
        if isinstance(module, nn.Linear):
            module.out_features = module.weight.shape[0]
        if getattr(module, "units", None) == units:
            vars(module)["units"] = left


def _rows(index: Tensor, units: int, size: int) -> Tensor:
    """The kept rows of an axis that runs over units, or units · k."""
    per = size // units
    return (index[:, None] * per + torch.arange(per, device=index.device)).flatten()


def _cut(module: nn.Module, name: str, rows: Tensor, dim: int) -> None:
    tensor = getattr(module, name)
    cut = tensor.index_select(dim, rows.to(tensor.device))
    if isinstance(tensor, nn.Parameter):
        cut = nn.Parameter(cut, requires_grad=tensor.requires_grad)
    setattr(module, name, cut)
