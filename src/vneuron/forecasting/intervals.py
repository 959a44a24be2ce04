"""From a predictive distribution to the columns of a forecast frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special
from torch import Tensor

from .predictive import TrajectoryDistribution
from .rows import Floats

DEFAULT_LEVELS = (80, 95)


def check_levels(levels: Sequence[float]) -> tuple[float, ...]:
    """Interval levels in per cent, each above 0 and below 100.

    Raises:
        ValueError: a level outside, such as a share in place of per cent.

    Example:
        >>> check_levels([80, 95])
        (80, 95)
    """
    for level in levels:
        if not 0 < level < 100 or 0 < level < 1:
            raise ValueError(
                f"level is {level}, expected per cent, from 1 to below 100: write 80 for an "
                "interval that holds 80% of outcomes"
            )
    return tuple(levels)


def quantile(probability: float, df: float | None) -> float:
    """Quantile of the standard t with df degrees of freedom; of the normal where df is None.

    Example:
        >>> round(quantile(0.975, None), 2), round(quantile(0.975, 3.0), 2)
        (1.96, 3.18)
    """
    if df is None:
        return float(special.ndtri(probability))
    return float(special.stdtrit(df, probability))


def interval_columns(
    name: str, loc: Floats, scale: Floats, df: float | None, levels: Sequence[float]
) -> dict[str, Floats]:
    """Mean, median and central intervals of a t, under the names users of forecasts know.

    Args:
        name: of the model: columns are name, name-median, name-lo-80, name-hi-80, ...
        loc: location, any shape.
        scale: scale of the t, the same shape.
        df: ν, above 2; None for the Gaussian.
        levels: in per cent.
    """
    columns = {name: loc, f"{name}-median": loc}
    for level in levels:
        reach = quantile(0.5 + level / 200, df) * scale
        columns[f"{name}-lo-{level:g}"] = loc - reach
        columns[f"{name}-hi-{level:g}"] = loc + reach
    return columns


def draw_columns(name: str, draws: Floats, levels: Sequence[float]) -> dict[str, Floats]:
    """The same columns from draws along the last axis."""
    columns = {name: draws.mean(-1), f"{name}-median": np.median(draws, axis=-1)}
    for level in levels:
        tail = 0.5 - level / 200
        low, high = np.quantile(draws, [tail, 1 - tail], axis=-1)
        columns[f"{name}-lo-{level:g}"], columns[f"{name}-hi-{level:g}"] = low, high
    return columns


def uncertainty_columns(
    name: str, path: TrajectoryDistribution, novelty: Tensor | None
) -> dict[str, Floats]:
    """Where the spread comes from, and how unusual the window is, [batch, H] each.

    name-noise-sd and name-unit-sd are the standard deviations of the two parts; their squares add
    up to the variance of the step. name-novelty is the same for all steps of a window, in nats;
    without units it is missing.
    """
    sd, share = array(path.sd()), array(path.unit_share())
    unusual = np.full(len(path), np.nan) if novelty is None else array(novelty)
    return {
        f"{name}-noise-sd": sd * np.sqrt(1.0 - share),
        f"{name}-unit-sd": sd * np.sqrt(share),
        f"{name}-novelty": np.repeat(unusual[:, None], path.horizon, axis=1),
    }


def array(values: Tensor) -> Floats:
    """A tensor as float64 on the host."""
    return np.asarray(values.detach().double().cpu().numpy())
