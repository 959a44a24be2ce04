"""A file's column as numbers."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from .errors import DataError
from .rows import Floats, counted
from .table_source import TableSource

__all__ = ["read_numbers", "written_number"]

# What people put around numbers and into them: blanks, quotes, signs, currencies.
DRESS = r"[\s'’%+]|[$€£¥]|[A-Z]{3}(?![A-Za-z])"


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
            + (written_number(texts[row]) or "correct it, or leave the cell empty and set missing")
        )
    return numbers


def written_number(text: str) -> str | None:
    """How to write a number that is not in the form of a program; None where it is no number.

    Example:
        >>> written_number("1,50")
        'it seems to have a decimal comma: write numbers with a point, as 1.50'
        >>> written_number("n.d.") is None
        True
    """
    bare = re.sub(DRESS, "", text)
    if re.fullmatch(r"-?[1-9]\d{0,2},\d{3}", bare):
        return (
            "its comma may be a decimal comma or a thousands separator: write "
            f"{bare.replace(',', '.')} or {bare.replace(',', '')}"
        )
    if re.fullmatch(r"-?(\d+|\d{1,3}(\.\d{3})+),\d+", bare):
        plain = bare.replace(".", "").replace(",", ".")
        return f"it seems to have a decimal comma: write numbers with a point, as {plain}"
    if re.fullmatch(r"-?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?", bare):
        plain = bare.replace(",", "")
    elif re.fullmatch(r"-?\d{1,3}(\.\d{3})+", bare):
        plain = bare.replace(".", "")
    else:
        return None
    return f"write numbers without thousands separators, per cent and currency signs, as {plain}"
