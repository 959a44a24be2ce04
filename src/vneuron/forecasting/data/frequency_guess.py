"""Guesses the frequency from the stamps themselves."""

import numpy as np
import pandas as pd

from .errors import DataError
from .frequency import DAY, Frequency, meant_clock, parse_frequency
from .rows import FlatRows, Ints

__all__ = ["guess_frequency"]

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
SECOND = DAY // 86_400
FIXED_UNITS = (
    ("D", DAY),
    ("h", 3600 * SECOND),
    ("min", 60 * SECOND),
    ("s", SECOND),
    ("ms", SECOND // 1000),
    ("us", SECOND // 1_000_000),
    ("ns", 1),
)


def guess_frequency(rows: FlatRows) -> Frequency:
    """The most common step, read as a calendar step where the stamps keep to one.

    Month, quarter and year starts and ends (also on business days) and business days are
    recognised by their dates, so gaps do not hide them; everything else is the most common
    difference between neighbouring rows.

    Raises:
        DataError: no series has two rows, the stamps are irregular, or series (or parts of one)
            have different frequencies.
    """
    inner = rows.inner
    if not inner.any():
        raise DataError(
            f"series {rows.ids[0]!r} has one row, no frequency can be seen: "
            "give longer series, or freq (and input_size + horizon rows to fit)"
        )
    differences = np.diff(rows.stamps)
    zone = rows.zone if np.median(differences[inner]) > 0.8 * DAY else None
    if zone is not None:
        differences = np.diff(meant_clock(rows, zone))
    step = _most_common(differences[inner])
    if rows.integer_time:
        frequency = Frequency(step, step)
    else:
        local = meant_clock(rows, zone)
        frequency = _calendar(local, inner, zone) or _fixed(step, local, zone)
    if frequency.calendar is None:
        _refuse_mixture(rows, differences, inner, step)
    return frequency


def _most_common(differences: Ints) -> int:
    found, counts = np.unique(differences, return_counts=True)
    return int(found[np.argmax(counts)])


def _fixed(step: int, local: Ints, zone: str | None) -> Frequency:
    if step % (7 * DAY) == 0 and step // (7 * DAY) == 1:
        weekdays = np.unique((local // DAY + 3) % 7)
        if len(weekdays) == 1:
            day = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")[int(weekdays[0])]
            return parse_frequency(f"W-{day}", False, zone)
    unit, length = next(pair for pair in FIXED_UNITS if step % pair[1] == 0)
    count = step // length
    return parse_frequency(unit if count == 1 else f"{count}{unit}", False, zone)


def _calendar(local: Ints, inner: np.ndarray, zone: str | None) -> Frequency | None:
    """A calendar step, where every stamp keeps to one and its time of day is always the same."""
    differences = np.diff(local)[inner]
    if len(np.unique(local % DAY)) != 1 or differences.min() < DAY:
        return None
    days = pd.DatetimeIndex(np.unique(local).view("datetime64[ns]")).normalize()
    if _most_common(differences) == DAY:
        # Five days without a weekend between them may as well be daily.
        business = bool((days.day_of_week < 5).all()) and differences.max() >= 3 * DAY
        return parse_frequency("B", False, zone) if business else None
    if np.median(differences) < 27 * DAY:
        return None
    kind = _edge_of_month(days)
    if kind is None:
        return None
    index = pd.DatetimeIndex(local.view("datetime64[ns]"))
    months = (index.year * 12 + index.month - 1).to_numpy().astype(np.int64)
    count = _most_common(np.diff(months)[inner])
    return parse_frequency(_month_alias(kind, months, count), False, zone)


def _edge_of_month(days: pd.DatetimeIndex) -> str | None:
    """The edge of the month that all days lie on: S(tart), E(nd), or BS, BE on business days."""
    if (days.day == 1).all():
        return "S"
    # is_month_end would answer for business days where pandas has inferred their frequency.
    if ((days + pd.Timedelta(days=1)).day == 1).all():
        return "E"
    month = days.to_period("M")
    first, last = month.start_time, month.end_time.normalize()
    forward = np.where(first.day_of_week > 4, 7 - first.day_of_week, 0)
    if (days == first + pd.to_timedelta(forward, unit="D")).all():
        return "BS"
    backward = np.maximum(last.day_of_week - 4, 0)
    if (days == last - pd.to_timedelta(backward, unit="D")).all():
        return "BE"
    return None


def _month_alias(kind: str, months: Ints, count: int) -> str:
    business, edge = ("B", kind[1]) if len(kind) == 2 else ("", kind)
    phases = np.unique(months % count)
    if count == 12 and len(phases) == 1:
        return f"{business}Y{edge}-{MONTHS[int(phases[0])]}"
    if count == 3 and len(phases) == 1:
        month = MONTHS[int(phases[0])]
        return f"{business}Q{edge}-{'DEC' if edge == 'E' and month == 'MAR' else month}"
    return f"{'' if count == 1 else count}{business}M{edge}"


def _refuse_mixture(rows: FlatRows, differences: Ints, inner: np.ndarray, step: int) -> None:
    """Raises where another frequency than the most common one is at work, rather than gaps."""
    usual = (differences == step) & inner
    if usual.sum() < 0.5 * inner.sum():
        share = 100 * usual.sum() / inner.sum()
        raise DataError(
            f"mixed frequency: irregular stamps, the most common step ({_span(rows, step)}) makes "
            f"up {share:.0f}% of them: resample to a regular frequency, or give freq"
        )
    owners = rows.series[1:]
    steps = np.bincount(owners[inner], minlength=len(rows.ids))
    usual_steps = np.bincount(owners[usual], minlength=len(rows.ids))
    stranger = (steps >= 2) & (usual_steps == 0)
    # Two equal unusual steps in a row are no gap but another rhythm.
    repeated = np.zeros_like(inner)
    repeated[1:] = (differences[1:] == differences[:-1]) & inner[1:] & inner[:-1] & ~usual[1:]
    rhythm = repeated.sum() > 0.1 * inner.sum()
    if not stranger.any() and not rhythm:
        return
    row = int(np.argmax((stranger[owners] & inner) if stranger.any() else repeated)) + 1
    raise DataError(
        f"mixed frequency: {rows.place(row)} follows {rows.stamp(row - 1)} by "
        f"{_span(rows, int(differences[row - 1]))}, elsewhere the step is {_span(rows, step)}: "
        "resample to one frequency, or give freq to treat the rest as gaps"
    )


def _span(rows: FlatRows, step: int) -> str:
    if rows.integer_time:
        return str(step)
    unit, length = next(pair for pair in FIXED_UNITS if step % pair[1] == 0)
    return f"{step // length} {unit}"
