"""Splits by target span: sizes, shares, defaults and series that are too short."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneuron.forecasting.data.frame import DataError, Panel
from vneuron.forecasting.data.split import Split


def panel_of(*lengths: int) -> Panel:
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat([f"s{at}" for at in range(len(lengths))], lengths),
            "ds": np.concatenate([np.arange(length) for length in lengths]),
            "y": 1.0,
        }
    )
    return Panel.from_frame(frame, freq=1)


def spans(split: Split, at: int = 0) -> list[tuple[int, int]]:
    parts = (split.train, split.val, split.test)
    return [(int(part.first[at]), int(part.stop[at])) for part in parts]


sizes = st.one_of(st.none(), st.integers(0, 60), st.floats(0, 0.99))


@given(
    st.lists(st.integers(1, 200), min_size=1, max_size=4),
    st.integers(1, 20),
    st.integers(1, 20),
    sizes,
    sizes,
    sizes,
)
def test_spans_are_disjoint_ordered_and_long_enough(
    lengths: list[int], context: int, horizon: int, train: object, val: object, test: object
) -> None:
    panel = panel_of(*lengths)
    try:
        split = Split.of(
            panel,
            context,
            horizon,
            train_size=train,
            val_size=val,
            test_size=test,  # type: ignore[arg-type]
        )
    except DataError:
        return
    for at, length in enumerate(lengths):
        (zero, a), (b, c), (d, stop) = spans(split, at)
        assert (zero, a, c) == (0, b, d)
        assert a >= context + horizon
        assert c - b == 0 or c - b >= horizon
        assert stop - d == 0 or stop - d >= horizon
        assert stop <= length
    unused = sum(lengths) - int(split.test.stop.sum())
    assert (f"{unused} rows beyond" in "".join(split.notes)) == (unused > 0)


def test_ett_and_the_rest() -> None:
    etth = Split.of(panel_of(17_420), 336, 96, train_size=8640, val_size=2880, test_size=2880)
    assert spans(etth) == [(0, 8640), (8640, 11_520), (11_520, 14_400)]
    assert etth.notes == (
        "3020 rows beyond train_size + val_size + test_size are unused in 1 series "
        "(first: the last 3020 of 's0')",
    )
    exchange = Split.of(panel_of(7588), 96, 96, train_size=0.7, val_size=0.1, test_size=0.2)
    assert spans(exchange) == [(0, 5311), (5311, 6071), (6071, 7588)]


def test_default_is_a_tenth_each() -> None:
    assert spans(Split.of(panel_of(1000), 100, 50)) == [(0, 800), (800, 900), (900, 1000)]


def test_default_holds_at_least_one_horizon() -> None:
    assert spans(Split.of(panel_of(200), 50, 30)) == [(0, 140), (140, 170), (170, 200)]


def test_named_sizes_come_from_the_end_while_training_is_open() -> None:
    split = Split.of(panel_of(100, 60), 10, 5, val_size=20, test_size=0)
    assert spans(split) == [(0, 80), (80, 100), (100, 100)]
    assert spans(split, 1) == [(0, 40), (40, 60), (60, 60)]
    assert split.notes == ()


def test_too_short_names_the_series_its_rows_and_the_need() -> None:
    with pytest.raises(DataError) as told:
        Split.of(panel_of(500, 60, 70), 50, 20)
    assert str(told.value) == (
        "series 's1' is too short: 60 rows where 110 are needed, found 20 for training (at least "
        "input_size 50 + horizon 20), 20 for validation and 20 for test (at least one horizon, or "
        "0); 2 of 3 series: give a smaller input_size, horizon or other sizes, or drop the series"
    )


def test_too_short_never_counts_below_none() -> None:
    with pytest.raises(DataError, match=r"1 row where 18 are needed, found 0 for training"):
        Split.of(panel_of(40, 1), 10, 4, val_size=4, test_size=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_size": 80, "val_size": 20, "test_size": 20}, "too short: 100 rows where 120"),
        ({"train_size": 10}, "10 for training"),
        ({"val_size": 3}, "3 for validation"),
        ({"test_size": 3}, "3 for test"),
        ({"train_size": 0}, "train_size is 0: give rows"),
        ({"val_size": -1}, "val_size is -1: give rows"),
        ({"test_size": 1.5}, "test_size is 1.5: give rows .* or a share below 1"),
        ({"test_size": float("nan")}, "test_size is nan"),
        ({"val_size": "10%"}, "val_size is '10%'"),
        ({"val_size": True}, "val_size is True"),
    ],
)
def test_bad_sizes(options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Split.of(panel_of(100), 10, 5, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("context", "horizon", "message"),
    [
        (10, 0, "horizon is 0: give a whole number of rows, at least 1"),
        (0, 5, "input_size is 0"),
        (-3, 5, "input_size is -3"),
        (10, 2.5, "horizon is 2.5"),
    ],
)
def test_bad_windows(context: int, horizon: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Split.of(panel_of(100), context, horizon)
