"""The boundary around a model, at which recorded terms become ordinary outputs."""

from __future__ import annotations

from typing import Any

from torch import nn

from .ledger import LocalTerm, boundary
from .unit import units_of


class Collect(nn.Module):
    """Run a model and return its output together with the terms that its units recorded.

    What `DistributedDataParallel`, `torch.compile`, `torch.func` and `torch.export` see are
    plain tensors in the output, so wrap *this*: `DDP(Collect(model))`, `torch.compile(Collect(
    model))`. On construction each layer's `name` becomes its path inside `model`; the last
    wrapper wins. A boundary nested in another keeps its terms to itself.

    Activation checkpointing must be of the non-reentrant kind. `torch.compile(fullgraph=True)`
    refuses to trace `record` inside a checkpointed region: there, checkpoint a function that
    calls `unit.infer`, and call `unit.observe` outside of it.

    Args:
        model: any module.

    Example:
        >>> import torch, vneuron as vn
        >>> model = nn.Sequential(vn.GaussianUnits(3, 4), nn.Linear(4, 2))
        >>> y, terms = Collect(model)(torch.zeros(5, 3))
        >>> y.shape, terms[0].name, terms[0].kl.shape
        (torch.Size([5, 2]), '0', torch.Size([5, 4]))
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        for path, unit in units_of(model):
            unit.name = path or type(unit).__name__

    def forward(self, *args: Any, **kwargs: Any) -> tuple[Any, tuple[LocalTerm, ...]]:
        """The model's output, and one term for each call of each layer, in order of calling."""
        with boundary() as terms:
            output = self.model(*args, **kwargs)
        return output, tuple(terms)
