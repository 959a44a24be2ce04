"""The panel: what a long frame becomes, how it comes back, and what is refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneuron.forecasting.data.frame import DataError, Panel


def frame(**series: list[float]) -> pd.DataFrame:
    """One hourly series per name."""
    parts = [
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": pd.date_range("2026-01-01", periods=len(values), freq="h"),
                "y": np.asarray(values, dtype=float),
            }
        )
        for name, values in series.items()
    ]
    return pd.concat(parts, ignore_index=True)


def one(stamps: object, **columns: object) -> pd.DataFrame:
    """A single series on given stamps."""
    count = len(stamps)  # type: ignore[arg-type]
    return pd.DataFrame(
        {"unique_id": "a", "ds": stamps, "y": np.arange(count, dtype=float), **columns}
    )


class TestReading:
    def test_series_lie_end_to_end(self) -> None:
        panel = Panel.from_frame(frame(b=[1, 2, 3], a=[4, 5]))
        assert panel.ids == ("b", "a")
        assert panel.offsets.tolist() == [0, 3, 5]
        assert list(panel.values) == [1, 2, 3, 4, 5]
        assert panel.times.dtype == np.dtype("datetime64[ns]")
        assert panel.series.tolist() == [0, 0, 0, 1, 1]
        assert (panel.freq, panel.backend, panel.time_zone, panel.notes) == (
            "h",
            "pandas",
            None,
            (),
        )

    @given(st.randoms(use_true_random=False), st.sampled_from(["pandas", "polars"]))
    def test_row_order_does_not_matter(self, random: object, backend: str) -> None:
        tidy = frame(a=[1, 2, 3, 4], b=[5, 6, 7])
        order = list(range(len(tidy)))
        random.shuffle(order)  # type: ignore[attr-defined]
        mixed = tidy.iloc[order]
        panel = Panel.from_frame(mixed if backend == "pandas" else pl.from_pandas(mixed))
        back = panel.to_frame() if backend == "pandas" else panel.to_frame().to_pandas()
        back = back.sort_values(["unique_id", "ds"], ignore_index=True)
        pd.testing.assert_frame_equal(back, tidy, check_dtype=False)

    def test_unsorted_rows_are_sorted_with_a_note(self) -> None:
        panel = Panel.from_frame(frame(a=[1, 2, 3, 4], b=[1, 2]).iloc[[0, 2, 1, 3, 4, 5]])
        assert list(panel.values) == [1, 2, 3, 4, 1, 2]
        assert panel.notes == ("sorted by time: 2 rows were out of order in 1 series (first: 'a')",)

    def test_alternating_series_are_no_disorder(self) -> None:
        panel = Panel.from_frame(frame(a=[1, 2], b=[3, 4]).iloc[[0, 2, 1, 3]])
        assert list(panel.values) == [1, 2, 3, 4]
        assert panel.notes == ()

    def test_many_short_series(self) -> None:
        count, rows = 200_000, 4
        ids = np.repeat(np.arange(count), rows)
        table = pd.DataFrame(
            {
                "unique_id": ids,
                "ds": np.tile(pd.date_range("2026-01-01", periods=rows), count),
                "y": np.arange(count * rows, dtype=float),
            }
        )
        panel = Panel.from_frame(table.sample(frac=1, random_state=0))
        assert len(panel) == count
        assert panel.future_times(2).shape == (count, 2)
        assert panel.tail(2).lengths.tolist() == [2] * count
        firsts = np.take(panel.values, panel.offsets[:-1])
        assert (firsts == 4 * np.array(panel.ids, dtype=int)).all()

    def test_lazy_polars_frame_is_collected(self) -> None:
        assert list(Panel.from_frame(pl.from_pandas(frame(a=[1, 2])).lazy()).values) == [1, 2]

    def test_exogenous_columns_can_be_ignored(self) -> None:
        panel = Panel.from_frame(one([1, 2, 3], price=1.0), exogenous="ignore")
        assert panel.notes == ("exogenous columns 'price' ignored",)


class TestKinds:
    """What goes in comes back: backend, ids, times."""

    @pytest.mark.parametrize(
        "ids",
        [
            pd.Series(["x", "x", "y", "y"]),
            pd.Series(["x", "x", "y", "y"], dtype="category"),
            pd.Series([7, 7, 3, 3], dtype="int32"),
            pd.Series(["x", "x", "y", "y"], dtype=object),
            pd.Series([7, 7, 3, 3], dtype="Int64"),
        ],
        ids=lambda ids: str(ids.dtype),
    )
    def test_pandas_ids_keep_their_type(self, ids: pd.Series) -> None:
        table = pd.DataFrame({"unique_id": ids, "ds": [1, 2, 1, 2], "y": [1.0, 2.0, 3.0, 4.0]})
        pd.testing.assert_frame_equal(
            Panel.from_frame(table).to_frame(), table, check_categorical=False
        )

    @pytest.mark.parametrize(
        "dtype", [pl.String, pl.Categorical, pl.Int16, pl.Enum(["7", "3"])], ids=str
    )
    def test_polars_ids_keep_their_type(self, dtype: pl.DataType) -> None:
        table = pl.DataFrame(
            {
                "unique_id": pl.Series([7, 7, 3, 3]).cast(pl.String).cast(dtype),
                "ds": [1, 2, 1, 2],
                "y": [1.0, 2.0, 3.0, 4.0],
            }
        )
        assert Panel.from_frame(table).to_frame().equals(table)
        assert Panel.from_frame(table).to_frame().schema == table.schema

    @pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
    @pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin", "America/New_York"])
    def test_pandas_times_keep_unit_and_zone(self, unit: str, zone: str | None) -> None:
        stamps = pd.date_range("2026-03-28", periods=48, freq="h", tz=zone).as_unit(unit)
        table = one(stamps)
        panel = Panel.from_frame(table)
        assert (panel.freq, panel.time_zone) == ("h", zone)
        pd.testing.assert_frame_equal(panel.to_frame(), table)

    @pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
    @pytest.mark.parametrize("unit", ["ms", "us", "ns"])
    def test_polars_times_keep_unit_and_zone(self, unit: str, zone: str | None) -> None:
        table = pl.from_pandas(one(pd.date_range("2026-03-28", periods=48, freq="h", tz=zone)))
        table = table.with_columns(pl.col("ds").cast(pl.Datetime(unit, zone)))
        panel = Panel.from_frame(table)
        assert panel.to_frame().schema == table.schema
        assert panel.to_frame().equals(table)

    def test_polars_dates_stay_dates(self) -> None:
        days = [dt.date(2026, 1, day) for day in (1, 2, 3)]
        table = pl.DataFrame({"unique_id": ["a"] * 3, "ds": days, "y": [1.0, 2.0, 3.0]})
        panel = Panel.from_frame(table)
        assert panel.freq == "D"
        assert panel.to_frame().equals(table)
        ahead = panel.to_native([0], panel.future_times(1)[:, 0], {"EVE": np.zeros(1)})
        assert ahead["ds"].to_list() == [dt.date(2026, 1, 4)]

    def test_integer_times(self) -> None:
        panel = Panel.from_frame(one([10, 12, 14]))
        assert panel.freq == 2
        assert panel.future_times(3).tolist() == [[16, 18, 20]]

    def test_years_held_as_floats(self) -> None:
        assert Panel.from_frame(one([1990.0, 1991.0, 1992.0])).future_times(1).tolist() == [[1993]]

    def test_text_dates(self) -> None:
        panel = Panel.from_frame(one(["2026-01-01", "2026-01-02", "2026-01-03"]))
        assert (panel.freq, panel.time_zone) == ("D", None)

    def test_text_with_an_offset_comes_back_in_it(self) -> None:
        table = one([f"2026-01-0{day}T00:00:00+02:00" for day in (1, 2, 3)])
        panel = Panel.from_frame(table)
        assert panel.time_zone == "UTC+02:00"
        assert str(panel.to_frame()["ds"].iloc[0]) == "2026-01-01 00:00:00+02:00"
        polars_times = Panel.from_frame(pl.from_pandas(table)).to_frame()["ds"]
        assert polars_times.to_list()[0].utcoffset() == dt.timedelta(0)

    def test_nullable_and_boolean_values(self) -> None:
        table = one([1, 2, 3]).assign(y=pd.array([1, None, 3], dtype="Int64"))
        assert list(Panel.from_frame(table, missing="interpolate").values) == [1, 2, 3]
        assert list(Panel.from_frame(one([1, 2]).assign(y=[True, False])).values) == [1, 0]

    @given(
        st.lists(st.integers(1, 5), min_size=1, max_size=5),
        st.sampled_from(["h", "D", "MS", "B"]),
    )
    def test_pandas_and_polars_give_the_same_panel(self, lengths: list[int], freq: str) -> None:
        table = pd.concat(
            one(pd.date_range("2026-01-01", periods=length, freq=freq)).assign(unique_id=f"s{at}")
            for at, length in enumerate(lengths)
        )
        left = Panel.from_frame(table, freq=freq)
        right = Panel.from_frame(pl.from_pandas(table), freq=freq)
        assert left.ids == right.ids
        np.testing.assert_array_equal(left.values, right.values)
        assert (left.times == right.times).all()
        assert (left.offsets == right.offsets).all()
        assert (left.future_times(3) == right.future_times(3)).all()
        pd.testing.assert_frame_equal(
            left.to_frame(), right.to_frame().to_pandas(), check_dtype=False
        )


class TestCutting:
    @given(
        st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(-7, 7), st.integers(-7, 7)
    )
    def test_rows_between_is_slicing(self, lengths: list[int], first: int, stop: int) -> None:
        series = {f"s{at}": list(np.arange(n) + 10.0 * at) for at, n in enumerate(lengths)}
        panel = Panel.from_frame(frame(**series), freq="h")
        cut = panel.rows_between(first, stop)
        for at, values in enumerate(series.values()):
            low = max(first + len(values), 0) if first < 0 else first
            high = max(stop + len(values), 0) if stop < 0 else stop
            rows = slice(cut.offsets[at], cut.offsets[at + 1])
            assert list(np.array(cut.values)[rows]) == values[low:high]
            assert (cut.times[rows] == panel.times[panel.series == at][low:high]).all()

    def test_select_takes_series_in_order(self) -> None:
        panel = Panel.from_frame(frame(a=[1, 2], b=[3, 4, 5], c=[6, 7])).select([2, 1])
        assert panel.ids == ("c", "b")
        assert list(panel.values) == [6, 7, 3, 4, 5]
        assert panel.to_frame()["unique_id"].tolist() == ["c", "c", "b", "b", "b"]

    def test_tail(self) -> None:
        panel = Panel.from_frame(frame(a=[1], b=[2, 3, 4]))
        assert list(panel.tail(2).values) == [1, 3, 4]
        assert (panel.tail(2).future_times(2) == panel.future_times(2)).all()


class TestDuplicates:
    TWICE = one(pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-02", "2026-01-03"]))

    @pytest.mark.parametrize(("policy", "value"), [("first", 1), ("last", 2), ("mean", 1.5)])
    def test_policies(self, policy: str, value: float) -> None:
        panel = Panel.from_frame(self.TWICE, duplicates=policy)
        assert list(panel.values) == [0, value, 3]
        assert panel.lengths.tolist() == [3]
        assert "1 row with a stamp already seen" in panel.notes[0]

    def test_mean_leaves_out_missing_values(self) -> None:
        table = self.TWICE.assign(y=[0.0, np.nan, 2.0, 3.0])
        assert list(Panel.from_frame(table, duplicates="mean").values) == [0, 2, 3]

    def test_equal_stamps_of_two_series_are_no_duplicates(self) -> None:
        assert len(Panel.from_frame(frame(a=[1, 2], b=[1, 2]))) == 2

    @given(st.lists(st.integers(0, 4), min_size=2, max_size=12).filter(lambda xs: len(set(xs)) > 1))
    def test_mean_is_groupby_mean(self, stamps: list[int]) -> None:
        table = one(stamps)
        panel = Panel.from_frame(table, duplicates="mean", freq=1, missing="mask")
        expected = table.groupby("ds")["y"].mean()
        expected = expected.reindex(range(min(stamps), max(stamps) + 1))
        np.testing.assert_allclose(panel.values, expected.to_numpy())


HOURS = pd.date_range("2026-01-01", periods=10, freq="h")

BAD: dict[str, tuple[Callable[[], object], dict[str, object], str]] = {
    "no frame": (lambda: [1, 2], {}, "found a list, expected a pandas or polars frame"),
    "missing column": (
        lambda: one(HOURS).rename(columns={"y": "value"}),
        {},
        "no column 'y' but 'unique_id', 'ds', 'value': rename",
    ),
    "columns of one name": (
        lambda: pd.concat([one(HOURS), one(HOURS)[["y"]]], axis=1),
        {},
        r"two columns of one name .*'y' 2 times\): rename",
    ),
    "id in the index": (
        lambda: one(HOURS).set_index("unique_id"),
        {},
        r"no column 'unique_id' but 'ds', 'y': .*reset_index",
    ),
    "no rows": (lambda: one(HOURS).iloc[:0], {}, "no rows: give"),
    "exogenous": (lambda: one(HOURS, price=1.0), {}, "exogenous columns 'price'.*drop them or set"),
    "exogenous option": (lambda: one(HOURS), {"exogenous": "use"}, "exogenous is 'use': give"),
    "text value": (
        lambda: one(HOURS).assign(y=["1", "2", "x", *"4567890"]),
        {},
        r"column 'y', row 2 .*'x' is not a number \(1 such row\): correct it",
    ),
    "absent id": (
        lambda: one(HOURS).assign(unique_id=["a", None, *"aaaaaaaa"]),
        {},
        r"'unique_id', row 1 .*: no id \(1 such row\): fill or drop",
    ),
    "ids that read alike": (
        lambda: one([1, 1, 2, 2]).assign(unique_id=pd.Series([1, "1", 1, "1"], dtype=object)),
        {},
        "two different ids both read '1'",
    ),
    "absent time": (
        lambda: one([HOURS[0], pd.NaT, HOURS[2]]),
        {},
        r"'ds', row 1 .*: no time \(1 such row\): fill or drop",
    ),
    "text time": (
        lambda: one(["2026-01-01", "soon", "2026-01-03"]),
        {},
        "row 1 .*'soon' is no date like",
    ),
    "no time at all": (
        lambda: one(["x", "y", "z"]),
        {},
        "row 0 .*: 'x' is no date \\(3 such rows\\): correct it",
    ),
    "fractional time": (
        lambda: one([1.0, 1.5, 2.0]),
        {},
        "'ds', row 1 .*: 1.5 is no time.*whole numbers",
    ),
    "boolean time": (lambda: one([True, False]), {}, "'ds' holds Boolean.*give dates"),
    "far time": (lambda: one(["9998-01-01", "9999-01-01"]), {}, "between 1677 and 2262"),
    "mixed zones in text": (
        lambda: one(["2026-01-01T00:00:00+01:00", "2026-01-01T01:00:00+02:00"]),
        {},
        r"mixed time zones.*row 1.*write all stamps in UTC",
    ),
    "zone and none": (
        lambda: one(["2026-01-01T00:00:00Z", "2026-01-01T01:00:00"]),
        {},
        "mixed time zones",
    ),
    "mixed zones in objects": (
        lambda: one(
            pd.Series(
                [pd.Timestamp("2026-01-01", tz="UTC"), pd.Timestamp("2026-01-01", tz="Asia/Tokyo")],
                dtype=object,
            )
        ),
        {},
        "mixed time zones",
    ),
    "infinity": (
        lambda: one(HOURS).assign(y=[0, np.inf, *range(8)]),
        {"missing": "mask"},
        "infinite value inf in series 'a' at 2026-01-01 01:00:00 .*correct it",
    ),
    "duplicate": (
        lambda: one([*HOURS[:3], HOURS[1]]),
        {},
        "series 'a' at 2026-01-01 01:00:00 stands twice .*duplicates to first, last or mean",
    ),
    "duplicates option": (
        lambda: one(HOURS),
        {"duplicates": "drop"},
        "duplicates is 'drop': give one of",
    ),
    "missing value": (
        lambda: one(HOURS).assign(y=[0, np.nan, *range(8)]),
        {},
        r"1 missing value in 1 of 1 series \(first: series 'a' at 2026-01-01 01:.*or mask",
    ),
    "gap": (
        lambda: one(HOURS.delete([4, 5])),
        {},
        r"2 absent rows in 1 gap \(first: 2 after series 'a' at 2026-01-01 03:.*or mask",
    ),
    "missing option": (lambda: one(HOURS), {"missing": "zero"}, "missing is 'zero': give one of"),
    "empty series": (
        lambda: pd.concat([frame(a=[1, 2]), frame(b=[np.nan, np.nan])]),
        {"missing": "mask"},
        "series 'b' has no value at all .*drop it",
    ),
    "stray stamp": (
        lambda: one([pd.Timestamp("1970-01-01"), *HOURS]),
        {"missing": "mask"},
        "absent rows beside 11 present ones.*after series 'a' at 1970-01-01.*correct the stamp",
    ),
    "one row": (lambda: one(HOURS[:1]), {}, "series 'a' has one row.*give longer series"),
    "mixed frequency of series": (
        lambda: pd.concat(
            [
                one(pd.date_range("2026-01-01", periods=30, freq="h")),
                one(pd.date_range("2026-01-01", periods=5, freq="D")).assign(unique_id="b"),
            ]
        ),
        {},
        "mixed frequency: series 'b' at 2026-01-02 .* by 1 D, elsewhere the step is 1 h: resample",
    ),
    "mixed frequency in time": (
        lambda: one(
            [
                *pd.date_range("2026-01-01", periods=24, freq="h"),
                *pd.date_range("2026-01-02", periods=12, freq="D"),
            ]
        ),
        {},
        "mixed frequency: series 'a' at .* by 1 D, elsewhere the step is 1 h: resample",
    ),
    "finer step": (
        lambda: one([*HOURS, HOURS[-1] + pd.Timedelta("20min")]),
        {},
        "mixed frequency: series 'a' at 2026-01-01 09:20:00 follows .* 09:00:00, .*no whole",
    ),
    "irregular": (
        lambda: one(pd.to_datetime([0, 1, 3, 7, 12, 20, 33], unit="s")),
        {},
        "mixed frequency: irregular stamps",
    ),
    "off the calendar": (
        lambda: one(pd.to_datetime(["2026-01-01", "2026-02-01", "2026-03-02"])),
        {"freq": "MS"},
        "series 'a' at 2026-03-02 00:00:00 does not lie on the 'MS' calendar",
    ),
    "unknown freq": (
        lambda: one(HOURS),
        {"freq": "hourly"},
        "freq 'hourly' is not a pandas offset alias",
    ),
    "old freq": (lambda: one(HOURS), {"freq": "H"}, "Did you mean h"),
    "freq without step": (lambda: one(HOURS), {"freq": "0h"}, "freq is '0h': give a positive step"),
    "integer freq of dates": (
        lambda: one(HOURS),
        {"freq": 1},
        "freq is 1 but the time column holds dates",
    ),
    "freq of integers": (
        lambda: one([1, 2]),
        {"freq": "h"},
        "freq is 'h' but .* integers: give freq as",
    ),
    "zero freq": (lambda: one([1, 2]), {"freq": 0}, "freq is 0: give a positive step"),
}


@pytest.mark.parametrize("backend", ["pandas", "polars"])
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_told_in_one_line(case: str, backend: str) -> None:
    make, options, message = BAD[case]
    table = make()
    if backend == "polars" and isinstance(table, pd.DataFrame):
        try:
            table = pl.from_pandas(table)
        except (TypeError, ValueError, pl.exceptions.PolarsError):
            pytest.skip("polars cannot hold such a column")
    if case == "mixed zones in objects" and backend == "polars":
        pytest.skip("polars turns them into one zone")
    with pytest.raises(DataError, match=message) as told:
        Panel.from_frame(table, **options)  # type: ignore[arg-type]
    assert "\n" not in str(told.value)


def test_frames_backed_by_arrow_are_read() -> None:
    zoned = one(HOURS.tz_localize("America/New_York")).convert_dtypes(dtype_backend="pyarrow")
    panel = Panel.from_frame(zoned)
    assert (panel.freq, panel.time_zone) == ("h", "America/New_York")


def test_constant_series_is_no_error() -> None:
    assert list(Panel.from_frame(one(HOURS).assign(y=1.0)).values) == [1.0] * 10


def test_future_times_beyond_the_calendar_are_refused() -> None:
    panel = Panel.from_frame(one(pd.to_datetime(["2260-01-01", "2260-02-01", "2260-03-01"])))
    with pytest.raises(DataError, match="pass the year 2262"):
        panel.future_times(100)


def test_to_native_of_several_columns() -> None:
    panel = Panel.from_frame(frame(a=[1, 2], b=[3, 4]))
    out = panel.to_native([1, 0], panel.future_times(1)[[1, 0], 0], {"EVE": np.array([1.0, 2.0])})
    assert out.columns.tolist() == ["unique_id", "ds", "EVE"]
    assert out["unique_id"].tolist() == ["b", "a"]


def test_real_weather_needs_both_policies(shared_data: Path) -> None:
    weather = pd.read_csv(shared_data / "weather" / "weather.csv.gz", usecols=["date", "T (degC)"])
    weather = weather.rename(columns={"date": "ds", "T (degC)": "y"}).assign(unique_id="T")
    with pytest.raises(DataError, match="2020-05-12 06:00:00 stands twice"):
        Panel.from_frame(weather)
    with pytest.raises(DataError, match="9 absent rows in 1 gap .*2020-05-29 09:30:00"):
        Panel.from_frame(weather, duplicates="first")
    panel = Panel.from_frame(weather, duplicates="first", missing="interpolate")
    assert len(panel.values) == 52_695 + 9
    assert (np.diff(panel.times) == np.timedelta64(10, "m")).all()
