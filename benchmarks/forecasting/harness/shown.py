"""Some windows of a run as they were forecast, for the path plot."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from vneuron.forecasting.data.windows import Windows, evenly_spaced
from vneuron.forecasting.laws.trajectory import AbstractPaths

from .scoring import Forecast, target_of

WINDOWS, PATHS, HISTORY = 4, 10, 96


@torch.no_grad()
def shown_windows(forecast: Forecast, windows: Windows, seed: int) -> pd.DataFrame | None:
    """A row per window and step, history below nought: y, median, lo_80, hi_80, path_0, ...

    None where the model draws no paths. Windows are spaced evenly over all, in training deviations.
    """
    some = evenly_spaced(len(windows), WINDOWS + 2)
    batch = windows.gather(some[1:-1] if len(some) > 2 else some)
    path = forecast(batch)
    if not isinstance(path, AbstractPaths):
        return None
    law = path.steps()
    draws = path.sample(PATHS, torch.Generator().manual_seed(seed)).double().numpy()
    history = batch.context[:, -HISTORY:].double().numpy()
    y = target_of(batch)
    parts = []
    for i in range(len(batch.series)):
        before = pd.DataFrame({"step": np.arange(-history.shape[1], 0), "y": history[i]})
        after = pd.DataFrame({"step": np.arange(path.horizon), "y": y[i]})
        after["median"] = law.median()[i]
        after["lo_80"], after["hi_80"] = law.quantile(0.1)[i], law.quantile(0.9)[i]
        for number in range(PATHS):
            after[f"path_{number}"] = draws[i, number]
        name = windows.flat.ids[int(batch.series[i])]
        parts.append(pd.concat([before, after]).assign(window=i, series=name))
    return pd.concat(parts, ignore_index=True)
