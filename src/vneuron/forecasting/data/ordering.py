"""Rows into time order, each stamp once."""

import numpy as np

from .errors import DataError
from .rows import FlatRows, Floats, Ints, counted

__all__ = ["DUPLICATES", "order_rows", "resolve_duplicates"]

DUPLICATES = ("error", "first", "last", "mean")


def order_rows(
    ids: tuple[str, ...],
    codes: Ints,
    stamps: Ints,
    values: Floats,
    *,
    integer_time: bool,
    zone: str | None,
) -> tuple[FlatRows, tuple[str, ...]]:
    """Lays the series end to end, each in time order, rows of equal stamps as they came.

    Returns:
        The rows, and a note where a series' rows were out of order. Series that alternate row by
        row are no disorder.
    """
    if (np.diff(codes) < 0).any():
        order = np.argsort(codes, kind="stable")
        codes, stamps, values = codes[order], stamps[order], values[order]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(ids)))])
    early = (np.diff(stamps) < 0) & (np.diff(codes) == 0)
    notes: tuple[str, ...] = ()
    if early.any():
        order = np.lexsort((stamps, codes))
        moved = np.bincount(codes[order != np.arange(len(order))], minlength=len(ids))
        series = np.flatnonzero(moved)
        notes = (
            f"sorted by time: {counted(int(moved.sum()), 'row')} were out of order in "
            f"{len(series)} series (first: {ids[int(series[0])]!r})",
        )
        stamps, values = stamps[order], values[order]
    return FlatRows(ids, offsets.astype(np.int64), stamps, values, integer_time, zone), notes


def resolve_duplicates(rows: FlatRows, policy: str) -> tuple[FlatRows, tuple[str, ...]]:
    """One row per stamp.

    Args:
        rows: in time order.
        policy: "error" refuses duplicates; "first" and "last" keep that row; "mean" averages
            the values that are present.

    Raises:
        DataError: duplicates under "error", or an unknown policy.
    """
    if policy not in DUPLICATES:
        raise DataError(f"duplicates is {policy!r}: give one of {', '.join(DUPLICATES)}")
    again = (np.diff(rows.stamps) == 0) & rows.inner
    if not again.any():
        return rows, ()
    row, count = int(np.argmax(again)), int(again.sum())
    if policy == "error":
        raise DataError(
            f"duplicate time stamps: {rows.place(row)} stands twice "
            f"({counted(count, 'such row')} in all): "
            "correct it, or set duplicates to first, last or mean"
        )
    starts = np.concatenate([[True], ~again])
    group = np.cumsum(starts) - 1
    if policy == "mean":
        present = ~np.isnan(rows.values)
        totals = np.bincount(group, weights=np.where(present, rows.values, 0.0))
        counts = np.bincount(group, weights=present)
        values = np.divide(totals, counts, out=np.full(len(totals), np.nan), where=counts > 0)
    else:
        keep = starts if policy == "first" else np.concatenate([~again, [True]])
        values = rows.values[keep]
    lengths = np.bincount(rows.series[starts], minlength=len(rows.ids))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    resolved = FlatRows(
        rows.ids, offsets, rows.stamps[starts], values, rows.integer_time, rows.zone
    )
    seen = counted(count, "row")
    note = f"{seen} with a stamp already seen resolved by {policy} (first: {rows.place(row)})"
    return resolved, (note,)
