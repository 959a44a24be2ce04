"""Which column of a file holds the times, and the times in it."""

from __future__ import annotations

import difflib
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from .errors import DataError
from .rows import Ints, name_some
from .stamps import TimeKind, parse_dates, read_stamps
from .table_source import TableSource

__all__ = ["choose_time_column", "read_time_column", "require_columns"]

TIME_NAMES = ("ds", "date", "datetime", "timestamp", "time", "date_time", "date time")
STEP_NAMES = ("t", "step", "index", "year", "period")
SAMPLE = 200


def require_columns(source: TableSource, names: tuple[str, ...], option: str) -> None:
    """Raises DataError where the file lacks a column, with the nearest names that it has."""
    held = list(source.columns.columns)
    for name in names:
        if name not in held:
            near = difflib.get_close_matches(name, held, n=3, cutoff=0.5) or held
            raise DataError(
                f"{option}: no column {name!r} in the file; it has {name_some(near, 8)}"
            )


def choose_time_column(source: TableSource) -> str | None:
    """The column that holds times, by name first, then by content; None where none does."""
    columns = source.columns
    by_name = [name for name in columns if str(name).strip().lower() in TIME_NAMES]
    steps = [name for name in columns if str(name).strip().lower() in STEP_NAMES]
    for name in (*by_name, *columns):
        if _holds_dates(columns[name]):
            return str(name)
    for name in (*by_name, *steps):
        if pd.api.types.is_integer_dtype(columns[name]):
            return str(name)
    return None


def _holds_dates(column: pd.Series[Any]) -> bool:
    """Whether the column is of a date type, or most of its first texts read as dates."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    if not _is_text(column):
        return False
    sample = column.dropna().head(SAMPLE).astype(str)
    try:
        dates, _ = parse_dates(sample)
    except DataError:  # mixed time zones: dates for certain
        return True
    return len(sample) > 0 and int(np.sum(dates.notna())) > len(sample) / 2


def _is_text(column: pd.Series[Any]) -> bool:
    dtype = column.dtype
    return pd.api.types.is_string_dtype(dtype) or pd.api.types.is_object_dtype(dtype)


def read_time_column(source: TableSource, name: str) -> tuple[Ints, TimeKind]:
    """The stamps of a column, [rows].

    Raises:
        DataError: an empty cell or one that is no time, with its line; mixed time zones.
    """
    column = source.columns[name]
    empty = column.isna().to_numpy()
    if empty.any():
        row = int(np.argmax(empty))
        raise DataError(
            f"{source.where(row, name)}: no time ({int(empty.sum())} such rows): fill or drop them"
        )
    if _is_text(column):
        return _dates(source, name, column.astype("str"))
    if _looks_like_days(column):
        return _dates(source, name, column.astype("int64").astype("str"))
    if not (
        pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column)
    ) or pd.api.types.is_bool_dtype(column):
        raise DataError(f"column {name!r} holds {column.dtype}, not times: name another time_col")
    return read_stamps(nw.from_native(column, series_only=True), name)


def _looks_like_days(column: pd.Series[Any]) -> bool:
    """Integers such as 20260131."""
    if not pd.api.types.is_integer_dtype(column) or not column.between(19000101, 21001231).all():
        return False
    return bool(
        pd.to_datetime(column.astype("str"), format="%Y%m%d", errors="coerce").notna().all()
    )


def _dates(source: TableSource, name: str, texts: pd.Series[str]) -> tuple[Ints, TimeKind]:
    dates, zone = parse_dates(texts, lambda row: source.where(row, name))
    if dates.hasnans:
        row = int(np.argmax(dates.isna()))
        known = dates.notna()
        like = f" like {texts[int(np.argmax(known))]!r}" if known.any() else ""
        raise DataError(
            f"{source.where(row, name)}: {texts[row]!r} is no date{like} "
            f"({int(np.sum(dates.isna()))} such rows): correct it, or name another time_col"
        )
    series = pd.Series(dates.as_unit("us"), name=name)
    stamps, _ = read_stamps(nw.from_native(series, series_only=True), name)
    return stamps, TimeKind("datetime", "us", zone)
