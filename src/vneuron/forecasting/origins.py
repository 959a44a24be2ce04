"""Windows of several series that start at the same stamp."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from .data.rows import Ints
from .data.windows import Windows, evenly_spaced

ABSENT = -1


def shared_origins(windows: Windows, most: int) -> Ints:
    """Which windows forecast from the same stamp on, for evenly spaced stamps.

    Args:
        windows: of one or more series, of any lengths.
        most: stamps at most.

    Returns:
        [origins, series] positions among the windows, −1 where a series has none there; only
        origins that two series share, in the order of time, maybe none.

    Raises:
        ValueError: the series have no time stamps.
    """
    if windows.flat.times is None:
        raise ValueError("the series have no time stamps, which tell what belongs together")
    owner = windows.series.cpu().numpy()
    stamps = windows.flat.times.cpu().numpy()[windows.cutoffs]
    known, at, count = np.unique(stamps, return_inverse=True, return_counts=True)
    shared = np.flatnonzero(count > 1)
    if not len(shared):
        return np.empty((0, len(windows.flat.ids)), dtype=np.int64)
    kept = shared[evenly_spaced(len(shared), most).numpy()]
    row = np.full(len(known), ABSENT)
    row[kept] = np.arange(len(kept))
    found = np.full((len(kept), len(windows.flat.ids)), ABSENT, dtype=np.int64)
    chosen = row[at] != ABSENT
    found[row[at][chosen], owner[chosen]] = np.flatnonzero(chosen)
    return found


def whole_windows(windows: Windows, origins: Ints) -> Ints:
    """The origins without windows whose target has gaps, and without those then left alone."""
    if windows.flat.observed is None:
        return origins
    observed = windows.flat.observed.cpu().numpy()
    seen = np.concatenate([[0], np.cumsum(observed)])
    first = windows.cutoffs + 1
    whole: npt.NDArray[np.bool_] = seen[first + windows.horizon] - seen[first] == windows.horizon
    found = np.where((origins != ABSENT) & whole[origins], origins, ABSENT)
    return np.asarray(found[(found != ABSENT).sum(-1) > 1])


def positions(origin: Ints) -> torch.Tensor:
    """Of one origin the windows that there are, for `Windows.gather`."""
    return torch.from_numpy(origin[origin != ABSENT])
