"""From a predictive distribution to the columns of a forecast frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from .data.rows import Floats
from .laws.law import AbstractNumbers
from .laws.trajectory import AbstractPaths

DEFAULT_LEVELS = (80, 95)

Levels: TypeAlias = float | Sequence[float]
"""One level of central intervals, or several, in per cent."""


def check_levels(levels: Levels) -> tuple[float, ...]:
    """Interval levels in per cent, each above 0 and below 100.

    Raises:
        ValueError: a level outside, such as a share in place of per cent, or no number; or two
            that columns would call by the same name.

    Example:
        >>> check_levels([80, 95]), check_levels(80)
        ((80, 95), (80,))
    """
    told: Any = levels  # users put anything there
    one = isinstance(told, str) or not isinstance(told, Iterable)
    given: tuple[Any, ...] = (told,) if one else tuple(told)
    names: dict[str, float] = {}
    for level in given:
        number = isinstance(level, Real) and not isinstance(level, bool)
        if not number or not 0 < level < 100 or level < 1:
            raise ValueError(
                f"level is {level!r}, expected per cent, from 1 to below 100: write 80 for an "
                "interval that holds 80% of outcomes"
            )
        other = names.setdefault(f"{level:g}", level)
        if other != level:
            raise ValueError(
                f"levels {other!r} and {level!r} would both be called {level:g}: give levels that "
                "differ in six digits"
            )
    return given


def interval_columns(
    name: str, law: AbstractNumbers, levels: Sequence[float], point: Floats | None = None
) -> dict[str, Floats]:
    """Mean, median and central intervals of a law, under the names users of forecasts know.

    Args:
        name: of the model: columns are name, name-median, name-lo-80, name-hi-80, ...
        law: of numbers of any shape.
        levels: in per cent.
        point: what stands under the name itself; None is the mean.
    """
    columns = {name: law.mean() if point is None else point, f"{name}-median": law.median()}
    for level in levels:
        columns[f"{name}-lo-{level:g}"] = law.quantile(0.5 - level / 200)
        columns[f"{name}-hi-{level:g}"] = law.quantile(0.5 + level / 200)
    return columns


def draw_columns(
    name: str, draws: Floats, levels: Sequence[float], taken: Sequence[float] | None = None
) -> dict[str, Floats]:
    """The same columns from draws along the last axis.

    Args:
        name: of the model.
        draws: along the last axis.
        levels: in per cent; columns are called by them.
        taken: the levels between whose quantiles the intervals lie; None takes `levels`.
    """
    columns = {name: draws.mean(-1), f"{name}-median": np.median(draws, axis=-1)}
    for level, wide in zip(levels, levels if taken is None else taken, strict=True):
        tail = 0.5 - wide / 200
        low, high = np.quantile(draws, [tail, 1 - tail], axis=-1)
        columns[f"{name}-lo-{level:g}"], columns[f"{name}-hi-{level:g}"] = low, high
    return columns


def uncertainty_columns(
    name: str, path: AbstractPaths, novelty: Tensor | None
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
