"""Windows gathered from one flat tensor are those that naive slicing gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.forecasting.data.frame import DataError, Panel
from vneuron.forecasting.data.scaling import Scaling
from vneuron.forecasting.data.split import RowRange, Split
from vneuron.forecasting.data.windows import FlatSeries, flatten, last_windows, windows_between

NAN = float("nan")


def panel_of(*series: list[float]) -> Panel:
    frame = pd.concat(
        pd.DataFrame({"unique_id": f"s{at}", "ds": range(len(values)), "y": values})
        for at, values in enumerate(series)
    )
    return Panel.from_frame(frame, freq=1, missing="mask")


def flat_of(*series: list[float]) -> FlatSeries:
    """Without scaling."""
    panel = panel_of(*series)
    return flatten(panel, Scaling(panel.ids, np.zeros(len(panel)), np.ones(len(panel))))


def whole(flat: FlatSeries) -> RowRange:
    return RowRange(np.zeros(len(flat.ids), dtype=np.int64), np.diff(flat.offsets))


lengths = st.lists(st.integers(1, 15), min_size=1, max_size=4)


@given(lengths, st.integers(1, 5), st.integers(1, 5), st.integers(1, 4), st.data())
def test_gather_is_slicing(
    lengths: list[int], context: int, horizon: int, step: int, data: st.DataObject
) -> None:
    series = [[100.0 * at + row for row in range(length)] for at, length in enumerate(lengths)]
    flat = flat_of(*series)
    span = RowRange(
        np.array([data.draw(st.integers(0, length)) for length in lengths]),
        np.array([data.draw(st.integers(0, length + 3)) for length in lengths]),
    )
    windows = windows_between(flat, span, context, horizon, step)
    expected = [
        (values[at - context : at], values[at : at + horizon], which)
        for which, values in enumerate(series)
        for at in range(
            max(span.first[which], context), min(span.stop[which], len(values)) - horizon + 1, step
        )
    ]
    assert len(windows) == len(expected)
    order = torch.tensor(data.draw(st.permutations(range(len(windows)))), dtype=torch.int64)
    batch = windows.gather(order)
    assert batch.context.shape == (len(windows), context)
    assert batch.target.shape == (len(windows), horizon)
    assert batch.context_observed is None
    assert batch.target_observed is None
    for row, at in enumerate(order.tolist()):
        assert batch.context[row].tolist() == expected[at][0]
        assert batch.target[row].tolist() == expected[at][1]
        assert int(batch.series[row]) == expected[at][2]
    cutoffs = np.take(np.asarray(flat.values), windows.cutoffs) if len(windows) else np.array([])
    assert cutoffs.tolist() == [past[-1] for past, _, _ in expected]


@given(
    st.lists(
        st.lists(st.one_of(st.just(NAN), st.integers(1, 9)), min_size=1, max_size=12).filter(
            lambda values: any(value == value for value in values)
        ),
        min_size=1,
        max_size=3,
    ),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_masks_mark_what_is_missing(series: list[list[float]], context: int, horizon: int) -> None:
    flat = flat_of(*series)
    windows = windows_between(flat, whole(flat), context, horizon)
    batch = windows.gather(torch.arange(len(windows)))
    row = 0
    for which, values in enumerate(series):
        array = np.array(values, dtype=float)
        for at in range(context, len(values) - horizon + 1):
            past, ahead = array[at - context : at], array[at : at + horizon]
            if np.isnan(past).all() or np.isnan(ahead).all():
                continue
            carried = pd.Series(array).ffill().fillna(0).to_numpy()[at - context : at]
            assert int(batch.series[row]) == which
            assert batch.context[row].tolist() == carried.tolist()
            assert batch.target[row].tolist() == np.nan_to_num(ahead).tolist()
            if flat.observed is not None:
                assert batch.context_observed is not None
                assert batch.target_observed is not None
                assert batch.context_observed[row].tolist() == (~np.isnan(past)).tolist()
                assert batch.target_observed[row].tolist() == (~np.isnan(ahead)).tolist()
            row += 1
    assert row == len(windows)


@given(lengths, st.integers(1, 12))
def test_last_windows_end_each_series(lengths: list[int], context: int) -> None:
    series = [[100.0 * at + row for row in range(length)] for at, length in enumerate(lengths)]
    flat = flat_of(*series)
    if min(lengths) < context:
        short = next(at for at, length in enumerate(lengths) if length < context)
        with pytest.raises(DataError, match=f"series 's{short}' has {lengths[short]} rows?,"):
            last_windows(flat, context)
    windows = last_windows(flat, context, pad=True)
    batch = windows.gather(torch.arange(len(windows)))
    assert batch.target.shape == (len(series), 0)
    for at, values in enumerate(series):
        padding = max(context - len(values), 0)
        assert batch.context[at].tolist() == [values[0]] * padding + values[-context:]
        if min(lengths) < context:
            assert batch.context_observed is not None
            observed = [False] * padding + [True] * (context - padding)
            assert batch.context_observed[at].tolist() == observed
        else:
            assert batch.context_observed is None
    assert windows.cutoffs.tolist() == (flat.offsets[1:] - 1).tolist()


def test_take_and_move_keep_the_windows() -> None:
    flat = flat_of([1, 2, 3, 4, 5], [6, 7, 8])
    windows = windows_between(flat, whole(flat), 2, 1)
    some = windows.take(torch.tensor([3, 0])).to("cpu")
    assert some.gather(torch.tensor([0, 1])).target.tolist() == [[8], [3]]
    padded = last_windows(flat, 4, pad=True).take(torch.tensor([1]))
    assert padded.gather(torch.tensor([0])).context.tolist() == [[6, 6, 7, 8]]


def test_scaled_values_fill_the_tensor() -> None:
    panel = panel_of([1, 3, 5], [10, 30])
    flat = flatten(panel, Scaling.fit(panel, stop=2))
    expected = torch.tensor([-1.0, 1.0, 3.0, -1.0, 1.0], dtype=torch.float32)
    torch.testing.assert_close(flat.values, expected, rtol=0, atol=0)


def test_a_scaling_of_other_series_is_refused() -> None:
    panel = panel_of([1, 2], [3, 4])
    with pytest.raises(ValueError, match=r"use scaling.aligned\(panel\)"):
        flatten(panel, Scaling.fit(panel.select([1, 0])))


def test_a_context_without_any_value_is_refused() -> None:
    with pytest.raises(DataError, match="series 's1' has no known value in the last 2 rows"):
        last_windows(flat_of([1, 2, 3], [1, NAN, NAN]), 2)


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_sizes_below_one_are_refused(sizes: tuple[int, int, int]) -> None:
    flat = flat_of([1, 2, 3])
    with pytest.raises(DataError, match="is 0: give a whole number"):
        windows_between(flat, whole(flat), *sizes)


def test_many_series_need_no_loop() -> None:
    count, rows = 200_000, 8
    offsets = np.arange(count + 1, dtype=np.int64) * rows
    values = torch.arange(count * rows, dtype=torch.float32)
    flat = FlatSeries(values, None, offsets, tuple(map(str, range(count))))
    windows = windows_between(flat, whole(flat), 4, 2)
    assert len(windows) == 3 * count
    batch = windows.gather(torch.tensor([3 * count - 1]))
    assert batch.target.tolist() == [values[-2:].tolist()]


def test_etth1_has_2785_test_windows_a_series(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "ett" / "ETTh1.csv.gz")
    frame = table.melt("date", var_name="unique_id", value_name="y").rename(columns={"date": "ds"})
    panel = Panel.from_frame(frame)
    split = Split.of(panel, 336, 96, train_size=8640, val_size=2880, test_size=2880)
    scaling = Scaling.fit(panel, split.train.stop)
    flat = flatten(panel, scaling)
    test = windows_between(flat, split.test, 336, 96)
    assert len(test) == 2785 * 7
    assert len(windows_between(flat, split.val, 336, 96)) == 2785 * 7
    assert len(windows_between(flat, split.train, 336, 96)) == (8640 - 336 - 96 + 1) * 7
    last = test.gather(torch.tensor([len(test) - 1]))
    column = table["OT"].to_numpy()
    expected = (column[14_400 - 96 : 14_400] - column[:8640].mean()) / column[:8640].std()
    np.testing.assert_allclose(last.target[0].numpy(), expected, rtol=1e-5, atol=1e-6)
