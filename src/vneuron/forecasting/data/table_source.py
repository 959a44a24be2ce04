"""A CSV or Parquet file as raw columns, and how a message names a place in it."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pandas as pd
from pyarrow.lib import ArrowException

from .errors import DataError
from .rows import name_some

__all__ = ["TableSource", "read_source"]

# What stands for a missing value in a text file, besides an empty cell.
ABSENT = ["", "NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None", "<NA>"]
ABSENT += ["#N/A", "#NA", "NaT"]
DELIMITERS = {";": "a semicolon", "\t": "a tab", "|": "a bar", ",": "a comma"}
PARQUET = (".parquet", ".pq")
TEXT = (".csv", ".tsv", ".txt")


@dataclass(frozen=True, eq=False)
class TableSource:
    """What a file holds.

    Attributes:
        path: the file.
        columns: its columns as pandas reads them; ids as text.
        delimiter: between fields; None for Parquet.
        first: rows of the file before these, where it is read in pieces.
    """

    path: Path
    columns: pd.DataFrame
    delimiter: str | None
    first: int = 0

    def where(self, row: int, column: str) -> str:
        """Names a cell: the line of a text file (the header is line 1), the row of a Parquet."""
        if self.delimiter is None:
            return f"row {self.first + row + 1}, column {column!r}"
        return f"line {self._line(row)}, column {column!r}"

    def _line(self, row: int) -> int:
        """Blank lines and line breaks within quotes make it differ from the row's number."""
        with _open_text(self.path) as file:
            reader = csv.reader(file, delimiter=self.delimiter or ",")
            before, seen = 0, -2  # the header is no row
            for record in reader:
                seen += bool(record)
                if record and seen == row:
                    break
                before = reader.line_num
        return before + 1


def read_source(
    path: str | Path, delimiter: str | None = None, ids: str | None = None
) -> TableSource:
    """Reads a file without judging its columns.

    Args:
        path: .csv, .tsv, .txt (each also .gz), .parquet or .pq.
        delimiter: between fields of a text file; None is a comma, or a tab in .tsv.
        ids: a column of ids, beside unique_id.

    Raises:
        DataError: the file is missing, empty, of another kind or damaged; the delimiter is
            wrong; a header with repeated names, or none; a line with too many fields.
    """
    path = Path(path)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = (
        suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else "".join(suffixes[-1:])
    )
    with _told_in_one_line(path):
        if not path.exists():
            raise DataError(f"no such file (in {path.absolute().parent}): check the path")
        if not path.is_file():
            raise DataError("is a folder, not a file: name a CSV or Parquet file in it")
        if path.stat().st_size == 0:
            raise DataError("the file is empty: give one with a header line and rows")
        if kind in PARQUET:
            columns = pd.read_parquet(path)
            named = not isinstance(columns.index, pd.RangeIndex)
            columns = columns.reset_index(drop=not named)
            columns.columns = columns.columns.map(str)
            source = TableSource(path, columns, None)
        elif kind in TEXT:
            delimiter = _one_mark(delimiter or ("\t" if kind == ".tsv" else ","))
            source = TableSource(path, _read_text(path, delimiter, {"unique_id", ids}), delimiter)
        else:
            raise DataError(f"files of kind {kind!r} are not read: give .csv, .csv.gz or .parquet")
        if len(source.columns) == 0:
            raise DataError("the file has a header but no rows: give one row per time")
    return source


def _one_mark(delimiter: str) -> str:
    mark = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
    if len(mark) != 1:
        raise DataError(f"delimiter is {delimiter!r}: give one character, or tab")
    return mark


@contextmanager
def _told_in_one_line(path: Path) -> Iterator[None]:
    """Turns what readers raise into a DataError that names the file."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(f"the text is not UTF-8 ({error.reason}): save it as UTF-8") from None
    except pd.errors.EmptyDataError:
        raise DataError("the file is empty: give one with a header line and rows") from None
    except pd.errors.ParserError as error:
        raise DataError(_broken_line(str(error))) from None
    except csv.Error as error:
        raise DataError(f"not readable as CSV ({error}): check quotes and delimiter") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"damaged gzip file ({error}): copy or compress it again") from None
    except ArrowException as error:
        raise DataError(f"not a readable Parquet file ({error}): write it again") from None
    except PermissionError:
        raise DataError("no permission to read the file: change its mode or copy it") from None


def _broken_line(message: str) -> str:
    found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", message)
    if found is None:
        return f"not readable as CSV ({message}): check quotes and delimiter"
    expected, line, saw = found.groups()
    return (
        f"line {line} has {saw} fields where the header has {expected}: "
        "correct the line (a comma within a field needs quotes), or give another delimiter"
    )


def _open_text(path: Path) -> TextIO:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _read_text(path: Path, delimiter: str, ids: set[str | None]) -> pd.DataFrame:
    with _open_text(path) as file:
        reader = csv.reader(file, delimiter=delimiter)
        header = next((record for record in reader if record), [])
        first = next((record for record in reader if record), [])
    names = _names(header, delimiter, len(first))
    return pd.read_csv(
        path,
        sep=delimiter,
        header=0,
        names=names,
        index_col=False,
        encoding="utf-8-sig",
        low_memory=False,
        skipinitialspace=True,
        # An id stays the text that it is: 007 keeps its zeros, and NA may be Namibia.
        dtype={name: "str" for name in names if name in ids},
        keep_default_na=False,
        na_values={name: ABSENT for name in names if name not in ids},
    )


def _names(header: list[str], delimiter: str, width: int) -> list[str]:
    """Column names, once they are seen to be names."""
    names = [name.strip() for name in header]
    if not any(names):
        raise DataError("the file is empty: give one with a header line and rows")
    if len(names) == 1:
        other = next((mark for mark in DELIMITERS if mark != delimiter and mark in names[0]), None)
        if other is not None:
            raise DataError(
                f"its first line {names[0][:60]!r} is one column, split by {DELIMITERS[other]} "
                f"rather than {DELIMITERS.get(delimiter, repr(delimiter))}: set delimiter to "
                f"{'tab' if other == chr(9) else repr(other)}, or save it with commas"
            )
    if width > len(names):
        raise DataError(
            f"line 2 has {width} fields where the header has {len(names)}: "
            "name every column, or check the delimiter"
        )
    if any(re.match(r"\d{4}[-/]\d\d?[-/]\d\d?|\d\d?[-/.]\d\d?[-/.]\d{4}", name) for name in names):
        raise DataError(
            f"its first line {delimiter.join(names)[:60]!r} holds dates, not column names: add a "
            "header line (each row one time, each series a column)"
        )
    names = [name or f"Unnamed: {at}" for at, name in enumerate(names)]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(f"columns {name_some(repeated)} are named twice: rename one of each")
    return names
