"""A long Parquet file read in pieces, its series laid end to end in files: more rows than memory.

Three passes. The first reads ids alone and counts each series' rows; the second puts every row
where its series lies, in the order in which rows come; the third makes whole series regular, so
many rows at a time. What stands in memory is one piece, and a few numbers per series; stamps and
values lie in files without a name in the folder for temporary files (TMPDIR), 16 bytes a row, and
twice that while the third pass runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .errors import DataError
from .frame import Panel
from .frequency import Frequency
from .mapped import GrowingFile, mapped_room
from .numbers import read_numbers
from .ordering import order_rows
from .rows import FlatRows, Floats, Ints, counted, portions
from .stamps import TimeKind
from .table_source import PARQUET, TableSource
from .time_column import looks_like_days, looks_like_months, read_time_column
from .treatment import Treatment

__all__ = ["LongFile", "long_file", "read_in_pieces"]

IN_PIECES_FROM = 2**24
"""Rows from which on a file is read in pieces: whole, that many take 1.5 GB for a while."""

PIECE = 2**20
"""Rows of a piece."""


@dataclass(frozen=True)
class LongFile:
    """A long Parquet file with many rows.

    Attributes:
        path: the file.
        id_col: its column of ids.
        time_col: its column of times.
        value: its column of values.
    """

    path: Path
    id_col: str
    time_col: str
    value: str

    def columns(self) -> list[str]:
        """All its columns."""
        return list(pq.read_schema(self.path).names)

    def pieces(self, *columns: str) -> Iterator[Piece]:
        """These columns, piece by piece."""
        first = 0
        with pq.ParquetFile(self.path, read_dictionary=[self.id_col]) as file:
            for group in range(file.num_row_groups):
                # group by group: a reader of the whole file keeps what it has read
                for batch in file.iter_batches(PIECE, row_groups=[group], columns=list(columns)):
                    yield Piece(self.path, batch, first)
                    first += batch.num_rows
                # Arrow's allocator would keep what it has freed
                pa.default_memory_pool().release_unused()


class Piece(NamedTuple):
    """Some rows of a file.

    Attributes:
        path: the file.
        rows: columns of the piece.
        first: rows of the file before it.
    """

    path: Path
    rows: pa.RecordBatch
    first: int

    def ids(self, column: str) -> tuple[Ints, list[Any]]:
        """Each row's place in a list of distinct ids, and that list.

        Raises:
            DataError: a row without an id.
        """
        found = self.rows[column]
        if not pa.types.is_dictionary(found.type):
            found = found.dictionary_encode()
        absent = found.is_null().to_numpy(zero_copy_only=False)
        codes = found.indices.fill_null(0).to_numpy().astype(np.int64)
        distinct = found.dictionary.to_pylist()
        if "" in distinct:
            absent |= codes == distinct.index("")
        if absent.any():
            row = int(np.argmax(absent))
            raise DataError(f"{self.source().where(row, column)}: no id: fill or drop the row")
        return codes, distinct

    def source(self, *columns: str) -> TableSource:
        """These columns as pandas reads them."""
        return TableSource(self.path, self.rows.select(list(columns)).to_pandas(), None, self.first)


def long_file(
    path: str | Path,
    time_col: str | None = None,
    target: tuple[str, ...] = (),
    id_col: str | None = None,
) -> LongFile | None:
    """The file, if it is a long Parquet file that should be read in pieces; None if not.

    Times that are text, or numbers that read as days, are judged by the whole column, and so the
    file is read whole.

    Args:
        path: any file.
        time_col: its column of times; None is ds.
        target: its column of values; y if empty.
        id_col: its column of ids; None is unique_id.
    """
    path = Path(path)
    if path.suffix.lower() not in PARQUET or not path.is_file() or len(target) > 1:
        return None
    try:
        with pq.ParquetFile(path) as file:
            rows, schema = file.metadata.num_rows, file.schema_arrow
    except (pa.ArrowException, OSError):
        return None  # whoever reads it whole says what is wrong
    found = LongFile(path, id_col or "unique_id", time_col or "ds", target[0] if target else "y")
    names = (found.id_col, found.time_col, found.value)
    if rows < IN_PIECES_FROM or not set(names) <= set(schema.names):
        return None
    kind = schema.field(found.time_col).type
    if pa.types.is_integer(kind):
        piece = next(found.pieces(found.time_col)).source(found.time_col)
        first = piece.columns[found.time_col]
        return None if looks_like_days(first) or looks_like_months(first) else found
    return found if pa.types.is_timestamp(kind) or pa.types.is_date(kind) else None


def read_in_pieces(file: LongFile, treatment: Treatment) -> Panel:
    """The panel, its rows in files.

    Where no frequency is given it is that of the first series, as many as make one portion; the
    others have to keep to it.

    Args:
        file: from `long_file`.
        treatment: of what is not as it should be, series by series.

    Raises:
        DataError: in one line, where it is, what is wrong, and the cure.
        OSError: the disk has no room.
    """
    ids = _Ids(file.id_col)
    for piece in file.pieces(file.id_col):
        ids.count(piece)
    names = ids.names()
    offsets = np.concatenate([[0], np.cumsum(ids.counts())]).astype(np.int64)
    stamps, values, kind = _laid_out(file, ids, offsets)
    rows = FlatRows(names, offsets, stamps, values, kind.kind == "integer", kind.zone)
    return _regular(rows, kind, ids.values(), treatment)


@dataclass
class _Ids:
    """Numbers of the series in order of appearance, and how many rows each has."""

    column: str
    code: dict[Any, int] = field(default_factory=dict)
    rows: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def codes(self, piece: Piece) -> Ints:
        """The series of each row."""
        codes, distinct = piece.ids(self.column)
        present = np.bincount(codes, minlength=len(distinct)) > 0
        # a dictionary may hold what no row of the piece does, and need not follow the rows
        order = np.argsort(_first_places(codes, len(distinct)), kind="stable")
        numbers = np.zeros(len(distinct), dtype=np.int64)
        for at in order[: int(present.sum())].tolist():
            numbers[at] = self.code.setdefault(distinct[at], len(self.code))
        return numbers[codes]

    def count(self, piece: Piece) -> None:
        """Add a piece."""
        codes = self.codes(piece)
        if len(self.code) > len(self.rows):
            more = max(len(self.code), 2 * len(self.rows)) - len(self.rows)
            self.rows = np.concatenate([self.rows, np.zeros(more, dtype=np.int64)])
        found, counts = np.unique(codes, return_counts=True)
        self.rows[found] += counts

    def counts(self) -> Ints:
        """Rows of each series."""
        return self.rows[: len(self.code)]

    def names(self) -> tuple[str, ...]:
        """Each id as text."""
        names = tuple(map(str, self.code))
        if len(set(names)) < len(names):
            seen = pd.Series(names)
            name = seen[seen.duplicated()].iloc[0]
            raise DataError(f"two different ids both read {name!r}: give {self.column!r} one type")
        return names

    def values(self) -> nw.Series[Any]:
        """Each id as it came."""
        return nw.from_native(pd.Series(list(self.code), name=self.column), series_only=True)


def _laid_out(file: LongFile, ids: _Ids, offsets: Ints) -> tuple[Ints, Floats, TimeKind]:
    """Stamps and values of every row, series after series, and what the times are."""
    rows = int(offsets[-1])
    stamps, values = mapped_room(rows, np.int64), mapped_room(rows, np.float64)
    free, kind = offsets[:-1].copy(), TimeKind("integer")
    for piece in file.pieces(file.id_col, file.time_col, file.value):
        codes = ids.codes(piece)
        source = piece.source(file.time_col, file.value)
        found, kind = read_time_column(source, file.time_col)
        numbers = read_numbers(source, file.value)
        order = np.argsort(codes, kind="stable")
        codes = codes[order]
        begins = np.flatnonzero(np.diff(codes, prepend=-1))
        counts = np.diff(begins, append=len(codes))
        rank = np.arange(len(codes)) - np.repeat(begins, counts)
        places = free[codes] + rank
        stamps[places], values[places] = found[order], numbers[order]
        free[codes[begins]] += counts
    return stamps, values, kind


def _regular(
    rows: FlatRows, kind: TimeKind, id_values: nw.Series[Any], treatment: Treatment
) -> Panel:
    """Each series in time order and regular, by the policies, some series at a time."""
    stamps, values = GrowingFile(np.int64), GrowingFile(np.float64)
    lengths, notes = [], list[str]()
    frequency: Frequency | None = None
    several = rows.offsets[-1] > 0 and len(list(portions(rows.offsets))) > 1
    for first, stop in portions(rows.offsets):
        part, sorting = _part(rows, first, stop)
        part, own, treated = treatment.apply(part)
        if frequency is None:
            frequency, treatment = own, replace(treatment, freq=own.alias)
        stamps.append(part.stamps)
        values.append(part.values)
        lengths.append(part.lengths)
        span = f"series {part.ids[0]!r} to {part.ids[-1]!r}: " if several else ""
        notes.extend(span + note for note in (*sorting, *treated))
    if frequency is None:
        raise DataError("the file has no rows: give at least input_size + horizon rows a series")
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    times: npt.NDArray[Any] = stamps.mapped()
    if not rows.integer_time:
        times = times.view("datetime64[ns]")
    read = f"read in pieces: {counted(int(rows.offsets[-1]), 'row')}, kept in temporary files"
    told = (read, *_some(notes))
    return Panel(rows.ids, id_values, values.mapped(), times, offsets, frequency, kind, told)


def _part(rows: FlatRows, first: int, stop: int) -> tuple[FlatRows, tuple[str, ...]]:
    """Some of the series, in memory and in time order."""
    offsets = rows.offsets[first : stop + 1]
    here = slice(int(offsets[0]), int(offsets[-1]))
    codes = np.repeat(np.arange(stop - first), np.diff(offsets))
    return order_rows(
        rows.ids[first:stop],
        codes,
        np.array(rows.stamps[here]),
        np.array(rows.values[here]),  # noqa: PD011
        integer_time=rows.integer_time,
        zone=rows.zone,
    )


def _some(notes: list[str], most: int = 5) -> list[str]:
    if len(notes) <= most:
        return notes
    return [*notes[:most], f"and {len(notes) - most} notes like these on further series"]


def _first_places(codes: Ints, count: int) -> Ints:
    """Where each code stands first; beyond the end where it does not."""
    places = np.full(count, len(codes), dtype=np.int64)
    places[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    return places
