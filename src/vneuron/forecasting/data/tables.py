"""A file of series, long or wide, as a panel, with the guesses made on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from .columns import check_exogenous, factorise
from .errors import DataError
from .frame import Panel
from .numbers import read_numbers, written_number
from .pieces import LongFile, long_file, read_in_pieces
from .rows import name_some
from .stamps import TimeKind
from .table_source import TableSource, read_source
from .time_column import choose_time_column, has_time_name, read_time_column, require_columns
from .treatment import Treatment

__all__ = ["Table", "read_table"]


@dataclass(frozen=True, eq=False)
class Table:
    """A file read.

    Attributes:
        path: the file.
        kind: "long" (columns unique_id, ds, y) or "wide" (a time column, a column a series).
        id_col: name of the column of ids; None if wide.
        time_col: name of the time column; None where rows are numbered instead.
        target: columns that hold the values: one if long, one per series if wide.
        panel: the series.
        guesses: what was assumed about the file, one sentence each.
    """

    path: Path
    kind: str
    id_col: str | None
    time_col: str | None
    target: tuple[str, ...]
    panel: Panel
    guesses: tuple[str, ...]

    @property
    def frame(self) -> pd.DataFrame:
        """The long pandas frame unique_id, ds, y: sorted, regular, gaps treated."""
        frame: pd.DataFrame = self.panel.to_frame()
        return frame

    @property
    def freq(self) -> str | int:
        """The frequency, named or guessed."""
        return self.panel.freq

    @property
    def notes(self) -> tuple[str, ...]:
        """The guesses, then what was done to the data."""
        return (*self.guesses, *self.panel.notes)


def read_table(
    path: str | Path,
    *,
    id_col: str | None = None,
    time_col: str | None = None,
    target: str | Sequence[str] | None = None,
    freq: str | int | None = None,
    missing: str = "error",
    duplicates: str = "error",
    exogenous: str = "error",
    delimiter: str | None = None,
) -> Table:
    """Reads CSV (also .gz) or Parquet.

    A file with columns unique_id, ds, y, or one whose column of ids is named, is long; any other
    is wide, one column a series.

    Args:
        path: the file.
        id_col: the column that says which series a row is of; unique_id where None.
        time_col: the time column; guessed by name and content where None. A wide file without
            one has its rows numbered from 0.
        target: wide: the columns to take as series, all numeric ones where None; further ones
            are left aside. Long: the column that stands for y; with ``id_col``, where there is no y
            and one column is left, that one.
        freq: pandas offset alias or integer step; guessed where None.
        missing: "error", "interpolate" or "mask", as ``Panel.from_frame``.
        duplicates: "error", "first", "last" or "mean".
        exogenous: further columns of a long file: "error" or "ignore".
        delimiter: of a text file; a comma where None (a tab in .tsv).

    Returns:
        The table; ``table.panel`` and ``table.frame`` hold the series.

    Raises:
        DataError: in one line: file, line and column (or series and time), what is wrong, and
            the cure.
    """
    try:
        wanted = (target,) if isinstance(target, str) else tuple(target or ())
        if len(set(wanted)) < len(wanted):
            twice = next(name for name in wanted if wanted.count(name) > 1)
            raise DataError(f"target names {twice!r} twice: give each column once")
        large = long_file(path, time_col, wanted, id_col)
        if large is not None:
            return _read_large(large, exogenous, Treatment(freq, missing, duplicates))
        source = read_source(path, delimiter, id_col)
        columns = source.columns.columns
        require_columns(source, wanted, "target")
        if time_col is not None:
            require_columns(source, (time_col,), "time_col")
        treatment = Treatment(freq, missing, duplicates)
        if id_col is not None:
            require_columns(source, (id_col,), "id_col")
            time_col, wanted = _columns_beside(source, id_col, time_col, wanted)
            return _read_long(source, id_col, time_col, wanted, exogenous, treatment)
        if {"unique_id", time_col or "ds"} <= set(columns) and (wanted or "y" in columns):
            return _read_long(source, "unique_id", time_col or "ds", wanted, exogenous, treatment)
        return _read_wide(source, time_col, wanted, treatment)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _read_large(file: LongFile, exogenous: str, treatment: Treatment) -> Table:
    names = (file.id_col, file.time_col, file.value)
    further = [name for name in file.columns() if name not in names]
    check_exogenous(further, exogenous)
    panel = read_in_pieces(file, treatment)
    return _long_table(file.path, names, panel, further, treatment)


def _columns_beside(
    source: TableSource, id_col: str, time_col: str | None, wanted: tuple[str, ...]
) -> tuple[str, tuple[str, ...]]:
    """The columns of times and of values of a long file whose column of ids is named."""
    if id_col in (time_col, *wanted):
        raise DataError(f"id_col names {id_col!r}, as time_col or target does: name another column")
    left = replace(source, columns=source.columns.drop(columns=[id_col, *wanted]))
    if time_col is None:
        time_col = "ds" if "ds" in left.columns else choose_time_column(left)
    if time_col is None:
        raise DataError("no column of times beside the ids: name it with time_col")
    values = [str(name) for name in left.columns if name != time_col]
    if wanted or "y" in values:
        return time_col, wanted
    if len(values) != 1:
        has = f"it has {name_some(values, 8)}" if values else "nor any other beside ids and times"
        raise DataError(f"no column 'y' of values; {has}: name it with target")
    return time_col, (values[0],)


def _read_long(
    source: TableSource,
    id_col: str,
    time_col: str,
    wanted: tuple[str, ...],
    exogenous: str,
    treatment: Treatment,
) -> Table:
    if len(wanted) > 1:
        raise DataError(f"target names {name_some(wanted)} in a long file: give one value column")
    value = wanted[0] if wanted else "y"
    further = [str(name) for name in source.columns if name not in (id_col, time_col, value)]
    check_exogenous(further, exogenous)
    unnamed = source.columns[id_col].isin(["", None]).to_numpy()
    if unnamed.any():
        row = int(np.argmax(unnamed))
        raise DataError(f"{source.where(row, id_col)}: no id: fill or drop the row")
    codes, id_values, ids = factorise(nw.from_native(source.columns[id_col], series_only=True))
    stamps, kind = read_time_column(source, time_col)
    values = read_numbers(source, value)
    panel = Panel.from_arrays(ids, id_values, codes, stamps, kind, values, treatment)
    return _long_table(source.path, (id_col, time_col, value), panel, further, treatment)


def _long_table(
    path: Path,
    names: tuple[str, str, str],
    panel: Panel,
    further: list[str],
    treatment: Treatment,
) -> Table:
    id_col, time_col, value = names
    ids = "" if id_col == "unique_id" else f"ids in {id_col!r}, "
    guesses = [f"long file: {len(panel)} series, {ids}times in {time_col!r}, values in {value!r}"]
    if further:
        guesses.append(f"columns {name_some(further)} ignored")
    guesses.append(_span(panel, treatment.freq))
    return Table(path, "long", id_col, time_col, (value,), panel, tuple(guesses))


def _read_wide(
    source: TableSource, time_col: str | None, wanted: tuple[str, ...], treatment: Treatment
) -> Table:
    guesses = []
    given, time_col = time_col, time_col or choose_time_column(source, wanted)
    if time_col in wanted:
        raise DataError(f"target names the time column {time_col!r}: name value columns")
    count = len(source.columns)
    if time_col is None:
        stamps, kind = np.arange(count, dtype=np.int64), TimeKind("integer")
        guesses.append("wide file without a time column: rows are numbered from 0")
    else:
        try:
            stamps, kind = read_time_column(source, time_col)
        except DataError as error:
            if given or not pd.api.types.is_numeric_dtype(source.columns[time_col]):
                raise
            raise DataError(f"{error}; if {time_col!r} is a series, name it in target") from None
        guesses.append(f"wide file: times in {time_col!r}" + (" (guessed)" if not given else ""))
    others = [str(name) for name in source.columns if name != time_col]
    target, left = _series_columns(source, others, wanted)
    values = np.concatenate([read_numbers(source, name) for name in target])
    codes = np.repeat(np.arange(len(target), dtype=np.int64), count)
    ids = nw.from_native(pd.Series(target, dtype="str"), series_only=True)
    panel = Panel.from_arrays(
        target, ids, codes, np.tile(stamps, len(target)), kind, values, treatment
    )
    guesses.append(f"{len(target)} series: {name_some(target, 8)}")
    if left:
        guesses.append(f"columns {name_some(left)} are not used")
    guesses.append(_span(panel, treatment.freq))
    return Table(source.path, "wide", None, time_col, target, panel, tuple(guesses))


def _series_columns(
    source: TableSource, others: list[str], wanted: tuple[str, ...]
) -> tuple[tuple[str, ...], list[str]]:
    """The columns to take as series, and those left aside."""
    if wanted:
        return wanted, [name for name in others if name not in wanted]
    counters = [name for name in others if name.startswith("Unnamed: ") and _counts(source, name)]
    taken = [name for name in others if name not in counters]
    words = [name for name in taken if not _mostly_numbers(source.columns[name])]
    if words:
        raise DataError(_about_words(source, words))
    times = [name for name in taken if has_time_name(name)]
    if times:
        raise DataError(
            f"columns {name_some(times)} have names of times, and the times are those of another "
            "column: drop them, give time_col, or name the series with target"
        )
    if not taken:
        raise DataError("no column of numbers beside the time column: give one column per series")
    return tuple(taken), counters


def _about_words(source: TableSource, words: list[str]) -> str:
    """What is wrong with columns of text, by the first cell of the first, and the cure."""
    column = source.columns[words[0]]
    texts = column.astype("str")
    known = column.notna() & pd.to_numeric(texts, errors="coerce").isna()
    row = int(np.argmax(known.to_numpy()))
    cure = written_number(texts.iloc[row]) or (
        "drop them, or name the series with target (a long file needs the columns unique_id, ds, "
        "y, or to have its ids named with id_col)"
    )
    return (
        f"columns {name_some(words)} hold text or true/false, not numbers "
        f"({source.where(row, words[0])}: {texts.iloc[row]!r}): {cure}"
    )


def _counts(source: TableSource, name: str) -> bool:
    """Whether an unnamed column only numbers the rows, as pandas writes its index."""
    column = source.columns[name]
    return bool((column == np.arange(len(column))).all())


def _mostly_numbers(column: pd.Series[Any]) -> bool:
    if pd.api.types.is_bool_dtype(column):
        return False
    if pd.api.types.is_numeric_dtype(column):
        return True
    numbers = pd.to_numeric(column.astype("str"), errors="coerce")
    return int(numbers.notna().sum()) >= max(1, int(column.notna().sum()) / 2)


def _span(panel: Panel, freq: str | int | None) -> str:
    rows = panel.as_rows()
    lengths = panel.lengths
    first, last = int(np.argmin(rows.stamps)), int(np.argmax(rows.stamps))
    size = (
        f"{lengths.min()}"
        if lengths.min() == lengths.max()
        else f"{lengths.min()} to {lengths.max()}"
    )
    guessed = " (guessed)" if freq is None else ""
    return (
        f"frequency {panel.freq}{guessed}, {size} rows a series, "
        f"from {rows.stamp(first)} to {rows.stamp(last)}"
    )
