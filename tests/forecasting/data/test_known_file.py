"""Files of what is known of a forecast: ids, times and numbers as data files have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vneuron.forecasting.data.errors import DataError
from vneuron.forecasting.data.known_file import read_observed, read_totals

LONG = "unique_id,ds,y\n007,2026-01-02,1\nNA,2026-01-03,\n"
WIDE = "date,a,b,note\n2026-01-02,1,,x\n2026-01-03,2,,x\n"


def put(place: Path, text: str, name: str = "known.csv") -> Path:
    path = place / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("mark", [",", ";", "tab"])
def test_ids_stay_text_whatever_the_delimiter(tmp_path: Path, mark: str) -> None:
    path = put(tmp_path, LONG.replace(",", "\t" if mark == "tab" else mark))
    found = read_observed(path, ("007", "NA"), delimiter=mark)
    assert found["unique_id"].tolist() == ["007", "NA"]
    assert found["ds"].tolist() == [pd.Timestamp("2026-01-02"), pd.Timestamp("2026-01-03")]
    assert found["y"][0] == 1
    assert np.isnan(found["y"][1])
    sums = read_totals(path, delimiter=mark)
    assert sums["unique_id"].tolist() == ["007", "NA"]


@pytest.mark.parametrize("ending", ["pq", "parquet"])
def test_parquet(tmp_path: Path, ending: str) -> None:
    frame = pd.DataFrame({"unique_id": ["007"], "ds": [3], "ds_end": [4], "y": [1.5]})
    frame.to_parquet(tmp_path / f"known.{ending}")
    pd.testing.assert_frame_equal(read_totals(tmp_path / f"known.{ending}"), frame)
    found = read_observed(tmp_path / f"known.{ending}", ("007",))
    pd.testing.assert_frame_equal(found, frame[["unique_id", "ds", "y"]])


def test_a_wide_file_may_hold_some_series_and_empty_ones(tmp_path: Path) -> None:
    found = read_observed(put(tmp_path, WIDE), ("a", "b", "c"))
    assert found["unique_id"].tolist() == ["a", "a", "b", "b"]
    assert found["y"].tolist()[:2] == [1, 2]
    assert found["y"][2:].isna().all()
    one = read_observed(put(tmp_path, "ds,y\n2026-01-02,5\n"), ("y", "z"))
    assert one["unique_id"].tolist() == ["y"]


def test_one_series_needs_no_id(tmp_path: Path) -> None:
    found = read_observed(put(tmp_path, "ds,y\n20260102,5\n"), ("a",))
    assert found.columns.tolist() == ["ds", "y"]
    assert found["ds"].tolist() == [pd.Timestamp("2026-01-02")]


def test_columns_as_the_run_had_them(tmp_path: Path) -> None:
    path = put(tmp_path, "unique_id,when,load\na,2026-01-02,5\n")
    found = read_observed(path, ("a",), time_col="when", value="load")
    assert found.columns.tolist() == ["unique_id", "ds", "y"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WIDE.replace("2,,x", "x,,x"), "known.csv: line 3, column 'a': 'x' is not a number"),
        (WIDE.replace("-03", "-77"), "known.csv: line 3, column 'date': '2026-01-77' is no date"),
        ("date,q\n2026-01-02,1\n", "no column is named like a series .*'a', 'b'.* has 'date', 'q'"),
        ("p,a\n0.5,1\n", "no column of times: name it ds or date, or give time_col"),
        ("", "the file is empty"),
    ],
)
def test_faults_are_told_with_their_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_observed(put(tmp_path, text), ("a", "b"))


def test_totals_need_y(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="total: no column 'y' in the file; it has 'date'"):
        read_totals(put(tmp_path, WIDE))


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%m/%d/%Y"])
def test_the_forecast_says_which_is_the_day(tmp_path: Path, form: str) -> None:
    steps = pd.date_range("2026-06-01", periods=9, freq="D")
    text = f"ds,ds_end,y\n{steps[2].strftime(form)},{steps[4].strftime(form)},1\n"
    path, stamps = put(tmp_path, text), steps.as_unit("ns").asi8
    assert read_observed(path, ("a",), expected=stamps)["ds"][0] == steps[2]
    found = read_totals(path, expected=stamps)
    assert (found["ds"][0], found["ds_end"][0]) == (steps[2], steps[4])


def test_ids_under_the_name_that_the_run_had(tmp_path: Path) -> None:
    path = put(tmp_path, LONG.replace("unique_id", "shop"))
    found = read_observed(path, ("007", "NA"), id_col="shop")
    assert found["unique_id"].tolist() == ["007", "NA"]
    assert read_totals(path, id_col="shop")["unique_id"].tolist() == ["007", "NA"]
    usual = put(tmp_path, LONG, "usual.csv")
    assert read_observed(usual, ("007", "NA"), id_col="shop")["unique_id"].tolist() == ["007", "NA"]
