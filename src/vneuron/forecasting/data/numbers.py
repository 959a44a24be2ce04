"""A file's column as numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .errors import DataError
from .rows import Floats, counted
from .table_source import TableSource

__all__ = ["read_numbers"]


def read_numbers(source: TableSource, name: str) -> Floats:
    """A column as float64, NaN where a cell is empty.

    Raises:
        DataError: a cell that is no number, with its line or row.
    """
    column = source.columns[name]
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    texts = column.astype("str")
    numbers = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = np.isnan(numbers) & column.notna().to_numpy()
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"{source.where(row, name)}: {texts[row]!r} is not a number "
            f"({counted(int(bad.sum()), 'such cell')}): "
            "correct it, or leave the cell empty and set missing"
        )
    return numbers
