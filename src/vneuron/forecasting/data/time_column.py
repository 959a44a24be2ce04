"""Which column of a file holds the times, and the times in it."""

from __future__ import annotations

import difflib
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from .errors import DataError
from .rows import Ints, name_some
from .stamps import TimeKind, parse_dates, read_dates, read_stamps
from .table_source import TableSource

__all__ = [
    "choose_time_column",
    "has_time_name",
    "looks_like_days",
    "looks_like_months",
    "read_time_column",
    "require_columns",
]

TIME_NAMES = ("ds", "date", "datetime", "timestamp", "time", "date_time", "date time")
MONTH_NAMES = ("month", "yearmonth", "year_month", "yyyymm")
STEP_NAMES = ("t", "step", "index", "year", "period")
SAMPLE = 200


def require_columns(source: TableSource, names: tuple[str, ...], option: str) -> None:
    """Raises DataError where the file lacks a column, with the nearest names that it has."""
    held = list(source.columns.columns)
    for name in names:
        if name not in held:
            near = difflib.get_close_matches(name, held, n=3, cutoff=0.5)
            has = f"nearest: {name_some(near)}" if near else f"it has {name_some(held, 8)}"
            raise DataError(f"{option}: no column {name!r} in the file; {has}")


def choose_time_column(source: TableSource, series: tuple[str, ...] = ()) -> str | None:
    """The column that holds times, by name first, then by content; None where none does.

    A column of a time's name is taken even where it cannot be read: whoever reads it then says
    why, rather than that it becomes a series without a word.

    Args:
        source: the file.
        series: columns that are series although they are called like times.
    """
    columns = source.columns
    by_name = [name for name in columns if str(name).strip().lower() in TIME_NAMES]
    steps = [name for name in columns if str(name).strip().lower() in STEP_NAMES]
    for name in (*by_name, *columns):
        if _holds_dates(columns[name]):
            return str(name)
    months = [name for name in columns if str(name).strip().lower() in MONTH_NAMES]
    for name in months:  # where they are not numbers from 1 to 12
        if name not in series and looks_like_months(columns[name]):
            return str(name)
    for name in (*by_name, *steps):
        if pd.api.types.is_integer_dtype(columns[name]):
            return str(name)
    named = [str(name) for name in (*by_name, *steps) if name not in series]
    whole = (name for name in named if pd.api.types.is_integer_dtype(_whole(columns[name])))
    return next(whole, named[0] if named else None)


def has_time_name(name: str) -> bool:
    """Whether the name says that a column holds times, as date does and year may not."""
    return name.strip().lower() in TIME_NAMES


def _whole(column: pd.Series[Any]) -> pd.Series[Any]:
    """Floats without a fraction, such as 1960.0, as integers; any other column as it is."""
    if not pd.api.types.is_float_dtype(column) or column.isna().any():
        return column
    whole = (column == column.round()) & (column.abs() < 2**53)
    return column.astype("int64") if whole.all() else column


def _holds_dates(column: pd.Series[Any]) -> bool:
    """Whether the column is of a date type, or most of its first texts read as dates."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    if not _is_text(column):
        return False
    sample = column.dropna().head(SAMPLE).astype("str")
    if pd.to_numeric(sample, errors="coerce").notna().mean() > 0.5:
        return False  # 2016 reads as a year, but a column of numbers is a series
    try:
        dates, _ = parse_dates(sample)
    except DataError:  # mixed time zones: dates for certain
        return True
    return len(sample) > 0 and int(np.sum(dates.notna())) > len(sample) / 2


def _is_text(column: pd.Series[Any]) -> bool:
    dtype = column.dtype
    return pd.api.types.is_string_dtype(dtype) or pd.api.types.is_object_dtype(dtype)


def read_time_column(
    source: TableSource, name: str, expected: Ints | None = None
) -> tuple[Ints, TimeKind]:
    """The stamps of a column, [rows].

    Args:
        source: the file.
        name: of the column.
        expected: stamps that text is likely to hold, UTC nanoseconds.

    Raises:
        DataError: an empty cell or one that is no time, with its line; mixed time zones.
    """
    column = _whole(source.columns[name])
    if _is_text(column):
        return _dates(source, name, column, expected)
    if looks_like_days(column):
        return _dates(source, name, column.astype("str"))
    if looks_like_months(column):
        months = column.astype("str")
        return _dates(source, name, months.str[:4] + "-" + months.str[4:])
    if not (
        pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column)
    ) or pd.api.types.is_bool_dtype(column):
        raise DataError(f"column {name!r} holds {column.dtype}, not times: name another time_col")
    series = nw.from_native(column, series_only=True)
    return read_stamps(series, name, lambda row: source.where(row, name))


def looks_like_days(column: pd.Series[Any]) -> bool:
    """Integers such as 20260131."""
    if not pd.api.types.is_integer_dtype(column) or not column.between(19000101, 21001231).all():
        return False
    return bool(
        pd.to_datetime(column.astype("str"), format="%Y%m%d", errors="coerce").notna().all()
    )


def looks_like_months(column: pd.Series[Any]) -> bool:
    """Integers such as 202601."""
    if not pd.api.types.is_integer_dtype(column) or not column.between(190001, 210012).all():
        return False
    return len(column) > 1 and not column.hasnans and bool((column % 100).between(1, 12).all())


def _dates(
    source: TableSource, name: str, column: pd.Series[Any], expected: Ints | None = None
) -> tuple[Ints, TimeKind]:
    def place(row: int) -> str:
        return source.where(row, name)

    empty = column.isna().to_numpy()
    if empty.any():
        column = column.where(~empty, "")  # read_dates then names the line
    dates, zone = read_dates(column.astype("str"), place, expected)
    stamps, _ = read_stamps(nw.from_native(pd.Series(dates.as_unit("us")), series_only=True), name)
    return stamps, TimeKind("datetime", "us", zone)
