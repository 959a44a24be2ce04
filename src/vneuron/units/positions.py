"""Units at every position of a feature map or a sequence."""

from __future__ import annotations

from torch import Tensor, nn

from ..core import AbstractUnit
from ..functional.pooling import pool


class EachPosition(nn.Module):
    """Applies one layer of units at every position of an input with further axes.

    The term recorded has the KL summed over positions, in nats per example as the likelihood is;
    sample, loc and scale have a row per position, so that running moments are over positions.
    Channels stay where they were.

    Args:
        units: the layer; its `in_features` is the number of channels.
        dim: the axis of channels: 1 for images [batch, channels, height, width], −1 for
            sequences [batch, time, channels].

    Raises:
        ValueError: if the input has fewer than three axes, or the activity is "raw".

    Example:
        >>> import torch, vneuron as vn
        >>> layer = EachPosition(vn.GaussianUnits(8, 4))
        >>> y, terms = vn.Collect(layer)(torch.zeros(2, 8, 5, 5))
        >>> y.shape, terms[0].kl.shape, terms[0].loc.shape
        (torch.Size([2, 4, 5, 5]), torch.Size([2, 4]), torch.Size([50, 4, 1]))
    """

    def __init__(self, units: AbstractUnit, dim: int = 1) -> None:
        super().__init__()
        if units.activity == "raw":
            raise ValueError(
                'the units have activity "raw", expected a pooled one: k would be an axis too many.'
            )
        self.units = units
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """[batch, ..., channels, ...] to the same with a channel per unit."""
        if x.ndim < 3:
            raise ValueError(
                f"the input has shape {tuple(x.shape)}, expected at least three axes: batch, "
                "channels and positions. For [batch, features] call the units themselves."
            )
        moved = x.movedim(self.dim, -1)
        latent = self.units.infer(moved.flatten(0, -2))
        # Rows are example after example, so the KL of each folds back out of them.
        kl = latent.kl.view(x.shape[0], -1, self.units.units).sum(1)
        self.units.observe(latent._replace(kl=kl))
        activity = pool(latent.sample, self.units.activity)
        return activity.view(*moved.shape[:-1], -1).movedim(-1, self.dim)

    def extra_repr(self) -> str:
        """Axis, for `repr`."""
        return f"dim={self.dim}"
