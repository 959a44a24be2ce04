"""Files: long or wide, what is guessed, and what is refused with its line and column."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vneuron.forecasting.data.errors import DataError
from vneuron.forecasting.data.tables import read_table

WIDE = "date,a,b\n" + "".join(f"2026-01-{day:02d},{day},{day * 10}\n" for day in range(1, 11))
LONG = "unique_id,ds,y\n" + "".join(
    f"{name},2026-01-{day:02d},{day}\n" for name in ("b", "a") for day in range(1, 6)
)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def _write(text: str, name: str = "data.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        raw = text.encode(encoding)
        path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return path

    return _write


Write = Callable[..., Path]


class TestWide:
    def test_guesses_are_told(self, write: Write) -> None:
        table = read_table(write(WIDE))
        assert (table.kind, table.time_col, table.target, table.freq) == (
            "wide",
            "date",
            ("a", "b"),
            "D",
        )
        assert table.guesses == (
            "wide file: times in 'date' (guessed)",
            "2 series: 'a', 'b'",
            "frequency D (guessed), 10 rows a series, "
            "from 2026-01-01 00:00:00 to 2026-01-10 00:00:00",
        )
        assert table.frame.columns.tolist() == ["unique_id", "ds", "y"]
        assert table.frame.query("unique_id == 'b'")["y"].tolist() == [
            10.0 * d for d in range(1, 11)
        ]

    @pytest.mark.parametrize("name", ["data.csv.gz", "data.txt", "DATA.CSV"])
    def test_endings(self, write: Write, name: str) -> None:
        assert len(read_table(write(WIDE, name)).panel) == 2

    def test_tabs_and_other_delimiters(self, write: Write) -> None:
        assert len(read_table(write(WIDE.replace(",", "\t"), "data.tsv")).panel) == 2
        assert len(read_table(write(WIDE.replace(",", ";")), delimiter=";").panel) == 2
        assert len(read_table(write(WIDE.replace(",", "\t")), delimiter="tab").panel) == 2

    def test_parquet(self, tmp_path: Path) -> None:
        frame = pd.DataFrame({"when": pd.date_range("2026", periods=5, freq="MS"), "a": range(5)})
        frame.to_parquet(tmp_path / "plain.parquet")
        frame.set_index("when").to_parquet(tmp_path / "indexed.parquet")
        for name in ("plain.parquet", "indexed.parquet"):
            table = read_table(tmp_path / name)
            assert (table.time_col, table.target, table.freq) == ("when", ("a",), "MS")

    def test_target_picks_columns(self, write: Write) -> None:
        text = WIDE.replace("date,a,b", "date,a,b,note").replace("\n2026", ",x\n2026")
        table = read_table(write(text.replace(",a,b,note,x", ",a,b,note")), target="b")
        assert table.target == ("b",)
        assert "columns 'a', 'note' are not used" in table.guesses
        assert read_table(write(WIDE), target=["b", "a"]).panel.ids == ("b", "a")

    @pytest.mark.parametrize(
        ("first", "second", "freq"),
        [
            ("2026-01-01T00:00Z", "2026-01-01T00:30Z", "30min"),
            ("1990/1/1 0:00", "1990/1/2 0:00", "D"),
            ("30.01.2026", "31.01.2026", "D"),
            ("01/30/2026", "01/31/2026", "D"),
            ("Jan 2026", "Feb 2026", "MS"),
            ("2026-01", "2026-02", "MS"),
            ("20260130", "20260131", "D"),
            ("2025", "2026", 1),
        ],
    )
    def test_formats_of_time(self, write: Write, first: str, second: str, freq: str | int) -> None:
        table = read_table(write(f"date,a\n{first},1\n{second},2\n"))
        assert (table.time_col, table.freq) == ("date", freq)

    def test_order_of_day_and_month_is_the_even_one(self, write: Write) -> None:
        months = "".join(
            f"01/{month:02d}/{year},1\n" for year in (2024, 2025) for month in range(1, 13)
        )
        table = read_table(write("date,a\n" + months))
        assert table.freq == "MS"

    def test_a_later_row_settles_the_order(self, write: Write) -> None:
        days = "".join(f"{day:02d}/02/2026,1\n" for day in range(1, 20))
        table = read_table(write("date,a\n" + days))
        assert table.freq == "D"
        assert str(table.panel.times[0]).startswith("2026-02-01")

    def test_time_column_by_content(self, write: Write) -> None:
        table = read_table(write("a,observed at\n1,2026-01-01\n2,2026-01-02\n"))
        assert (table.time_col, table.target) == ("observed at", ("a",))

    def test_numbers_that_read_as_years_are_a_series(self, write: Write) -> None:
        rows = "".join(f"{2000 + day},2026-01-{day:02d}\n" for day in range(1, 9))
        with pytest.raises(DataError, match="line 10, column 'load': 'x' is not a number"):
            read_table(write("load,Datum\n" + rows + "x,2026-01-09\n"))

    def test_named_integer_time_column(self, write: Write) -> None:
        table = read_table(write("k,a\n0,1\n5,2\n10,3\n"), time_col="k")
        assert (table.freq, table.target) == (5, ("a",))
        assert read_table(write("step,a\n0,1\n1,2\n")).time_col == "step"

    def test_rows_are_numbered_without_a_time_column(self, write: Write) -> None:
        table = read_table(write("x,z\n1,2\n3,4\n5,6\n"))
        assert (table.time_col, table.freq, table.target) == (None, 1, ("x", "z"))
        assert table.guesses[0] == "wide file without a time column: rows are numbered from 0"

    def test_index_that_pandas_wrote_is_left_aside(self, tmp_path: Path) -> None:
        days = pd.date_range("2026", periods=4)
        pd.DataFrame({"date": days, "a": 1.5}).to_csv(tmp_path / "counter.csv")
        assert read_table(tmp_path / "counter.csv").target == ("a",)
        pd.DataFrame({"a": 1.5}, index=days).to_csv(tmp_path / "dates.csv")
        assert read_table(tmp_path / "dates.csv").time_col == "Unnamed: 0"

    def test_byte_order_mark_blank_lines_and_spaces(self, write: Write) -> None:
        text = "﻿date, a , b\n\n" + WIDE.split("\n", 1)[1] + "\n\n"
        assert read_table(write(text)).target == ("a", "b")

    def test_policies_reach_the_panel(self, write: Write) -> None:
        text = WIDE.replace("2026-01-04,4,40\n", "").replace("2026-01-06,6,60", "2026-01-06,,60")
        table = read_table(write(text), missing="interpolate")
        assert table.frame["y"].tolist() == [*range(1, 11), *range(10, 101, 10)]
        assert table.notes[-1] == "filled 3 missing values by linear interpolation"
        twice = WIDE + "2026-01-10,12,1\n"
        assert read_table(write(twice), duplicates="mean").frame["y"][9] == 11


class TestLong:
    def test_long_file(self, write: Write) -> None:
        table = read_table(write(LONG))
        assert (table.kind, table.time_col, table.target) == ("long", "ds", ("y",))
        assert table.panel.ids == ("b", "a")
        assert table.guesses[0] == "long file: 2 series, times in 'ds', values in 'y'"

    def test_ids_keep_their_zeros(self, write: Write) -> None:
        table = read_table(write("unique_id,ds,y\n007,1,1\n007,2,2\nNA,1,1\nNA,2,2\n"))
        assert table.panel.ids == ("007", "NA")

    def test_other_names(self, write: Write) -> None:
        text = LONG.replace("ds,y", "when,sales")
        table = read_table(write(text), time_col="when", target="sales")
        assert (table.kind, table.target, len(table.panel)) == ("long", ("sales",), 2)

    def test_exogenous(self, write: Write) -> None:
        text = LONG.replace("ds,y", "ds,y,price").replace("\na", ",1\na").replace("\nb", ",1\nb")
        path = write(text.replace("price,1", "price").rstrip("\n") + ",1\n")
        with pytest.raises(DataError, match="exogenous columns 'price'.*set exogenous to ignore"):
            read_table(path)
        assert "columns 'price' ignored" in read_table(path, exogenous="ignore").guesses

    def test_ids_under_another_name(self, write: Write) -> None:
        text = LONG.replace("unique_id,ds,y", "shop,ds,y")
        same = read_table(write(LONG)).frame
        table = read_table(write(text), id_col="shop")
        assert (table.kind, table.id_col) == ("long", "shop")
        pd.testing.assert_frame_equal(table.frame, same)
        assert "ids in 'shop'" in table.guesses[0]

    def test_all_other_names_are_found(self, write: Write) -> None:
        text = LONG.replace("unique_id,ds,y", "shop,day,sales")
        table = read_table(write(text), id_col="shop")
        assert (table.time_col, table.target) == ("day", ("sales",))
        assert len(table.panel) == 2

    def test_named_ids_keep_their_zeros(self, write: Write) -> None:
        text = "shop,ds,y\n007,1,1\n007,2,2\nNA,1,1\nNA,2,2\n"
        assert read_table(write(text), id_col="shop").panel.ids == ("007", "NA")

    def test_numbers_as_ids_of_a_parquet_file(self, tmp_path: Path) -> None:
        frame = pd.DataFrame({"shop": [2, 2, 1, 1], "ds": [0, 1, 0, 1], "y": [1.0, 2, 3, 4]})
        frame.to_parquet(tmp_path / "a.parquet")
        found = read_table(tmp_path / "a.parquet", id_col="shop").frame
        assert found["unique_id"].tolist() == [2, 2, 1, 1]

    def test_unique_id_beside_named_ids_is_a_further_column(self, write: Write) -> None:
        path = write("unique_id,shop,ds,y\n1,a,0,1\n2,a,1,2\n3,b,0,3\n4,b,1,4\n")
        with pytest.raises(DataError, match="exogenous columns 'unique_id'"):
            read_table(path, id_col="shop")
        assert read_table(path, id_col="shop", exogenous="ignore").panel.ids == ("a", "b")

    def test_ds_and_y_alone_are_wide(self, write: Write) -> None:
        table = read_table(write("ds,y\n2026-01-01,1\n2026-01-02,2\n"))
        assert (table.kind, table.panel.ids) == ("wide", ("y",))


BAD: dict[str, tuple[str, dict[str, object], str]] = {
    "no such ids": (LONG, {"id_col": "shop"}, "id_col: no column 'shop' in the file"),
    "ids are the values": (LONG, {"id_col": "y", "target": "y"}, "id_col names 'y', as time_col"),
    "no values beside ids": ("a,ds\nu,1\nu,2\n", {"id_col": "a"}, "no column 'y' of values; nor"),
    "several values": (
        "a,ds,p,q\nu,1,1,1\nu,2,2,2\n",
        {"id_col": "a"},
        "no column 'y' of values; it has 'p', 'q': name it with target",
    ),
    "no times beside ids": ("a,y\nu,1.5\nu,2.5\n", {"id_col": "a"}, "no column of times beside"),
    "an id that is absent": ("a,ds,y\nu,1,1\n,2,2\n", {"id_col": "a"}, "line 3, column 'a': no id"),
    "empty": ("", {}, "the file is empty"),
    "blank": ("\n\n", {}, "the file is empty"),
    "header only": ("date,a\n", {}, "a header but no rows"),
    "semicolons": (
        WIDE.replace(",", ";"),
        {},
        "'date;a;b' is one column, split by a semicolon rather than .*: set delimiter to ';'",
    ),
    "tabs": (WIDE.replace(",", "\t"), {}, "split by a tab"),
    "no delimiter": (WIDE, {"delimiter": ", "}, "delimiter is ', ': give one character, or tab"),
    "commas as semicolons": (WIDE, {"delimiter": ";"}, "split by a comma rather than a semicolon"),
    "unknown target": (WIDE, {"target": "aa"}, "target: no column 'aa' in the file; nearest: 'a'"),
    "unknown time": (WIDE, {"time_col": "Date"}, "no column 'Date' .* nearest: 'date'"),
    "time as target": (WIDE, {"target": ["date"]}, "target names the time column 'date'"),
    "text among numbers": (
        WIDE.replace("2026-01-07,7,", "2026-01-07,n.d.,"),
        {},
        r"line 8, column 'a': 'n.d.' is not a number \(1 such cell\)",
    ),
    "text after blank and quoted lines": (
        'date,a,"b\nb"\n\n2026-01-01,1,1\n\n2026-01-02,x,2\n2026-01-03,3,3\n',
        {},
        "line 6, column 'a': 'x' is not a number",
    ),
    "words": (
        WIDE.replace("date,a,b", "date,a,b,c").replace("0\n", "0,word\n"),
        {},
        "columns 'c' hold text or true/false, not numbers .line 2, column 'c': 'word'.: "
        "drop them, or name .* target",
    ),
    "truth": ("date,a\n2026-01-01,True\n2026-01-02,False\n", {}, "'a' hold text or true/false"),
    "no numbers": ("date\n2026-01-01\n2026-01-02\n", {}, "no column of numbers beside"),
    "bad date": (
        WIDE.replace("2026-01-07", "2026-01-77"),
        {},
        r"line 8, column 'date': '2026-01-77' is no date like '2026-01-01' \(1 ",
    ),
    "empty date": (WIDE.replace("2026-01-07", ""), {}, "line 8, column 'date': '' is no date"),
    "footer": (WIDE + "Total,55,550\n", {}, "line 12, column 'date': 'Total' is no date"),
    "numbers as time": ("date,a\n0.5,1\n1.7,2\n", {"time_col": "date"}, "line 2, .*: 0.5 is"),
    "zones": (
        "date,a\n2026-01-01T00:00+01:00,1\n2026-01-01T01:00+02:00,2\n",
        {},
        "mixed time zones.*line 3, column 'date'.*write all stamps in UTC",
    ),
    "too many fields": (
        WIDE.replace("2026-01-07,7,", "2026-01-07,7,7,"),
        {},
        "line 8 has 4 fields where the header has 3",
    ),
    "too many fields at once": ("date,a\n2026-01-01,1,2\n", {}, "line 2 has 3 fields where"),
    "open quote": ('date,a\n2026-01-01,"1\n2026-01-02,2\n', {}, "not readable as CSV"),
    "no header": (WIDE.split("\n", 1)[1], {}, "holds dates, not column names: add a header line"),
    "repeated names": (WIDE.replace("a,b", "a,a"), {}, "columns 'a' are named twice"),
    "duplicate stamp": (
        WIDE + "2026-01-03,1,1\n",
        {},
        "series 'a' at 2026-01-03 00:00:00 stands twice .*set duplicates to first",
    ),
    "missing value": (
        WIDE.replace("-07,7,", "-07,,"),
        {},
        r"1 missing value in 1 of 2 series \(first: series 'a' at 2026-01-07 00:00:00\)",
    ),
    "gap": (WIDE.replace("2026-01-07,7,70\n", ""), {}, "2 absent rows .*'a' at 2026-01-06"),
    "infinity": (WIDE.replace("-07,7,", "-07,inf,"), {}, "infinite value inf in series 'a' at"),
    "one row": ("date,a\n2026-01-01,1\n", {}, "series 'a' has one row"),
    "mixed frequency": (
        WIDE.replace("2026-01-10", "2026-01-09 12:00:00").replace(",100", ",1"),
        {"freq": "D"},
        "mixed frequency|is no date like",
    ),
    "no id": ("unique_id,ds,y\na,1,1\n,2,1\n", {}, "line 3, column 'unique_id': no id"),
    "long text": ("unique_id,ds,y\na,1,1\na,2,one\n", {}, "line 3, column 'y': 'one' is"),
    "two targets": (LONG, {"target": ["y", "ds"]}, "in a long file: give one value column"),
    "empty column": (
        WIDE.replace("date,a,b", "date,a,b,c").replace("0\n", "0,\n"),
        {"missing": "mask"},
        "series 'c' has no value at all",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_told_in_one_line(case: str, write: Write) -> None:
    text, options, message = BAD[case]
    path = write(text)
    with pytest.raises(DataError, match=message) as told:
        read_table(path, **options)  # type: ignore[arg-type]
    assert str(told.value).startswith(f"{path}: ")
    assert "\n" not in str(told.value)


def test_files_that_cannot_be_opened(tmp_path: Path, write: Write) -> None:
    with pytest.raises(DataError, match="absent.csv: no such file"):
        read_table(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path)
    with pytest.raises(DataError, match="files of kind '.xlsx' are not read"):
        read_table(write(WIDE, "data.xlsx"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_table(write("date,W/m²\n2026-01-01,1\n", encoding="latin-1"))
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_table(write(WIDE, "data.parquet"))
    (tmp_path / "plain.csv.gz").write_text(WIDE)
    with pytest.raises(DataError, match="damaged gzip file"):
        read_table(tmp_path / "plain.csv.gz")
    whole = gzip.compress(WIDE.encode())
    (tmp_path / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged gzip file"):
        read_table(tmp_path / "cut.csv.gz")


def test_parquet_rows_are_named_by_number(tmp_path: Path) -> None:
    pd.DataFrame({"ds": ["2026-01-01", "2026-01-02"], "y": ["1", "x"]}).to_parquet(
        tmp_path / "d.pq"
    )
    with pytest.raises(DataError, match="row 2, column 'y': 'x' is not a number"):
        read_table(tmp_path / "d.pq")


@pytest.mark.parametrize(
    ("file", "options", "freq", "shape"),
    [
        ("ett/ETTh1.csv.gz", {}, "h", (7, 17_420)),
        ("exchange_rate/exchange_rate.csv.gz", {}, "D", (8, 7588)),
        ("illness/national_illness.csv.gz", {}, "W-TUE", (7, 966)),
        ("ecl_subset/electricity_0_OT.csv.gz", {}, "h", (2, 26_304)),
        ("los_speed/los_speed.csv.gz", {}, 1, (207, 2016)),
        ("vic_electricity/vic_electricity.csv.gz", {"target": "Demand"}, "30min", (1, 52_608)),
        (
            "weather/weather.csv.gz",
            {"duplicates": "first", "missing": "interpolate"},
            "10min",
            (21, 52_704),
        ),
    ],
)
def test_real_files(
    shared_data: Path,
    file: str,
    options: dict[str, object],
    freq: str | int,
    shape: tuple[int, int],
) -> None:
    table = read_table(shared_data / file, **options)  # type: ignore[arg-type]
    assert table.freq == freq
    assert (len(table.panel), int(table.panel.lengths[0])) == shape
    assert np.isfinite(table.panel.values).all()


def test_real_files_with_faults(shared_data: Path) -> None:
    with pytest.raises(DataError, match="2020-05-12 06:00:00 stands twice .*duplicates"):
        read_table(shared_data / "weather" / "weather.csv.gz")
    with pytest.raises(DataError, match="'Date', 'Holiday' hold text or true/false"):
        read_table(shared_data / "vic_electricity" / "vic_electricity.csv.gz")


class TestTimeNames:
    """A column that is called like a time is the time, or the file is refused."""

    @pytest.mark.parametrize("name", ["ds", "Date", "year", "step"])
    def test_whole_floats_are_times(self, write: Write, name: str) -> None:
        text = f"{name},a\n" + "".join(f"{1960 + at}.0,{at}.5\n" for at in range(9))
        table = read_table(write(text))
        assert (table.time_col, table.target) == (name, ("a",))
        assert table.frame["ds"].tolist() == list(range(1960, 1969))

    def test_days_as_floats(self, write: Write) -> None:
        table = read_table(write("date,a\n20260130.0,1\n20260131.0,2\n20260201.0,4\n"))
        assert table.freq == "D"

    def test_an_empty_cell_is_named(self, write: Write) -> None:
        with pytest.raises(DataError, match=r"line 5, column 'year': no time .*fill or drop"):
            read_table(write("year,a\n1960,1\n1961,2\n1962,3\n,\n"))

    @pytest.mark.parametrize("value", ["xx", "0.5"])
    def test_what_cannot_be_read_is_no_series(self, write: Write, value: str) -> None:
        text = "date,a\n" + "".join(f"{value},{at}\n" for at in range(6))
        path = write(text)
        with pytest.raises(DataError, match=rf"line 2, column 'date': '?{value}'? is no "):
            read_table(path)
        if value == "0.5":
            assert read_table(path, target="date").panel.ids == ("date",)

    def test_the_one_that_is_no_number_is_told(self, write: Write) -> None:
        with pytest.raises(DataError, match=r"line 3, column 't': 'x' is no time like '1' \(1 "):
            read_table(write("t,a\n1,1\nx,2\n3,3\n4,3\n"))

    def test_a_number_is_told_how_to_be_a_series(self, write: Write) -> None:
        path = write("t,a\n21.5,1\n21.4,2\n")
        with pytest.raises(DataError, match="21.5 is no time: .*; if 't' is a series, name it in"):
            read_table(path)
        assert read_table(path, target=["t", "a"]).panel.ids == ("t", "a")

    def test_nor_is_a_second_time(self, write: Write) -> None:
        text = "date,timestamp,a\n" + "".join(f"2026-01-0{d},{d},{d}\n" for d in range(1, 8))
        with pytest.raises(DataError, match="'timestamp' have names of times"):
            read_table(write(text))
        assert read_table(write(text), target="a").time_col == "date"


def test_a_target_given_twice_is_refused(write: Write) -> None:
    with pytest.raises(DataError, match="target names 'a' twice"):
        read_table(write(WIDE), target=["a", "b", "a"])


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("1,50", "decimal comma: write numbers with a point, as 1.50$"),
        ("-1.234,50", "decimal comma: write numbers with a point, as -1234.50$"),
        ("1,234", "thousands separator: write 1.234 or 1234$"),
        ("1.234.567", "without thousands separators.* as 1234567$"),
        ("12.05.26", "empty and set missing$|drop them, or name"),
        ("1,234.5", "without thousands separators.* as 1234.5$"),
        ("1,234,567", "without thousands separators.* as 1234567$"),
        ("12%", "without .*per cent.* as 12$"),
        ("€ 5.20", "without .*currency signs, as 5.20$"),
        ("5.20 EUR", "without .*currency signs, as 5.20$"),
    ],
)
@pytest.mark.parametrize("others", ["text", "numbers"])
def test_numbers_in_other_dress(write: Write, text: str, cure: str, others: str) -> None:
    """Whether all cells are so or one among numbers, the first is shown, and how to write it."""
    cells = [text if others == "text" or day == 3 else str(day) for day in range(1, 9)]
    lines = "".join(f'2026-01-0{day},"{cell}"\n' for day, cell in enumerate(cells, 1))
    line = 2 if others == "text" else 4
    with pytest.raises(DataError, match=cure) as told:
        read_table(write("date,a\n" + lines))
    assert f"line {line}, column 'a': {text!r}" in str(told.value)


class TestMonths:
    """Integers YYYYMM."""

    def test_are_months(self, write: Write) -> None:
        months = pd.date_range("2019-10-01", periods=30, freq="MS")
        lines = "".join(f"{month:%Y%m},1\n" for month in months)
        table = read_table(write("period,a\n" + lines))
        assert table.freq == "MS"
        assert table.frame["ds"].tolist() == months.tolist()
        long = read_table(
            write("unique_id,ds,y\n" + "".join(f"a,{month:%Y%m},1\n" for month in months))
        )
        assert long.freq == "MS"

    def test_in_a_column_of_that_name(self, write: Write) -> None:
        lines = "".join(f"{month},1\n" for month in range(202001, 202010))
        assert read_table(write("month,a\n" + lines)).time_col == "month"
        lines = "".join(f"2020-0{month}-01,{month},1\n" for month in range(1, 10))
        assert read_table(write("date,month,a\n" + lines)).target == ("month", "a")

    def test_but_not_where_one_is_none(self, write: Write) -> None:
        lines = "".join(f"{step},1\n" for step in range(202001, 202020))
        assert read_table(write("step,a\n" + lines)).freq == 1
