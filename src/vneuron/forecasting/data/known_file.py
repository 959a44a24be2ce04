"""A file of what is known of a forecast's steps: few rows, which need no frequency."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .errors import DataError
from .numbers import read_numbers
from .rows import Ints, name_some
from .stamps import native_stamps
from .table_source import TableSource, read_source
from .time_column import choose_time_column, read_time_column, require_columns

__all__ = ["read_observed", "read_totals"]


def read_observed(
    path: str | Path,
    series: Sequence[str],
    *,
    id_col: str | None = None,
    time_col: str | None = None,
    value: str | None = None,
    delimiter: str | None = None,
    expected: Ints | None = None,
) -> pd.DataFrame:
    """The values of a file, long or wide, as the long frame unique_id, ds, y.

    A wide file may hold some of the series only, and columns without any value yet; columns that
    are no series are left aside.

    Args:
        path: CSV (also .gz) or Parquet, as `read_table` takes it.
        series: ids of the series that are forecast.
        id_col: the column of ids of a long file, unique_id where the file has none of that name.
        time_col: the time column; guessed where the file has none of that name.
        value: the column of values of a long file, y where the file has none of that name.
        delimiter: of a text file; a comma where None (a tab in .tsv).
        expected: stamps of the forecast, UTC nanoseconds, by which 05/06/2026 is read.

    Returns:
        The rows; y is NaN where a cell is empty. Without unique_id if the file has none and
        there is one series alone.

    Raises:
        DataError: in one line: file, line and column, what is wrong, and the cure.
    """
    try:
        source = read_source(path, delimiter, id_col)
        held = list(source.columns)
        ids = _ids(source, id_col)
        times = time_col if time_col in held else None
        long_times, long_value = times or "ds", value if value and value in held else "y"
        alone = len(series) == 1 and not set(series) & set(held)
        if {long_times, long_value} <= set(held) and (ids or alone):
            return _long(source, ids, {long_times: "ds"}, long_value, expected)
        found = times or choose_time_column(source, tuple(series))
        return _wide(source, found, series, expected)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def read_totals(
    path: str | Path,
    *,
    id_col: str | None = None,
    delimiter: str | None = None,
    expected: Ints | None = None,
) -> pd.DataFrame:
    """Known sums: unique_id, y, and the first and last step of each, ds and ds_end, if given.

    Args:
        path: CSV (also .gz) or Parquet, as `read_table` takes it.
        id_col: the column of ids, unique_id where the file has none of that name.
        delimiter: of a text file; a comma where None (a tab in .tsv).
        expected: stamps of the forecast, UTC nanoseconds, by which 05/06/2026 is read.

    Raises:
        DataError: in one line: file, line and column, what is wrong, and the cure.
    """
    try:
        source = read_source(path, delimiter, id_col)
        require_columns(source, ("y",), "total")
        spans = [name for name in ("ds", "ds_end") if name in source.columns]
        return _long(source, _ids(source, id_col), {name: name for name in spans}, "y", expected)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _ids(source: TableSource, id_col: str | None) -> str | None:
    """The column of ids, if there is one."""
    return next((name for name in (id_col, "unique_id") if name in source.columns), None)


def _long(
    source: TableSource, ids: str | None, times: dict[str, str], value: str, expected: Ints | None
) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    if ids is not None:
        columns["unique_id"] = source.columns[ids]
    columns |= {name: _times(source, held, expected) for held, name in times.items()}
    return pd.DataFrame({**columns, "y": read_numbers(source, value)})


def _wide(
    source: TableSource, time_col: str | None, series: Sequence[str], expected: Ints | None
) -> pd.DataFrame:
    if time_col is None:
        raise DataError(
            "no column of times: name it ds or date, or give time_col (a long file needs the "
            "columns unique_id, ds, y)"
        )
    known = set(series)
    found = [str(name) for name in source.columns if name in known and name != time_col]
    if not found:
        raise DataError(
            f"no column is named like a series that is forecast ({name_some(list(series))}); it "
            f"has {name_some(list(map(str, source.columns)), 8)}: rename its columns"
        )
    rows = len(source.columns)
    return pd.DataFrame(
        {
            "unique_id": np.repeat(found, rows),
            "ds": pd.concat([_times(source, time_col, expected)] * len(found), ignore_index=True),
            "y": np.concatenate([read_numbers(source, name) for name in found]),
        }
    )


def _times(source: TableSource, name: str, expected: Ints | None) -> pd.Series[Any]:
    stamps, kind = read_time_column(source, name, expected)
    found: pd.Series[Any] = native_stamps(
        stamps if kind.kind == "integer" else stamps.view("datetime64[ns]"), kind, "pandas"
    )
    return found
