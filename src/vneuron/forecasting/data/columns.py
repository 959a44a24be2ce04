"""A long frame's columns, pandas or polars, as flat arrays."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from narwhals.exceptions import DuplicateError

from .errors import DataError
from .rows import Floats, Ints, counted, name_some

__all__ = ["EXOGENOUS", "LONG", "eager_frame", "factorise", "read_values"]

LONG = ("unique_id", "ds", "y")
EXOGENOUS = ("error", "ignore")


def eager_frame(frame: object, exogenous: str) -> tuple[nw.DataFrame[Any], tuple[str, ...]]:
    """The narwhals view of a long frame, reduced to its three columns, and what was ignored.

    Raises:
        DataError: neither pandas nor polars, a missing column, no rows, or further columns
            while ``exogenous`` is "error".
    """
    try:
        native = nw.from_native(frame, pass_through=True)
    except DuplicateError as error:
        raise DataError(f"two columns of one name ({error}): rename one of each") from None
    if isinstance(native, nw.LazyFrame):
        native = native.collect()
    if not isinstance(native, nw.DataFrame) or not (
        native.implementation.is_pandas() or native.implementation.is_polars()
    ):
        raise DataError(
            f"found a {type(frame).__name__}, expected a pandas or polars frame "
            "with columns unique_id, ds, y"
        )
    columns = native.columns
    absent = [name for name in LONG if name not in columns]
    if absent:
        raise DataError(
            f"the frame has no column {name_some(absent)} but {name_some(columns, 10)}: "
            "rename its columns (or reset_index) to have unique_id, ds, y"
        )
    if len(native) == 0:
        raise DataError("the frame has no rows: give at least input_size + horizon rows a series")
    further = tuple(name for name in columns if name not in LONG)
    check_exogenous(further, exogenous)
    return native.select(*LONG), further


def check_exogenous(further: list[str] | tuple[str, ...], exogenous: str) -> None:
    """Refuse further columns, unless they are to be left out.

    Raises:
        DataError: there are some and ``exogenous`` is "error", or it is something unknown.
    """
    if exogenous not in EXOGENOUS:
        raise DataError(f"exogenous is {exogenous!r}: give 'error' or 'ignore'")
    if further and exogenous == "error":
        raise DataError(
            f"exogenous columns {name_some(further)}: no network here uses them; "
            "drop them or set exogenous to ignore"
        )


def factorise(column: nw.Series[Any]) -> tuple[Ints, nw.Series[Any], tuple[str, ...]]:
    """Codes [rows], the distinct ids in order of appearance with their dtype, and as text.

    Raises:
        DataError: an absent id, or two ids that read alike (1 and "1").
    """
    native = column.to_native()
    if column.implementation.is_polars():
        codes, distinct = _factorise_polars(native)
    else:
        codes, uniques = pd.factorize(native)
        distinct = pd.Series(uniques, name=column.name)
    absent = column.is_null().to_numpy()
    if absent.any():
        raise DataError(
            f"column {column.name!r}, row {int(np.argmax(absent))} (counted from 0): no id "
            f"({counted(int(absent.sum()), 'such row')}): fill or drop"
        )
    ids = tuple(map(str, distinct.to_list()))
    if len(set(ids)) < len(ids):
        twice = pd.Series(ids)
        name = twice[twice.duplicated()].iloc[0]
        raise DataError(f"two different ids both read {name!r}: give {column.name!r} one type")
    return (
        codes.astype(np.int64),
        nw.from_native(distinct, series_only=True),
        ids,
    )


def _factorise_polars(native: Any) -> tuple[np.ndarray, Any]:
    distinct = native.unique(maintain_order=True)
    numbered = distinct.to_frame().with_row_index("_code")
    joined = native.to_frame().join(
        numbered, on=native.name, how="left", maintain_order="left", nulls_equal=True
    )
    return joined["_code"].to_numpy(), distinct


def read_values(column: nw.Series[Any]) -> Floats:
    """Numbers as float64, NaN where absent.

    Raises:
        DataError: text that is no number, with its row.
    """
    if column.dtype.is_numeric() or column.dtype == nw.Boolean:
        return np.array(column.cast(nw.Float64).to_numpy(), dtype=np.float64)
    items = pd.Series(column.to_list(), dtype=object)
    numbers = pd.to_numeric(items, errors="coerce").astype("float64")
    bad = (numbers.isna() & items.notna()).to_numpy()
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"column {column.name!r}, row {row} (counted from 0): {items[row]!r} is not a number "
            f"({counted(int(bad.sum()), 'such row')}): correct it or make it missing"
        )
    return np.asarray(numbers, dtype=np.float64)
