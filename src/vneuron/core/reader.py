"""Declaring what reads a unit, so that a change of its scale can be compensated."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Reader:
    """A weight that reads a layer of units linearly.

    Attributes:
        module: the module that holds it.
        name: the weight's name there.
        dim: the axis that runs over the units, or over units · k, unit after unit.
        linear: whether z reaches the rest of the model through this weight alone, linearly. False
            states that it does not, and refuses actions that need it.

    Example:
        >>> import vneuron as vn
        >>> layer, head = vn.GaussianUnits(3, 4), nn.Linear(4, 2)
        >>> layer.readers.append(Reader(head))
        >>> layer.readers[0].factors(torch.tensor([2.0, 1.0, 1.0, 1.0]))
        tensor([[2., 1., 1., 1.]])
    """

    module: nn.Module
    name: str = "weight"
    dim: int = 1
    linear: bool = True

    @property
    def weight(self) -> nn.Parameter:
        """The weight as it is now; looked up each time, so that it may be replaced."""
        weight = getattr(self.module, self.name, None)
        if not isinstance(weight, nn.Parameter):
            raise ValueError(
                f"the reader {type(self.module).__name__}.{self.name} is {type(weight).__name__}, "
                "expected a parameter: declare the weight that multiplies the units."
            )
        return weight

    def factors(self, factor: Tensor) -> Tensor:
        """A factor per unit, shaped to multiply the weight.

        Args:
            factor: [units].

        Raises:
            ValueError: if the axis does not run over the units.
        """
        weight, units = self.weight, factor.shape[0]
        size = weight.shape[self.dim] if -weight.ndim <= self.dim < weight.ndim else 0
        if size == 0 or size % units:
            raise ValueError(
                f"axis {self.dim} of the reader {type(self.module).__name__}.{self.name} of shape "
                f"{tuple(weight.shape)} does not run over {units} units, or over units · k: give "
                "the axis that does as dim."
            )
        shape = [1] * weight.ndim
        shape[self.dim] = size
        return torch.repeat_interleave(factor, size // units, output_size=size).view(shape)
