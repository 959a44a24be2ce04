"""Time stamps: text and frames' time columns into integers, and back."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import narwhals as nw
import numpy as np
import pandas as pd
from pandas.tseries.api import guess_datetime_format

from .errors import DataError
from .rows import Ints, counted

__all__ = ["TimeKind", "native_stamps", "parse_dates", "read_dates", "read_stamps"]

# A time of day, then Z or an offset such as +02:00.
OFFSET = r":\d{2}(?:\.\d+)?\s*([zZ]|[+-]\d{2}(?::?\d{2})?)$"

# 31/01/26, with or without a time of day, or any such date with the hours of twelve.
SHORT_DATE = r"\d\d?([/.-])\d\d?\1(\d\d\d\d|\d\d)"
TIME_OF_DAY = r"([ T]+)\d\d?:\d\d(:\d\d)?(\.\d+)?(\s*[ap]m)?"
QUARTER = r"(\d{4})-?[qQ]([1-4])"


@dataclass(frozen=True)
class TimeKind:
    """What the time column held, so that forecasts come back in kind.

    Attributes:
        kind: "datetime", "date" or "integer".
        unit: resolution of a datetime: "s", "ms", "us" or "ns".
        zone: name of the time zone, None for a naive clock.
    """

    kind: str
    unit: Literal["s", "ms", "us", "ns"] = "ns"
    zone: str | None = None


def read_stamps(
    column: nw.Series[Any],
    name: str,
    where: Callable[[int], str] | None = None,
    expected: Ints | None = None,
) -> tuple[Ints, TimeKind]:
    """A time column as UTC nanoseconds (or integers) with the kind to give back.

    Args:
        column: dates, datetimes with or without zone, integers, or text that holds dates.
        name: the column's name, for messages.
        where: names a row in messages.
        expected: stamps that text is likely to hold, UTC nanoseconds, as `parse_dates` takes them.

    Raises:
        DataError: an absent stamp, text that is no date, mixed time zones, dates outside
            1677 to 2262, or a column of another type.
    """
    place = where or (lambda row: f"column {name!r}, row {row} (counted from 0)")
    absent = column.is_null().to_numpy()
    if absent.any():
        raise DataError(
            f"{place(int(np.argmax(absent)))}: no time "
            f"({counted(int(absent.sum()), 'such row')}): fill or drop"
        )
    dtype = column.dtype
    if dtype.is_integer():
        return column.to_numpy().astype(np.int64), TimeKind("integer")
    if dtype.is_float():
        return _whole_numbers(column.to_numpy(), place), TimeKind("integer")
    if isinstance(dtype, nw.Date):
        return _nanoseconds(column.cast(nw.Datetime("us")).to_numpy(), name), TimeKind("date", "us")
    native = column.to_native()
    # Narwhals 2.29 does not know every zone of pandas (America/New_York), so pandas reads its own.
    if column.implementation.is_pandas() and pd.api.types.is_datetime64_any_dtype(native):
        return _pandas_stamps(native, name)
    if isinstance(dtype, nw.Datetime):
        zone = dtype.time_zone
        utc = column if zone is None else column.dt.convert_time_zone("UTC")
        naive = utc if zone is None else utc.dt.replace_time_zone(None)
        kind = TimeKind("datetime", dtype.time_unit, zone)
        return _nanoseconds(naive.to_numpy(), name), kind
    if isinstance(dtype, nw.String | nw.Object | nw.Categorical):
        # Datetime objects become ISO text, so that mixed zones are seen in one place.
        texts = pd.Series([str(item) for item in column.to_list()], dtype="str")
        dates, zone = read_dates(texts, place, expected)
        return _nanoseconds(dates.to_numpy(), name), TimeKind("datetime", "us", zone)
    raise DataError(
        f"column {name!r} holds {dtype if dtype != nw.Unknown else native.dtype}, "
        "not times: give dates, datetimes or integers"
    )


def _pandas_stamps(native: pd.Series[Any], name: str) -> tuple[Ints, TimeKind]:
    index = pd.DatetimeIndex(native)
    zone = None if index.tz is None else str(index.tz)
    if zone is not None:
        try:
            pd.Timestamp(0, tz=zone)
        except (ValueError, KeyError, OSError):
            raise DataError(
                f"the time zone of column {name!r} ({zone}) has no plain name: "
                "use dt.tz_convert with a name such as 'Europe/Berlin'"
            ) from None
        index = index.tz_convert("UTC").tz_localize(None)
    return _nanoseconds(index.to_numpy(), name), TimeKind("datetime", index.unit, zone)


def _whole_numbers(numbers: np.ndarray, place: Callable[[int], str]) -> Ints:
    whole = np.isfinite(numbers) & (numbers == np.rint(numbers)) & (np.abs(numbers) < 2**53)
    if not whole.all():
        row = int(np.argmin(whole))
        raise DataError(
            f"{place(row)}: {numbers[row]} is no time: give dates, or whole numbers as a time index"
        )
    return numbers.astype(np.int64)


def _nanoseconds(stamps: np.ndarray, name: str) -> Ints:
    try:
        return pd.DatetimeIndex(stamps).as_unit("ns").asi8
    except (pd.errors.OutOfBoundsDatetime, OverflowError):
        raise DataError(
            f"column {name!r} reaches from {stamps.min()} to {stamps.max()}: "
            "dates must lie between 1677 and 2262, or use an integer time index"
        ) from None


def read_dates(
    texts: pd.Series[str], place: Callable[[int], str], expected: Ints | None = None
) -> tuple[pd.DatetimeIndex, str | None]:
    """As ``parse_dates``, but a text that is no date is refused.

    Raises:
        DataError: a text that is no date, or mixed time zones.
    """
    dates, zone = parse_dates(texts, place, expected)
    if dates.hasnans:
        bad = np.asarray(dates.isna())
        if bad.all():  # numbers but for a few: these are to be told
            number = pd.to_numeric(texts, errors="coerce").notna().to_numpy()
            bad = ~number if number.mean() > 0.5 and not number.all() else bad
        kind = "date" if dates.notna().any() or bad.all() else "time"
        row = int(np.argmax(bad))
        like = "" if bad.all() else f" like {texts.iloc[int(np.argmin(bad))]!r}"
        raise DataError(
            f"{place(row)}: {texts.iloc[row]!r} is no {kind}{like} "
            f"({counted(int(np.sum(bad)), 'such row')}): correct it, or name another time column"
        )
    return dates, zone


def parse_dates(
    texts: pd.Series[str],
    place: Callable[[int], str] | None = None,
    expected: Ints | None = None,
) -> tuple[pd.DatetimeIndex, str | None]:
    """Dates from text, with one format for the whole column.

    Where day-first and month-first both read every row, the order that gives the more even
    steps is taken; the shorter steps where both are even. A quarter (2020Q1) is its first day,
    and years of two digits run from 1969 to 2068.

    Args:
        texts: [rows] of text.
        place: names a row in messages.
        expected: stamps that the text is likely to hold, UTC nanoseconds: of the orders that
            read as many rows, the one is taken that gives the most of these.

    Returns:
        The dates, in UTC where the text names an offset, NaT where a row cannot be read; and
        the offset ("UTC", "UTC+02:00") or None.

    Raises:
        DataError: rows with different offsets from UTC, or some with and some without.

    Example:
        >>> parse_dates(pd.Series(["12/02/2020", "13/02/2020", "14/02/2020"]))[0].month.tolist()
        [2, 2, 2]
    """
    texts = texts.str.strip()
    zone = _one_offset(texts, place or (lambda row: f"row {row}, counted from 0"))
    texts = texts.str.replace(QUARTER + "$", _first_of_quarter, regex=True)
    likely = pd.DatetimeIndex([] if expected is None else expected.view("datetime64[ns]"))
    best, best_score = pd.DatetimeIndex([pd.NaT] * len(texts)), (-1, 0, -np.inf, -np.inf)
    for date_format in _formats(texts):
        parsed = pd.to_datetime(texts, format=date_format, errors="coerce", utc=zone is not None)
        dates = pd.DatetimeIndex(parsed).tz_localize(None)
        uneven, step = _steps(dates)
        score = (int(np.sum(dates.notna())), int(np.sum(dates.isin(likely))), -uneven, -step)
        if score > best_score:
            best, best_score = dates, score
    return best, zone


def _formats(texts: pd.Series[str]) -> list[str]:
    """Formats that read the first text, month-first before day-first."""
    first = next((text for text in texts if text), "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        guesses = [guess_datetime_format(first, dayfirst=order) for order in (False, True)]
    # A swapped order may only show further down: 01/02/2020 and then 13/02/2020.
    # A date that starts with its year goes on with the month.
    day_first = not re.match(r"\d{4}", first)
    guesses = guesses if day_first else guesses[:1]
    formats = ["ISO8601", *(guess for guess in guesses if guess and "%y" in guess.lower())]
    formats += _short_formats(first)
    formats += [month for month in ("%b %Y", "%B %Y", "%b-%Y", "%b-%y") if _reads(first, month)]
    return list(dict.fromkeys(formats))


def _short_formats(first: str) -> list[str]:
    """Formats of a date with a year of two digits, or with hours of twelve."""
    found = re.fullmatch(f"{SHORT_DATE}(?:{TIME_OF_DAY})?", first, re.IGNORECASE)
    if found is None:
        return []
    mark, year, gap, seconds, fraction, half = found.groups()
    if len(year) == 4 and not half:
        return []  # pandas guesses these
    clock = ""
    if gap:
        clock = f"{gap}{'%I' if half else '%H'}:%M{':%S' if seconds else ''}"
        clock += f"{'.%f' if fraction else ''}{' ' if half and ' ' in half else ''}"
        clock += "%p" if half else ""
    orders = ["%m %d %Y", "%d %m %Y"] if len(year) == 4 else ["%m %d %y", "%d %m %y", "%y %m %d"]
    return [order.replace(" ", mark) + clock for order in orders]


def _first_of_quarter(found: re.Match[str]) -> str:
    return f"{found[1]}-{3 * int(found[2]) - 2:02d}-01"


def _reads(text: str, date_format: str) -> bool:
    return bool(pd.notna(pd.to_datetime(text, format=date_format, errors="coerce")))


def _one_offset(texts: pd.Series[str], place: Callable[[int], str]) -> str | None:
    """The offset from UTC that all texts share."""
    offsets = texts.str.extract(OFFSET, expand=False).str.upper().fillna("")
    found = offsets.unique()
    if len(found) > 1:
        row = int(np.argmax((offsets != offsets.iloc[0]).to_numpy()))
        raise DataError(
            f"mixed time zones: {texts.iloc[0]!r} and {texts.iloc[row]!r} ({place(row)}) have "
            "different offsets from UTC: write all stamps in UTC, or in one time zone"
        )
    if len(found) == 0 or not found[0]:
        return None
    digits = str(found[0]).replace(":", "")
    if digits == "Z" or digits[1:] in ("00", "0000"):
        return "UTC"
    return f"UTC{digits[:3]}:{digits[3:] or '00'}"


def _steps(dates: pd.DatetimeIndex) -> tuple[float, float]:
    """Largest over median step, 1 where all are equal; and the median, in the dates' unit."""
    steps = np.diff(np.unique(dates[dates.notna()].asi8)).astype(float)
    if not len(steps):
        return 1.0, 0.0
    return float(steps.max() / np.median(steps)), float(np.median(steps))


def native_stamps(times: np.ndarray, kind: TimeKind, backend: str) -> Any:
    """Times in UTC (or integers) as a pandas or polars series of the kind that was read.

    A date column comes back as dates; pandas, which has no dates, as it came.
    """
    if kind.kind == "integer":
        return _polars_series(times) if backend == "polars" else pd.Series(times)
    if backend == "polars":
        import polars as pl

        stamps = _polars_series(times)
        if kind.kind == "date":
            return stamps.cast(pl.Date)
        stamps = stamps.cast(pl.Datetime("ms" if kind.unit == "s" else kind.unit))
        if kind.zone is None:
            return stamps
        # Polars knows places, not plain offsets such as UTC+02:00, which only text can bring here.
        zone = "UTC" if kind.zone.startswith("UTC") else kind.zone
        return stamps.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    index = pd.DatetimeIndex(times).as_unit(kind.unit)
    return pd.Series(index if kind.zone is None else index.tz_localize("UTC").tz_convert(kind.zone))


def _polars_series(times: np.ndarray) -> Any:
    import polars as pl

    return pl.Series("ds", times)
