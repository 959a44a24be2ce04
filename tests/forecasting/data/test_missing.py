"""Missing values and rows: reported, interpolated or masked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneuron.forecasting.data.frame import DataError, Panel

NAN = float("nan")

values_with_gaps = st.lists(
    st.one_of(st.just(NAN), st.floats(-5, 5)), min_size=2, max_size=12
).filter(lambda values: any(value == value for value in values))


def panel_of(*series: list[float], missing: str) -> Panel:
    frame = pd.concat(
        pd.DataFrame({"unique_id": f"s{at}", "ds": range(len(values)), "y": values})
        for at, values in enumerate(series)
    )
    return Panel.from_frame(frame, missing=missing, freq=1)


@given(st.lists(values_with_gaps, min_size=1, max_size=4))
def test_interpolation_is_that_of_pandas(series: list[list[float]]) -> None:
    panel = panel_of(*series, missing="interpolate")
    for at, values in enumerate(series):
        expected = pd.Series(values).interpolate(limit_area="inside").dropna()
        mine = panel.series == at
        np.testing.assert_allclose(np.compress(mine, panel.values), expected, atol=1e-12)
        assert list(panel.times[mine]) == list(expected.index)


@given(st.lists(values_with_gaps, min_size=1, max_size=4))
def test_mask_keeps_every_row(series: list[list[float]]) -> None:
    panel = panel_of(*series, missing="mask")
    np.testing.assert_array_equal(panel.values, np.concatenate(series))
    assert panel.has_missing == bool(np.isnan(np.concatenate(series)).any())


@given(values_with_gaps, st.data())
def test_an_absent_row_is_a_missing_value(values: list[float], data: st.DataObject) -> None:
    unknown = [at for at in range(1, len(values) - 1) if values[at] != values[at]]
    dropped = data.draw(st.sets(st.sampled_from(unknown))) if unknown else set()
    frame = pd.DataFrame({"unique_id": "a", "ds": range(len(values)), "y": values})
    for policy in ("mask", "interpolate"):
        whole = Panel.from_frame(frame, missing=policy, freq=1)
        holed = Panel.from_frame(frame.drop(index=list(dropped)), missing=policy, freq=1)
        np.testing.assert_array_equal(whole.values, holed.values)
        np.testing.assert_array_equal(whole.times, holed.times)


def test_notes_say_what_was_done() -> None:
    panel = panel_of([NAN, 1, NAN, 3], [1, 2, 3, NAN], missing="interpolate")
    assert panel.notes == (
        "filled 1 missing value by linear interpolation",
        "cut 2 rows with missing values at the ends of 2 series (first: series 's0' at 0)",
    )
    masked = panel_of([NAN, 1, NAN, 3], missing="mask")
    assert masked.notes == ("2 of 4 values are missing and masked",)


def test_error_counts_all_and_names_the_first() -> None:
    with pytest.raises(DataError) as told:
        panel_of([1, NAN, 3, NAN], [NAN, 2, 3, 4], [1, 2, 3, 4], missing="error")
    assert str(told.value) == (
        "3 missing values in 2 of 3 series (first: series 's1' at 0, series 's0' at 1, series 's0' "
        "at 3): fill them, or set missing to interpolate or mask"
    )


def test_a_stamp_absent_in_every_series_is_shown_once() -> None:
    frame = pd.DataFrame({"ds": [0, 1, 3, 4], "a": 1.0, "b": 2.0})
    frame = frame.melt("ds", var_name="unique_id", value_name="y")
    with pytest.raises(
        DataError, match=r"2 absent rows in 2 gaps \(first: 1 after series 'a' at 1\)"
    ):
        Panel.from_frame(frame)


def test_interpolated_gaps_are_linear_in_steps_not_in_days() -> None:
    months = pd.to_datetime(["2026-01-01", "2026-02-01", "2026-03-01", "2026-05-01"])
    frame = pd.DataFrame({"unique_id": "a", "ds": months, "y": [0.0, 1.0, 2.0, 4.0]})
    panel = Panel.from_frame(frame, missing="interpolate")
    assert list(panel.values) == [0, 1, 2, 3, 4]


def test_panel_survives_a_round_trip_with_its_mask() -> None:
    panel = panel_of([NAN, 1, NAN, 3], missing="mask")
    again = Panel.from_frame(panel.to_frame(), freq=panel.freq, missing="mask")
    np.testing.assert_array_equal(again.values, panel.values)
