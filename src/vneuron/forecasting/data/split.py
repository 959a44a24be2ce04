"""Training, validation and test rows of each series, by target span."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .errors import DataError
from .frame import Panel
from .rows import Ints, counted

__all__ = ["RowRange", "Split", "check_window"]

Size = int | float | None


class RowRange(NamedTuple):
    """Rows ``first`` to ``stop`` of each series, counted from its own first row; [series] each."""

    first: Ints
    stop: Ints

    @property
    def lengths(self) -> Ints:
        """Rows of each series in the range."""
        return self.stop - self.first


@dataclass(frozen=True, eq=False)
class Split:
    """Where the targets of training, validation and test windows lie.

    Contexts of validation and test windows may reach back into earlier rows; training windows
    lie wholly in the training rows.

    Attributes:
        train: row range, [series] each.
        val: the rows after it; may be empty.
        test: the rows after those; may be empty.
        notes: rows that no part uses.
    """

    train: RowRange
    val: RowRange
    test: RowRange
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        panel: Panel,
        input_size: int,
        horizon: int,
        *,
        train_size: Size = None,
        val_size: Size = None,
        test_size: Size = None,
    ) -> Split:
        """Cuts each series from its first row: training, then validation, then test.

        Args:
            panel: the series.
            input_size: context rows L of a window.
            horizon: target rows H of a window.
            train_size: rows (int) or a share of the series (float below 1); None takes what the
                others leave.
            val_size: likewise; None is 10% and at least one horizon; 0 is none.
            test_size: likewise.

        Raises:
            DataError: a size that is not one of these, or a series that is too short.

        Example:
            >>> import pandas as pd
            >>> frame = pd.DataFrame({"unique_id": "a", "ds": range(100), "y": range(100)})
            >>> split = Split.of(Panel.from_frame(frame), input_size=20, horizon=5)
            >>> split.train.stop, split.val.stop, split.test.stop
            (array([80]), array([90]), array([100]))
        """
        check_window(input_size, horizon)
        rows = panel.lengths
        sizes = {"train_size": train_size, "val_size": val_size, "test_size": test_size}
        for name, size in sizes.items():
            _check_size(name, size)
        train, val, test = _sizes(rows, horizon, train_size, val_size, test_size)
        _check_rows(panel, input_size, horizon, train, val, test)
        return cls(
            RowRange(np.zeros_like(rows), train),
            RowRange(train, train + val),
            RowRange(train + val, train + val + test),
            _unused(panel, rows - train - val - test),
        )


def check_window(input_size: object, horizon: object) -> None:
    """Raises DataError where a window's sizes are not positive whole numbers."""
    for name, size in (("input_size", input_size), ("horizon", horizon)):
        if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
            raise DataError(f"{name} is {size!r}: give a whole number of rows, at least 1")


def _check_size(name: str, size: object) -> None:
    if size is None:
        return
    whole = isinstance(size, int | np.integer) and not isinstance(size, bool) and size >= 0
    share = isinstance(size, float) and 0 <= size < 1
    if not (whole or share) or (name == "train_size" and size == 0):
        raise DataError(f"{name} is {size!r}: give rows (a whole number) or a share below 1")


def _sizes(
    rows: Ints, horizon: int, train_size: Size, val_size: Size, test_size: Size
) -> tuple[Ints, Ints, Ints]:
    least = np.full_like(rows, horizon)
    val = np.maximum(_count(rows, 0.1), least) if val_size is None else _count(rows, val_size)
    test = np.maximum(_count(rows, 0.1), least) if test_size is None else _count(rows, test_size)
    if train_size is None:
        return rows - val - test, val, test
    train = _count(rows, train_size)
    shares = [size for size in (train_size, val_size, test_size) if isinstance(size, float)]
    if len(shares) == 3 and abs(sum(shares) - 1) < 1e-9:
        # The field's 70/10/20: training and test are rounded down, validation is what remains.
        val = rows - train - test
    return train, val, test


def _count(rows: Ints, size: int | float) -> Ints:
    if isinstance(size, float):
        return np.asarray(np.floor(rows * size + 1e-9), dtype=np.int64)
    return np.full(rows.shape, size, dtype=np.int64)


def _check_rows(
    panel: Panel, input_size: int, horizon: int, train: Ints, val: Ints, test: Ints
) -> None:
    """Raises where a part is too short for one window of its own."""
    short_train = train < input_size + horizon
    short_part = ((val > 0) & (val < horizon)) | ((test > 0) & (test < horizon))
    beyond = np.maximum(train, input_size + horizon) + val + test > panel.lengths
    bad = short_train | short_part | beyond
    if not bad.any():
        return
    at = int(np.argmax(bad))
    needed = max(int(train[at]), input_size + horizon)
    for part in (val, test):
        needed += max(int(part[at]), horizon if part[at] > 0 else 0)
    raise DataError(
        f"series {panel.ids[at]!r} is too short: {counted(int(panel.lengths[at]), 'row')} where "
        f"{needed} are needed, found {max(int(train[at]), 0)} for training (at least input_size "
        f"{input_size} + horizon {horizon}), {int(val[at])} for validation and {int(test[at])} for "
        f"test (at least one horizon, or 0); {int(bad.sum())} of {len(panel)} series: give a "
        "smaller input_size, horizon or other sizes, or drop the series"
    )


def _unused(panel: Panel, rest: Ints) -> tuple[str, ...]:
    if not (rest > 0).any():
        return ()
    at = int(np.argmax(rest > 0))
    return (
        f"{int(rest.sum())} rows beyond train_size + val_size + test_size are unused in "
        f"{int((rest > 0).sum())} series (first: the last {int(rest[at])} of {panel.ids[at]!r})",
    )
