"""Dates as people write them: hours of twelve, short years, quarters, and the order of the day."""

from __future__ import annotations

import pandas as pd
import pytest

from vneuron.forecasting.data.stamps import parse_dates


@pytest.mark.parametrize(
    "form",
    [
        "%m/%d/%Y %I:%M %p", "%d/%m/%Y %I:%M %p", "%m/%d/%Y %I:%M:%S %p", "%d.%m.%Y %I:%M%p",
        "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%y-%m-%d", "%d-%m-%y %H:%M", "%m/%d/%y %I:%M %p",
    ],
)  # fmt: skip
def test_forms_are_read_as_they_were_written(form: str) -> None:
    step = "7h" if "%p" in form or "%H" in form else "D"
    dates = pd.date_range("2025-12-20", periods=60, freq=step)
    found, zone = parse_dates(pd.Series(dates.strftime(form)))
    assert zone is None
    assert (found == dates).all()


def test_hours_of_twelve_without_zeros_and_in_small_letters() -> None:
    texts = pd.Series(["1/30/2026 12:00 am", "1/30/2026 1:00 am", "1/30/2026 12:00 pm"])
    assert parse_dates(texts)[0].hour.tolist() == [0, 1, 12]


@pytest.mark.parametrize("form", ["{}Q{}", "{}-Q{}", "{}q{}"])
def test_a_quarter_is_its_first_day(form: str) -> None:
    texts = [form.format(year, quarter) for year in (2020, 2021) for quarter in (1, 2, 3, 4)]
    assert list(parse_dates(pd.Series(texts))[0]) == list(
        pd.date_range("2020-01-01", periods=8, freq="QS")
    )
    assert parse_dates(pd.Series(["2020Q5"]))[0].isna().all()


@pytest.mark.parametrize("rows", [2, 5, 10, 12])
@pytest.mark.parametrize("form", ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d/%m/%y"])
def test_days_rather_than_months_where_both_orders_are_even(rows: int, form: str) -> None:
    dates = pd.date_range("2026-01-01", periods=rows, freq="D")
    assert (parse_dates(pd.Series(dates.strftime(form)))[0] == dates).all()


def test_months_of_more_than_a_year_stay_months() -> None:
    dates = pd.date_range("2026-01-01", periods=15, freq="MS")
    assert (parse_dates(pd.Series(dates.strftime("%m/%d/%Y")))[0] == dates).all()


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y"])
def test_one_stamp_is_read_by_what_is_expected(form: str) -> None:
    steps = pd.date_range("2026-06-01", periods=9, freq="D")
    found, _ = parse_dates(pd.Series([steps[4].strftime(form)]), expected=steps.as_unit("ns").asi8)
    assert found[0] == steps[4]
