"""Absent rows and values: refused, filled or masked."""

import numpy as np

from .errors import DataError
from .frequency import Frequency, meant_clock
from .rows import FlatRows, Ints, counted

__all__ = ["MISSING", "refuse_infinities", "treat_missing"]

MISSING = ("error", "interpolate", "mask")


def refuse_infinities(rows: FlatRows) -> None:
    """Raises DataError where a value is infinite, under every policy."""
    infinite = np.isinf(rows.values)
    if infinite.any():
        row = int(np.argmax(infinite))
        raise DataError(
            f"infinite value {rows.values[row]} in {rows.place(row)} ({int(infinite.sum())} in "
            "all): correct it, or make it missing and set missing to interpolate or mask"
        )


def treat_missing(
    rows: FlatRows, ordinals: Ints, frequency: Frequency, policy: str
) -> tuple[FlatRows, tuple[str, ...]]:
    """Gives every series one row per step, and deals with what is missing.

    Args:
        rows: in time order, each stamp once.
        ordinals: [rows], from ``check_regular``.
        frequency: the step.
        policy: "error" refuses missing values and rows. "mask" inserts absent rows and leaves
            NaN everywhere. "interpolate" inserts them, fills linearly between known values, and
            cuts missing values at a series' ends, which have no value on one side.

    Raises:
        DataError: something is missing under "error", a series has no value at all, a gap is so
            long that filling it would multiply the data, or an unknown policy.
    """
    if policy not in MISSING:
        raise DataError(f"missing is {policy!r}: give one of {', '.join(MISSING)}")
    _refuse_empty_series(rows)
    steps = np.where(rows.inner, np.diff(ordinals) // frequency.step, 1)
    absent = int((steps - 1).sum())
    unknown = np.isnan(rows.values)
    if absent == 0 and not unknown.any():
        return rows, ()
    if policy == "error":
        raise DataError(_report(rows, steps, unknown))
    notes: list[str] = []
    if absent:
        _refuse_flood(rows, steps, absent)
        notes.append(f"inserted {counted(absent, 'absent row')} in {_gaps(rows, steps)}")
        rows = _insert(rows, ordinals, frequency)
    if policy == "mask":
        masked = int(np.isnan(rows.values).sum())
        return rows, (*notes, f"{masked} of {len(rows.values)} values are missing and masked")
    rows, more = _interpolate(rows)
    return rows, (*notes, *more)


def _refuse_empty_series(rows: FlatRows) -> None:
    known = np.bincount(rows.series, weights=~np.isnan(rows.values), minlength=len(rows.ids))
    empty = np.flatnonzero(known == 0)
    if len(empty):
        raise DataError(
            f"series {rows.ids[int(empty[0])]!r} has no value at all "
            f"({len(empty)} such series): drop it"
        )


def _gaps(rows: FlatRows, steps: Ints) -> str:
    """Says like: 2 gaps (first: 3 after series 'a' at ...)."""
    places = np.flatnonzero(steps > 1)
    shown = ", ".join(
        f"{int(steps[row]) - 1} after {rows.place(row)}" for row in _first_places(rows, places)
    )
    return f"{counted(len(places), 'gap')} (first: {shown})"


def _first_places(rows: FlatRows, places: Ints, limit: int = 3) -> list[int]:
    """The first rows with different stamps: a wide file misses one stamp in all its series."""
    _, first = np.unique(rows.stamps[places], return_index=True)
    return [int(places[at]) for at in first[:limit]]


def _report(rows: FlatRows, steps: Ints, unknown: np.ndarray) -> str:
    parts = []
    if unknown.any():
        places = np.flatnonzero(unknown)
        series = len(np.unique(rows.series[places]))
        shown = ", ".join(rows.place(row) for row in _first_places(rows, places))
        parts.append(
            f"{counted(len(places), 'missing value')} in {series} of {len(rows.ids)} series "
            f"(first: {shown})"
        )
    if (steps > 1).any():
        parts.append(f"{counted(int((steps - 1).sum()), 'absent row')} in {_gaps(rows, steps)}")
    return f"{' and '.join(parts)}: fill them, or set missing to interpolate or mask"


def _refuse_flood(rows: FlatRows, steps: Ints, absent: int) -> None:
    if absent > 10 * len(rows.values) + 1000:
        row = int(np.argmax(steps))
        raise DataError(
            f"{counted(absent, 'absent row')} beside {len(rows.values)} present ones, most of them "
            f"({int(steps[row]) - 1}) after {rows.place(row)}: correct the stamp, or give a "
            "coarser freq"
        )


def _insert(rows: FlatRows, ordinals: Ints, frequency: Frequency) -> FlatRows:
    first, last = ordinals[rows.offsets[:-1]], ordinals[rows.offsets[1:] - 1]
    lengths = (last - first) // frequency.step + 1
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    steps_in = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    ruler = frequency.ruler(meant_clock(rows, frequency.zone))
    stamps = ruler.stamps(np.repeat(first, lengths) + steps_in * frequency.step)
    values = np.full(len(stamps), np.nan)
    series = rows.series
    places = offsets[series] + (ordinals - first[series]) // frequency.step
    stamps[places] = rows.stamps
    values[places] = rows.values
    return FlatRows(rows.ids, offsets, stamps, values, rows.integer_time, rows.zone)


def _interpolate(rows: FlatRows) -> tuple[FlatRows, list[str]]:
    known = ~np.isnan(rows.values)
    series = rows.series
    places = np.flatnonzero(known)
    bounds = np.searchsorted(series[places], np.arange(len(rows.ids) + 1))
    first, last = places[bounds[:-1]], places[bounds[1:] - 1]
    at = np.arange(len(known))
    inside = (at >= first[series]) & (at <= last[series])
    filled = int((~known & inside).sum())
    # Between a series' first and last value both neighbours belong to it, so one call serves all.
    values = np.interp(at, places, rows.values[places])[inside]
    notes = [f"filled {counted(filled, 'missing value')} by linear interpolation"] if filled else []
    cut = int((~inside).sum())
    if cut:
        row = int(np.argmin(inside))
        notes.append(
            f"cut {counted(cut, 'row')} with missing values at the ends of "
            f"{len(np.unique(series[~inside]))} series (first: {rows.place(row)})"
        )
    offsets = np.concatenate([[0], np.cumsum(last - first + 1)]).astype(np.int64)
    stamps = rows.stamps[inside]
    return FlatRows(rows.ids, offsets, stamps, values, rows.integer_time, rows.zone), notes
