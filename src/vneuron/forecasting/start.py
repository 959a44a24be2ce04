"""Where a network starts from: the window's level, or ridge regression on training windows."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from .data.windows import Windows, evenly_spaced
from .networks.network import TrajectoryNetwork
from .ridge import ResidualSpread

StartKind = Literal["level", "ridge"]

TRAINING_WINDOWS, HELD_OUT_WINDOWS = 16_384, 4096
"""At most so many are regressed on, and judge: a start need be no better than that."""

BATCH = 2048


@torch.no_grad()
def start_at_ridge(network: TrajectoryNetwork, train: Windows, validation: Windows) -> None:
    r"""Fill a network's base with the ridge regression of the paths on the windows, and its errors.

    .. math:: \hat W = \arg\min_W \textstyle\sum_i s_i^2 \lVert y_i - x_i W \rVert^2
              + \lambda n \lVert W \rVert^2, \qquad
              \hat\sigma_h^2 = \operatorname{mean}_i (y_{ih} - x_i \hat W_h)^2

    with x the window and y its path, both in scales s of the window, the second mean over
    held-out windows; λ is the penalty with the lowest squared error there. What follows a window
    almost by rule is found at once, where AdamW, which moves every weight by the learning rate
    however small the errors are, comes to a floor that lies far above the noise. Where noise is
    large nothing is gained, and of a few windows regression learns the noise by heart: which is
    why trials choose.

    Args:
        network: with a base, which is overwritten, a second reader's too.
        train: windows to regress on; of more than 16,384 so many, evenly spaced.
        validation: windows that choose the penalty and tell the errors.

    Raises:
        ValueError: the network has no base.
    """
    if network.base is None:
        raise ValueError("the network has no base to fill: build it with base=True.")
    some = train.take(evenly_spaced(len(train), TRAINING_WINDOWS))
    judged = validation.take(evenly_spaced(len(validation), HELD_OUT_WINDOWS))
    readers = [reader for reader in (network, network.second) if reader is not None]
    # readers of windows that are alike share one regression
    for size in {reader.input_size for reader in readers}:
        # one series: a spread for each of a million would be as many rows of numbers
        ridge = ResidualSpread(size, network.horizon, 1, network.location)
        ridge.fit_path(some, judged)
        errors = _errors(ridge, judged)
        for reader in readers:
            if reader.base is not None and reader.input_size == size:
                reader.base.set(ridge.weight[:-1], ridge.weight[-1], errors)


def _errors(ridge: ResidualSpread, windows: Windows) -> Tensor:
    """Root mean squared error by step, in scales of the windows, [H]."""
    total = torch.zeros_like(ridge.weight[-1])
    count = torch.zeros_like(total)
    for batch in windows.batches(BATCH):
        window, inputs = ridge.design(batch)
        error = (window.apply(batch.target).double() - inputs.double() @ ridge.weight).square()
        seen = batch.target_observed
        known = torch.ones_like(error) if seen is None else seen.to(error)
        total += (error * known).sum(0)
        count += known.sum(0)
    return (total / count.clamp_min(1.0)).sqrt()
