"""What a user knows of a forecast's steps, read from frames and numbers, checked, as arrays."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .data.columns import read_values
from .data.errors import DataError
from .data.frame import Panel
from .data.rows import Floats, name_some
from .row_place import RowPlace

Total: TypeAlias = float | Mapping[Any, float] | object
"""One number for each series, numbers by id, or a frame (unique_id, ds, ds_end, y)."""

Bounds: TypeAlias = tuple[float | None, float | None] | object
"""(lower, upper) for every step, None where open, or a frame (unique_id, ds, lower, upper)."""

Linear: TypeAlias = tuple[npt.ArrayLike, npt.ArrayLike]
"""Weights [F, H] or [series, F, H], and values [F] or [series, F]."""


@dataclass(frozen=True)
class Knowledge:
    """What is known of the next H steps of each series of a panel, in the data's unit.

    Attributes:
        observed: values, NaN where unknown, [series, H].
        weights: of known weighted sums, [series, F, H]; rows of zeros where a series has fewer.
        values: of these sums, [series, F].
        lower: [series, H], −inf where open.
        upper: [series, H], inf where open.
    """

    observed: Floats
    weights: Floats
    values: Floats
    lower: Floats
    upper: Floats

    @classmethod
    def read(
        cls,
        panel: Panel,
        horizon: int,
        observed: object = None,
        total: Total | None = None,
        bounds: Bounds | None = None,
        linear: Linear | None = None,
    ) -> Knowledge:
        """As `EVEForecaster.condition` takes it.

        Raises:
            DataError: a frame, id or stamp that does not fit the forecast, or facts that
                contradict each other.
        """
        if observed is None and total is None and bounds is None and linear is None:
            raise DataError("nothing to condition on: give observed, total, bounds or linear")
        place = RowPlace(panel, horizon)
        seen = np.full((len(panel), horizon), np.nan)
        if observed is not None:
            table = place.table(observed, "observed", ("ds", "y"))
            rows = place.rows(table, "observed")
            seen[rows] = read_values(table["y"])
        sums = [] if total is None else _totals(total, place)
        sums += [] if linear is None else _linear(linear, place)
        weights, values = _stacked(sums, place)
        lower, upper = np.full_like(seen, -np.inf), np.full_like(seen, np.inf)
        if bounds is not None:
            _read_bounds(bounds, place, lower, upper)
        found = cls(seen, weights, values, lower, upper)
        found._check(place)
        return found

    def _check(self, place: RowPlace) -> None:
        """Facts must be numbers, leave something possible, and say something new."""
        if np.isinf(self.observed).any():
            series, step = _first(np.isinf(self.observed))
            raise DataError(
                f"{place.name(series, step)}: observed is {self.observed[series, step]}, expected "
                "a number, or nothing where it is not known yet"
            )
        if not np.isfinite(self.values).all():
            series, row = _first(~np.isfinite(self.values))
            raise DataError(
                f"series {place.panel.ids[series]!r}: a total is {self.values[series, row]}, "
                "expected a number: leave out what is not known"
            )
        with np.errstate(invalid="ignore"):
            wrong = (self.observed < self.lower) | (self.observed > self.upper)
        wrong |= self.lower > self.upper
        wrong |= np.isposinf(self.lower) | np.isneginf(self.upper)
        if wrong.any():
            series, step = _first(wrong)
            raise DataError(
                f"{place.name(series, step)}: the bounds are {self.lower[series, step]:g} to "
                f"{self.upper[series, step]:g}, the value {self.observed[series, step]:g} (nan: "
                "not known): correct them"
            )
        active = (self.weights != 0).any(-1)
        empty = ~active & (self.values != 0)
        if empty.any():
            series, row = _first(empty)
            raise DataError(
                f"series {place.panel.ids[series]!r}: a sum whose weights are all 0 is said to be "
                f"{self.values[series, row]:g}, and can be 0 alone: correct its weights, or leave "
                "it out"
            )
        known = ~np.isnan(self.observed)
        told = active & ~((self.weights != 0) & ~known[:, None]).any(-1)
        if told.any():
            series, row = _first(told)
            raise DataError(
                f"series {place.panel.ids[series]!r}: every step of the sum known to be "
                f"{self.values[series, row]:g} is observed: leave the sum out"
            )
        low = np.where(known, np.nan_to_num(self.observed), self.lower)[:, None]
        high = np.where(known, np.nan_to_num(self.observed), self.upper)[:, None]
        with np.errstate(invalid="ignore"):
            least = np.where(self.weights > 0, self.weights * low, self.weights * high)
            most = np.where(self.weights > 0, self.weights * high, self.weights * low)
        least, most = (np.where(self.weights == 0, 0.0, ends).sum(-1) for ends in (least, most))
        out = active & ((self.values < least) | (self.values > most))
        if out.any():
            series, row = _first(out)
            raise DataError(
                f"series {place.panel.ids[series]!r}: a sum is known to be "
                f"{self.values[series, row]:g}, bounds and observed values allow from "
                f"{least[series, row]:g} to {most[series, row]:g}: correct one of them"
            )


def _first(wrong: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """Where the first one is."""
    return tuple(int(i) for i in np.argwhere(wrong)[0])


_Sum: TypeAlias = tuple[int, Floats, float]


def _totals(total: Total, place: RowPlace) -> list[_Sum]:
    """One weighted sum per known total: its series, weights [H], value."""
    whole = np.ones(place.horizon)
    if isinstance(total, int | float | np.number):
        return [(series, whole, float(total)) for series in range(len(place.panel))]
    if isinstance(total, Mapping):
        return [
            (place.position(key, "total"), whole, _number(v, f"total of series {str(key)!r}"))
            for key, v in total.items()
        ]
    table = place.table(total, "total", ("y",))
    spans = [name for name in ("ds", "ds_end") if name in table.columns]
    if len(spans) == 1:
        raise DataError(
            f"total has column {spans[0]!r} alone: give ds and ds_end, the first and the last "
            "step of each sum, or neither for the whole horizon"
        )
    series, values = place.series(table, "total"), read_values(table["y"])
    first, last = np.zeros(len(table), int), np.full(len(table), place.horizon - 1)
    if spans:
        first, last = (place.steps(table, name, "total") for name in spans)
    step = np.arange(place.horizon)
    inside = (step >= first[:, None]) & (step <= last[:, None])
    for row in np.flatnonzero((first > last) | ~np.isfinite(values)):
        raise DataError(
            f"total, row {row} (counted from 0): expected a finite y, and ds_end not before ds"
        )
    return [
        (int(own), weights.astype(float), float(value))
        for own, weights, value in zip(series, inside, values, strict=True)
    ]


def _number(value: object, what: str) -> float:
    """Of a user's, who may have put anything there.

    Raises:
        DataError: it is none.
    """
    if isinstance(value, int | float | np.integer | np.floating):
        return float(value)
    raise DataError(f"{what} is {value!r}, expected a number: leave out what is not known")


def _linear(linear: Linear, place: RowPlace) -> list[_Sum]:
    try:
        weights, values = (np.asarray(part, dtype=np.float64) for part in linear)
    except (TypeError, ValueError):
        raise DataError(
            f"linear is {reprlib.repr(linear)}, expected a pair of arrays of numbers: weights "
            f"[sums, {place.horizon}] and values [sums]"
        ) from None
    count = len(place.panel)
    try:
        weights = np.broadcast_to(weights, (count, *weights.shape[-2:]))
        values = np.broadcast_to(values, weights.shape[:2])
        fits = weights.shape[-1] == place.horizon
    except ValueError:
        fits = False
    if not fits:
        raise DataError(
            f"linear holds weights {np.shape(linear[0])} and values {np.shape(linear[1])}, "
            f"expected [sums, {place.horizon}] or [{count}, sums, {place.horizon}], and [sums] or "
            f"[{count}, sums]"
        )
    if not (np.isfinite(weights).all() and np.isfinite(values).all()):
        raise DataError("linear holds values that are not finite: give numbers")
    rows = np.ndindex(*values.shape)
    return [(own, weights[own, row], float(values[own, row])) for own, row in rows]


def _stacked(sums: list[_Sum], place: RowPlace) -> tuple[Floats, Floats]:
    """Sums as [series, F, H] and [series, F], F the most that one series has."""
    count = np.bincount([own for own, _, _ in sums], minlength=len(place.panel))
    weights = np.zeros((len(place.panel), count.max(initial=0), place.horizon))
    values = np.zeros(weights.shape[:2])
    filled = np.zeros(len(place.panel), dtype=int)
    for own, row, value in sums:
        weights[own, filled[own]], values[own, filled[own]] = row, value
        filled[own] += 1
    return weights, values


def _read_bounds(bounds: Bounds, place: RowPlace, lower: Floats, upper: Floats) -> None:
    """Write bounds into two arrays that are open everywhere."""
    if isinstance(bounds, tuple):
        if len(bounds) != 2:
            raise DataError(f"bounds holds {len(bounds)} parts, expected (lower, upper) or a frame")
        for end in bounds:
            single = isinstance(end, int | float | np.integer | np.floating)
            if end is not None and (not single or np.isnan(end)):
                raise DataError(
                    f"bounds is {reprlib.repr(bounds)}, expected numbers, or None where it is "
                    "open; of single steps a frame (unique_id, ds, lower, upper)"
                )
        lower[:] = -np.inf if bounds[0] is None else float(bounds[0])
        upper[:] = np.inf if bounds[1] is None else float(bounds[1])
        return
    table = place.table(bounds, "bounds", ("ds",))
    given = [name for name in ("lower", "upper") if name in table.columns]
    if not given:
        raise DataError(
            f"bounds has columns {name_some(table.columns, 10)}, expected lower or upper beside ds"
        )
    rows = place.rows(table, "bounds")
    for name, ends, open_end in (("lower", lower, -np.inf), ("upper", upper, np.inf)):
        if name in given:
            ends[rows] = np.nan_to_num(
                read_values(table[name]), nan=open_end, posinf=np.inf, neginf=-np.inf
            )
