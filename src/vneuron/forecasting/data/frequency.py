"""A regular step of time: fixed, or of the calendar."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from .errors import DataError
from .rows import FlatRows, Ints, counted

__all__ = [
    "DAY",
    "Frequency",
    "Ruler",
    "check_regular",
    "meant_clock",
    "parse_frequency",
    "wall_clock",
]

DAY = 86_400_000_000_000  # nanoseconds
OFF_GRID = np.iinfo(np.int64).min
LARGEST = int(np.iinfo(np.int64).max)


@dataclass(frozen=True)
class Frequency:
    """The step between two rows.

    Attributes:
        alias: a pandas offset alias ("h", "10min", "MS", "B"), or an integer step.
        step: ordinals from one row to the next. An ordinal is a nanosecond, an integer of the
            time index, or (with ``calendar``) one step of that calendar.
        calendar: alias of one calendar step ("MS", "QS-JAN", "B"); None where the step is fixed.
        zone: time zone in whose wall clock the step is regular. Steps of a day and more follow
            the wall clock, so that a day of 23 hours is one day; shorter ones run in UTC.
    """

    alias: str | int
    step: int
    calendar: str | None = None
    zone: str | None = None

    def ruler(self, local: Ints, beyond: int = 0) -> "Ruler":
        """The ruler that covers these readings of the clock and ``beyond`` more rows."""
        if self.calendar is None or len(local) == 0:
            return Ruler(self, None)
        lowest, highest = pd.Timestamp(int(local.min())), pd.Timestamp(int(local.max()))
        points = pd.date_range(lowest, highest, freq=self.calendar, unit="ns")
        if beyond:
            last = points[-1] if len(points) else highest
            more = pd.date_range(
                last, periods=beyond * self.step + 1, freq=self.calendar, unit="ns"
            )
            points = points.union(more)
        return Ruler(self, points.as_unit("ns").asi8)

    def following(self, last: Ints, steps: int, before: Ints | None = None) -> Ints:
        """The next stamps after each of ``last``, [series, steps].

        Args:
            last: [series].
            steps: how many.
            before: [series] stamps of the rows before the last, which tell the time of day
                where the clock skipped that of the last.

        Raises:
            DataError: where they pass the year 2262, the end of nanosecond time, or the largest
                integer.
        """
        try:
            local = _meant_clock(last, last if before is None else before, self.zone)
            ruler = self.ruler(local, beyond=steps)
            ordinals = ruler.ordinals(local)
            # In numbers of any length: those of an array would begin again at the other end.
            if len(last) and int(ordinals.max()) + steps * self.step > LARGEST:
                raise OverflowError
            ahead = np.arange(1, steps + 1, dtype=np.int64) * self.step
            return ruler.stamps(ordinals[:, None] + ahead)
        except (pd.errors.OutOfBoundsDatetime, OverflowError):
            raise DataError(self._past_the_end(int(last.max()), steps)) from None

    def _past_the_end(self, last: int, steps: int) -> str:
        if isinstance(self.alias, int):
            return (
                f"{steps} steps of {self.alias} after {last} pass {LARGEST}, the largest integer: "
                "count time from a later origin"
            )
        return (
            f"{steps} steps of {self.alias} after {pd.Timestamp(last)} pass the year 2262 (dates "
            f"end at {pd.Timestamp.max:%Y-%m-%d}): correct the stamps, or use an integer time index"
        )


@dataclass(frozen=True)
class Ruler:
    """Counts in steps: reading of the clock -> ordinal -> stamp."""

    frequency: Frequency
    points: Ints | None

    def ordinals(self, local: Ints) -> Ints:
        """Ordinals of readings of the clock; ``OFF_GRID`` where the calendar lacks one."""
        if self.points is None:
            return local
        if len(self.points) == 0:
            return np.full(local.shape, OFF_GRID)
        found = np.minimum(np.searchsorted(self.points, local), len(self.points) - 1)
        return np.where(self.points[found] == local, found, OFF_GRID)

    def stamps(self, ordinals: Ints) -> Ints:
        """Stamps of the ordinals."""
        local = ordinals if self.points is None else self.points[ordinals]
        return _from_wall_clock(local, self.frequency.zone)


def wall_clock(stamps: Ints, zone: str | None) -> Ints:
    """UTC nanoseconds as the nanoseconds that a clock in ``zone`` shows; unchanged without zone."""
    if zone is None:
        return stamps
    index = pd.DatetimeIndex(stamps.ravel().view("datetime64[ns]"), tz="UTC")
    return index.tz_convert(zone).tz_localize(None).as_unit("ns").asi8.reshape(stamps.shape)


def meant_clock(rows: FlatRows, zone: str | None) -> Ints:
    """As ``wall_clock`` of the rows, but a time that the clock skips is read as it was meant.

    Where the clock goes forward at midnight that day begins at 01:00; in a series of midnights
    its row counts as midnight.
    """
    near = np.arange(len(rows.stamps))
    near[1:] -= rows.inner  # the first row of a series is told by its second
    first = rows.offsets[:-1][rows.lengths > 1]
    near[first] = first + 1
    return _meant_clock(rows.stamps, rows.stamps[near], zone)


def _meant_clock(stamps: Ints, near: Ints, zone: str | None) -> Ints:
    """Readings of the clock, that of a neighbour's time of day where the clock skipped it."""
    local = wall_clock(stamps, zone)
    if zone is None:
        return local
    before = wall_clock(stamps - 1, zone)
    meant = local - local % DAY + wall_clock(near, zone) % DAY
    return np.where((before < meant) & (meant < local), meant, local)


