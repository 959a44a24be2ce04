"""How a model reconstructs what it was not trained on, step by step, and when it has settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..estimator import AbstractImageModel

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["settled_after", "transfer"]


def transfer(
    model: AbstractImageModel, sets: Mapping[str, Any], steps: Sequence[int]
) -> pd.DataFrame:
    """Error of reconstructions against steps of inference, set by set.

    The error of an image is ‖x − x̂‖² over ‖x‖², so that sets of any brightness compare; x̂ is
    decoded from a draw, and, under the column's second name, from the mean code.

    Args:
        model: fitted.
        sets: images by name, of the fitted size.
        steps: numbers of steps; models of one step give the same row for each.

    Returns:
        One row for each set and number: `set`, `step`, `error`, `error_map`, the mean over images;
        `error_se`, `error_map_se`, its standard error.
    """
    import pandas as pd

    wanted = sorted(set(steps))
    last = wanted[-1] if "steps" in model.get_params() else 1
    rows = []
    for name, images in sets.items():
        errors: dict[int, list[Tensor]] = {}
        for batch, trajectory in model.trajectories(images, last):
            for number, step in enumerate(trajectory, start=1):
                if number in wanted or number == last:
                    shown = torch.stack([model.decode(step.draw()), model.decode(step.mean)])
                    size = batch.square().sum(1).clamp_min(1e-12)
                    error = (batch - shown).square().sum(-1) / size
                    errors.setdefault(number, []).append(error.cpu())
        for number in wanted:
            found = torch.cat(errors[min(number, last)], 1).double()
            mean, spread = found.mean(1), found.std(1) / found.shape[1] ** 0.5
            rows.append(
                {"set": name, "step": number, "error": float(mean[0]), "error_map": float(mean[1])}
                | {"error_se": float(spread[0]), "error_map_se": float(spread[1])}
            )
    return pd.DataFrame(rows)


def settled_after(steps: Sequence[int], values: Sequence[float], tolerance: float = 0.01) -> int:
    """The first of some steps from which on a score stays near its last value.

    Args:
        steps: rising.
        values: the score at these.
        tolerance: how far from the last is near.

    Example:
        >>> settled_after([1, 2, 4, 8], [0.1, 0.6, 0.795, 0.8])
        4
    """
    far = np.abs(np.asarray(values, dtype=np.float64) - values[-1]) > tolerance
    return int(steps[int(np.flatnonzero(far)[-1]) + 1]) if far.any() else int(steps[0])
