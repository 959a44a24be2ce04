"""How a unit's k latent dimensions become the activity that travels on."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias, get_args

from torch import Tensor

Activity: TypeAlias = Literal["mean", "sum", "scaled_sum", "raw"]

_ACTIVITIES = get_args(Activity)


def check_activity(activity: str) -> None:
    """Refuse a name that `pool` does not know.

    Raises:
        ValueError: naming the choices.

    Example:
        >>> check_activity("mean")
    """
    if activity not in _ACTIVITIES:
        raise ValueError(f"activity is {activity!r}, expected one of {_ACTIVITIES}.")


def pool(sample: Tensor, activity: Activity) -> Tensor:
    """Pool a sample over its latent dimensions.

    For independent z with standard deviation σ the result has standard deviation σ/√k under
    "mean", σ√k under "sum" and σ under "scaled_sum" (the sum over √k).

    Args:
        sample: z, [batch, units, k].
        activity: "mean", "sum", "scaled_sum", or "raw" for no pooling.

    Returns:
        [batch, units], or [batch, units, k] under "raw".

    Raises:
        ValueError: if `activity` is none of these.

    Example:
        >>> import torch
        >>> pool(torch.tensor([[[1.0, 3.0]]]), "mean")
        tensor([[2.]])
    """
    check_activity(activity)
    if activity == "mean":
        return sample.mean(-1)
    if activity == "sum":
        return sample.sum(-1)
    if activity == "scaled_sum":
        return sample.sum(-1) / math.sqrt(sample.shape[-1])
    return sample
