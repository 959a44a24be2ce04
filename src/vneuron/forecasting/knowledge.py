"""What a user knows of a forecast's steps, read from frames and numbers, checked, as arrays."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from .data.columns import read_values
from .data.errors import DataError
from .data.frame import Panel
from .data.rows import Floats, Ints, name_some
from .data.stamps import read_stamps

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
        place = _Place(panel, horizon)
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

    def _check(self, place: _Place) -> None:
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


class _Place:
    """Where a row of a user's frame belongs: which series, which step of its forecast."""

    def __init__(self, panel: Panel, horizon: int) -> None:
        self.panel = panel
        self.horizon = horizon
        self.future = panel.future_times(horizon).view(np.int64)

    def name(self, series: int, step: int) -> str:
        """A step for messages."""
        return f"series {self.panel.ids[series]!r}, {self._clock(self.future[series, step])}"

    def table(self, frame: object, what: str, columns: Sequence[str]) -> nw.DataFrame[Any]:
        """A frame with these columns, and unique_id unless there is one series alone."""
        native = nw.from_native(frame, pass_through=True)
        if isinstance(native, nw.LazyFrame):
            native = native.collect()
        if not isinstance(native, nw.DataFrame):
            raise DataError(
                f"{what} is a {type(frame).__name__}, expected a pandas or polars frame with "
                f"columns {name_some(('unique_id', *columns), 10)}"
            )
        needed = columns if len(self.panel) == 1 else ("unique_id", *columns)
        absent = [name for name in needed if name not in native.columns]
        if absent:
            raise DataError(
                f"{what} has no column {name_some(absent)} but {name_some(native.columns, 10)}: "
                "rename its columns"
            )
        return native

    def series(self, table: nw.DataFrame[Any], what: str) -> Ints:
        """Positions in the panel, [rows]."""
        if "unique_id" not in table.columns:
            return np.zeros(len(table), dtype=np.int64)
        return np.array([self.position(own, what) for own in table["unique_id"].to_list()], int)

    def position(self, series: object, what: str) -> int:
        """Of one id."""
        if str(series) not in self.panel.ids:
            raise DataError(
                f"{what} names series {str(series)!r}, which is not forecast; there are "
                f"{name_some(self.panel.ids)}: drop it"
            )
        return self.panel.ids.index(str(series))

    def rows(self, table: nw.DataFrame[Any], what: str) -> tuple[Ints, Ints]:
        """Series and step of each row, [rows] each, no two the same.

        Raises:
            DataError: a step that is told twice.
        """
        series, steps = self.series(table, what), self.steps(table, "ds", what)
        cells = series * self.horizon + steps
        if len(np.unique(cells)) < len(cells):
            taken, counts = np.unique(cells, return_counts=True)
            at, step = divmod(int(taken[np.argmax(counts > 1)]), self.horizon)
            raise DataError(f"{self.name(at, step)}: {what} holds this step twice: drop one row")
        return series, steps

    def steps(self, table: nw.DataFrame[Any], column: str, what: str) -> Ints:
        """Steps of the forecast, from 0, [rows]."""
        own = self.panel.time_kind
        # 05/06/2026 alone does not say which is the day; the steps of the forecast do.
        expected = None if own.kind == "integer" else np.unique(self.future)
        stamps, kind = read_stamps(table[column], column, expected=expected)
        if (kind.kind == "integer") != (own.kind == "integer") or (
            (kind.zone is None) != (own.zone is None)
        ):
            raise DataError(
                f"{what}: the times of {column!r} are of another kind ({kind.kind}, zone "
                f"{kind.zone}) than the series' ({own.kind}, zone {own.zone}): convert them"
            )
        ahead = self.future[self.series(table, what)]
        same = ahead == stamps[:, None]
        if not same.any(-1).all():
            row = int(np.argmin(same.any(-1)))
            first, last = self._clock(ahead[row, 0]), self._clock(ahead[row, -1])
            raise DataError(
                f"{what}, row {row} (counted from 0): {self._clock(stamps[row])} is no step of "
                f"the forecast, which goes from {first} to {last}: drop such rows (older values "
                "belong to the context, predict's df)"
            )
        return np.asarray(same.argmax(-1))

    def _clock(self, stamp: np.int64) -> str:
        if self.panel.time_kind.kind == "integer":
            return str(stamp)
        clock = pd.Timestamp(int(stamp), unit="ns").floor("s")
        zone = self.panel.time_kind.zone
        return (clock if zone is None else clock.tz_localize("UTC").tz_convert(zone)).isoformat()


def _first(wrong: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """Where the first one is."""
    return tuple(int(i) for i in np.argwhere(wrong)[0])


_Sum: TypeAlias = tuple[int, Floats, float]


def _totals(total: Total, place: _Place) -> list[_Sum]:
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


def _linear(linear: Linear, place: _Place) -> list[_Sum]:
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


def _stacked(sums: list[_Sum], place: _Place) -> tuple[Floats, Floats]:
    """Sums as [series, F, H] and [series, F], F the most that one series has."""
    count = np.bincount([own for own, _, _ in sums], minlength=len(place.panel))
    weights = np.zeros((len(place.panel), count.max(initial=0), place.horizon))
    values = np.zeros(weights.shape[:2])
    filled = np.zeros(len(place.panel), dtype=int)
    for own, row, value in sums:
        weights[own, filled[own]], values[own, filled[own]] = row, value
        filled[own] += 1
    return weights, values


def _read_bounds(bounds: Bounds, place: _Place, lower: Floats, upper: Floats) -> None:
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