def _from_wall_clock(local: Ints, zone: str | None) -> Ints:
    if zone is None:
        return local
    index = pd.DatetimeIndex(local.ravel().view("datetime64[ns]"))
    # An hour that the clock shows twice is taken the first time; one that it skips moves forward.
    first = np.ones(len(index), dtype=bool)
    zoned = index.tz_localize(zone, ambiguous=first, nonexistent="shift_forward")
    return zoned.tz_convert("UTC").as_unit("ns").asi8.reshape(local.shape)


def parse_frequency(freq: str | int, integer_time: bool, zone: str | None) -> Frequency:
    """The frequency that a user names.

    Args:
        freq: pandas offset alias for dates, positive integer for an integer time index.
        integer_time: whether the time index holds integers.
        zone: time zone of the stamps, None for a naive clock.

    Raises:
        DataError: an unknown alias, a step that is not positive, or one that does not fit the
            time index.

    Example:
        >>> parse_frequency("2h", integer_time=False, zone=None).step // 3_600_000_000_000
        2
    """
    if integer_time and isinstance(freq, str) and freq.strip().isdigit():
        freq = int(freq)
    if integer_time != isinstance(freq, int):
        held = "integers" if integer_time else "dates"
        wanted = (
            "an integer step such as 1" if integer_time else "a pandas alias such as h, D or MS"
        )
        raise DataError(f"freq is {freq!r} but the time column holds {held}: give freq as {wanted}")
    if isinstance(freq, int):
        if freq < 1:
            raise DataError(f"freq is {freq}: give a positive step")
        return Frequency(freq, freq)
    try:
        offset = to_offset(freq)
    except ValueError as error:
        hint = re.search(r"Did you mean \w+\?|Please use '\w+' instead", str(error))
        raise DataError(
            f"freq {freq!r} is not a pandas offset alias: "
            f"{hint[0] if hint else 'give for example min, h, D, W, MS, QS, YS or B'}"
        ) from None
    if offset.n < 1:
        raise DataError(f"freq is {freq!r}: give a positive step such as h, D or MS")
    return _from_offset(offset, zone)


def _from_offset(offset: pd.offsets.BaseOffset, zone: str | None) -> Frequency:
    # A week is seven days from whichever weekday the data starts on.
    days = {pd.offsets.Day: 1, pd.offsets.Week: 7}.get(type(offset))
    if days is None and not isinstance(offset, pd.offsets.Tick):
        return Frequency(offset.freqstr, offset.n, offset.base.freqstr, zone)
    step = offset.n * days * DAY if days else offset.nanos
    return Frequency(offset.freqstr, step, None, zone if step % DAY == 0 else None)


def check_regular(rows: FlatRows, frequency: Frequency) -> Ints:
    """Ordinals of all rows.

    Raises:
        DataError: a stamp that the frequency does not reach from the series' first one.
    """
    local = meant_clock(rows, frequency.zone)
    ordinals = frequency.ruler(local).ordinals(local)
    off = ordinals == OFF_GRID
    if off.any():
        row = int(np.argmax(off))
        raise DataError(
            f"mixed frequency: {rows.place(row)} does not lie on the {frequency.alias!r} calendar "
            f"({counted(int(off.sum()), 'such row')}): give another freq or correct the stamps"
        )
    broken = (np.diff(ordinals) % frequency.step != 0) & rows.inner
    if broken.any():
        row = int(np.argmax(broken)) + 1
        raise DataError(
            f"mixed frequency: {rows.place(row)} follows {rows.stamp(row - 1)}, which is no whole "
            f"number of steps of {frequency.alias!r} ({counted(int(broken.sum()), 'such place')}): "
            "give another freq, or resample to one frequency"
        )
    return ordinals
