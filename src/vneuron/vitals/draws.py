"""What several draws of a model's output say: how they differ, and how much they inform.

Outputs are stacked along a first axis of draws: [draws, batch, ...].
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..core import muted


@torch.no_grad()
def draw_outputs(model: Callable[[Tensor], Tensor], inputs: Tensor, draws: int = 8) -> Tensor:
    """A model's outputs for the same inputs, drawn anew each time; records no term.

    Args:
        model: a module with units inside, not wrapped in `Collect`.
        inputs: [batch, ...].
        draws: how many.

    Returns:
        [draws, batch, ...].

    Raises:
        ValueError: if `draws` is below 2.

    Example:
        >>> import vneuron as vn
        >>> draw_outputs(vn.GaussianUnits(3, 2), torch.zeros(5, 3), draws=4).shape
        torch.Size([4, 5, 2])
    """
    if draws < 2:
        raise ValueError(f"draws is {draws}, expected at least 2: one draw cannot differ.")
    with muted():
        return torch.stack([model(inputs) for _ in range(draws)])


def conditional_variance(outputs: Tensor) -> Tensor:
    """Variance over draws, given the input, [batch, ...]: what units add to the uncertainty.

    Example:
        >>> conditional_variance(torch.tensor([[1.0], [3.0]]))
        tensor([2.])
    """
    return outputs.var(0)


def categorical_information(probabilities: Tensor) -> Tensor:
    """Mutual information of class and draw, H(mean of p) − mean of H(p), nats, [batch].

    Args:
        probabilities: [draws, batch, classes], summing to one.

    Example:
        >>> sure_but_split = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
        >>> categorical_information(sure_but_split)   # ln 2
        tensor([0.6931])
    """
    whole: Tensor = torch.special.entr(probabilities.mean(0)).sum(-1)
    noise: Tensor = torch.special.entr(probabilities).sum(-1).mean(0)
    return (whole - noise).clamp_min(0.0)


def gaussian_information(means: Tensor, noise_scale: Tensor) -> Tensor:
    """Mutual information of outcome and draw if both are Gaussian, ½ ln(1 + Var/noise²), nats.

    Args:
        means: predicted means, [draws, batch, ...].
        noise_scale: standard deviation of the outcome given the draw, broadcastable.

    Returns:
        In the shape of one draw; an upper bound where means are not Gaussian over draws.

    Example:
        >>> gaussian_information(torch.tensor([[1.0], [3.0]]), torch.tensor(1.0))   # ½ ln 3
        tensor([0.5493])
    """
    return 0.5 * torch.log1p(conditional_variance(means) / noise_scale.square())
