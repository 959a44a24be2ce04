"""Frequencies: guessed from the stamps, counted over calendars, zones and clock changes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vneuron.forecasting.data.frame import DataError, Panel

ALIASES = [
    "s", "250ms", "10min", "h", "6h", "36h", "D", "2D", "W-WED", "B",
    "MS", "ME", "2MS", "BMS", "BME", "QS-JAN", "QS-FEB", "QE-DEC", "QE-JAN", "BQE-DEC",
    "YS-JAN", "YE-JUN", "BYE-DEC",
]  # fmt: skip


def panel_on(stamps: pd.DatetimeIndex | list[int], **options: object) -> Panel:
    frame = pd.DataFrame({"unique_id": "a", "ds": stamps, "y": np.arange(len(stamps), dtype=float)})
    return Panel.from_frame(frame, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("start", ["2020-02-27", "1999-12-29 00:00"])
@pytest.mark.parametrize("alias", ALIASES)
def test_guess_and_future(alias: str, start: str) -> None:
    stamps = pd.date_range(start, periods=40, freq=alias)
    panel = panel_on(stamps[:30])
    assert panel.freq == alias
    assert (panel.future_times(10)[0] == stamps[30:].to_numpy()).all()


@pytest.mark.parametrize("alias", ["MS", "B", "D"])
def test_calendar_steps_keep_a_time_of_day(alias: str) -> None:
    stamps = pd.date_range("2020-01-31 06:30", periods=30, freq=alias)
    panel = panel_on(stamps[:20])
    assert panel.freq == alias
    assert (panel.future_times(10)[0] == stamps[20:].to_numpy()).all()


@given(st.sampled_from(ALIASES), st.sets(st.integers(1, 58), max_size=10))
def test_gaps_are_found_and_filled(alias: str, dropped: set[int]) -> None:
    stamps = pd.date_range("2021-03-04", periods=60, freq=alias)
    kept = np.delete(np.arange(60), list(dropped))
    panel = panel_on(stamps[kept], missing="mask")
    assert panel.freq == alias
    assert (panel.times == stamps.to_numpy()).all()
    assert (panel.observed == np.isin(np.arange(60), kept)).all()
    assert list(np.compress(panel.observed, panel.values)) == list(range(len(kept)))


@pytest.mark.parametrize("alias", ["QS-JAN", "2MS", "3B", "SME", "2h"])
def test_named_frequency_is_followed(alias: str) -> None:
    stamps = pd.date_range("2020-01-01", periods=20, freq=alias)
    panel = panel_on(stamps[:12], freq=alias)
    assert (panel.future_times(8)[0] == stamps[12:].to_numpy()).all()


def test_weeks_may_start_on_any_day() -> None:
    stamps = pd.date_range("2026-01-06", periods=4, freq="7D")  # a Tuesday
    assert (panel_on(stamps, freq="W").future_times(1) == np.datetime64("2026-02-03")).all()


def test_series_may_lie_at_different_phases() -> None:
    frames = [
        pd.DataFrame({"unique_id": str(minute), "ds": stamps, "y": 1.0})
        for minute in (0, 20)
        for stamps in [pd.date_range(f"2026-01-01 00:{minute:02d}", periods=5, freq="h")]
    ]
    panel = Panel.from_frame(pd.concat(frames))
    assert panel.freq == "h"
    assert [str(stamp)[11:16] for stamp in panel.future_times(1)[:, 0]] == ["05:00", "05:20"]


@pytest.mark.parametrize("days", [["2026-03-03", "2026-03-04"], ["2026-03-02", "2026-03-06"]])
def test_weekdays_without_a_weekend_are_daily(days: list[str]) -> None:
    assert panel_on(pd.date_range(*days)).freq == "D"


def test_four_weeks_are_not_months() -> None:
    assert panel_on(pd.date_range("2026-01-15", periods=20, freq="28D")).freq == "28D"


def test_steps_of_nanoseconds() -> None:
    assert panel_on(pd.to_datetime([0, 7, 14], unit="ns")).freq == "7ns"


@given(st.integers(1, 9), st.integers(-20, 20), st.sets(st.integers(1, 28), max_size=8))
def test_integer_steps(step: int, first: int, dropped: set[int]) -> None:
    full = first + step * np.arange(30)
    kept = np.delete(np.arange(30), list(dropped))
    assume(np.bincount(np.diff(kept)).argmax() == 1)
    panel = panel_on(list(full[kept]), missing="mask")
    assert panel.freq == step
    assert list(panel.times) == list(full)
    assert panel.future_times(2).tolist() == [[full[-1] + step, full[-1] + 2 * step]]


def test_integer_frequency_as_text() -> None:
    assert panel_on([0, 2, 4], freq="2").freq == 2


class TestZones:
    """The clock changes on 2026-03-29 and 2026-10-25 in Berlin."""

    @pytest.mark.parametrize("day", ["2026-03-28", "2026-10-24"])
    @pytest.mark.parametrize("alias", ["15min", "h", "6h", "D", "W-SAT"])
    def test_clock_changes_are_no_gaps(self, day: str, alias: str) -> None:
        stamps = pd.date_range(day, periods=40, freq=alias, tz="Europe/Berlin")
        panel = panel_on(stamps[:8])
        assert panel.freq == alias
        ahead = panel.to_native(np.zeros(32, int), panel.future_times(32)[0], {})
        assert (ahead["ds"] == stamps[8:]).all()

    @pytest.mark.parametrize("alias", ["MS", "ME", "B", "QS-JAN"])
    def test_calendars_follow_the_wall_clock(self, alias: str) -> None:
        stamps = pd.date_range("2025-01-01", periods=40, freq=alias, tz="America/New_York")
        panel = panel_on(stamps[:30].delete([3, 17]), missing="interpolate")
        assert panel.freq == alias
        ahead = panel.to_native(np.zeros(10, int), panel.future_times(10)[0], {})
        assert (ahead["ds"] == stamps[30:]).all()
        assert (panel.to_frame()["ds"] == stamps[:30]).all()

    def test_a_gap_across_the_change(self) -> None:
        stamps = pd.date_range("2026-03-28", periods=48, freq="h", tz="Europe/Berlin")
        with pytest.raises(DataError, match="1 absent row .*2026-03-29 01:00:00\\+01:00"):
            panel_on(stamps.delete(26))

    def test_midnight_that_the_clock_skips(self) -> None:
        # In Santiago the night of 2026-09-06 begins at one o'clock.
        stamps = pd.date_range("2026-09-01", periods=5, freq="D", tz="America/Santiago")
        ahead = panel_on(stamps).future_times(3)[0]
        assert [str(stamp)[5:16] for stamp in ahead] == [
            "09-06T04:00",
            "09-07T03:00",
            "09-08T03:00",
        ]


def test_daily_among_hourly_is_filled_when_the_frequency_is_named() -> None:
    hourly = pd.date_range("2026-01-01", periods=49, freq="h")
    frame = pd.concat(
        [
            pd.DataFrame({"unique_id": "a", "ds": hourly, "y": 1.0}),
            pd.DataFrame({"unique_id": "b", "ds": hourly[::24], "y": [0.0, 24.0, 48.0]}),
        ]
    )
    panel = Panel.from_frame(frame, freq="h", missing="interpolate")
    assert panel.lengths.tolist() == [49, 49]
    np.testing.assert_allclose(np.split(panel.values, 2)[1], np.arange(49))


@pytest.mark.parametrize("alias", ["D", "h", "W-WED", "MS", "B"])
@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_stamps_end_with_the_year_2262(alias: str, zone: str | None) -> None:
    stamps = pd.date_range(end="2262-02-25", periods=30, freq=alias, tz=zone)
    panel = panel_on(stamps)
    last = str(stamps[-1].tz_localize(None).date())
    assert (panel.future_times(1)[0] > panel.times[-1]).all()
    with pytest.raises(DataError, match=rf"2000 steps of .* after {last}.* the year 2262 .*04-11"):
        panel.future_times(2000)


def test_integers_end_with_the_largest() -> None:
    panel = panel_on([2**63 - 30, 2**63 - 20, 2**63 - 10])
    with pytest.raises(DataError, match=f"1 steps of 10 after {2**63 - 10} pass {2**63 - 1}"):
        panel.future_times(1)
    assert panel_on([2**63 - 30, 2**63 - 25, 2**63 - 20]).future_times(3)[0, -1] == 2**63 - 5


CLOCKS = [
    ("Africa/Cairo", "2026-04-24", "D"),  # 00:00 is 01:00
    ("America/Sao_Paulo", "2018-11-04", "D"),
    ("America/Sao_Paulo", "2018-11-04", "W-SUN"),
    ("America/Asuncion", "2017-10-01", "MS"),
    ("Europe/Berlin", "2026-03-29 02:30", "D"),  # is 03:00
]


@pytest.mark.parametrize(("zone", "skipped", "alias"), CLOCKS)
@pytest.mark.parametrize("at", [0, 1, 7, 19])
@pytest.mark.parametrize("named", [False, True])
def test_times_that_the_clock_skips(
    zone: str, skipped: str, alias: str, at: int, named: bool
) -> None:
    """Also as the first or the last row, and as predict gives them back."""
    step = pd.tseries.frequencies.to_offset(alias)
    clock = pd.date_range(pd.Timestamp(skipped) - at * step, periods=30, freq=alias)
    stamps = clock.tz_localize(zone, nonexistent="shift_forward")
    assert stamps[at].tz_localize(None) > clock[at]
    panel = panel_on(stamps[:20], freq=alias if named else None)
    assert panel.freq == alias
    assert (panel.future_times(10)[0] == stamps[20:].tz_convert(None).to_numpy()).all()
    ahead = panel_on(stamps[: at + 1]).future_times(3)[0] if at > 2 else stamps[:0]
    assert list(ahead) == list(stamps[at + 1 : at + 1 + len(ahead)].tz_convert(None).to_numpy())
    gap = panel_on(stamps[:20].delete(5), freq=alias, missing="mask")
    assert (gap.times == stamps[:20].tz_convert(None).to_numpy()).all()


def test_one_in_the_morning_stays_so_where_midnight_is_skipped() -> None:
    stamps = pd.date_range("2026-04-10 01:00", periods=30, freq="D").tz_localize("Africa/Cairo")
    panel = panel_on(stamps[:15])  # the last is the first instant of its day
    assert (panel.future_times(15)[0] == stamps[15:].tz_convert(None).to_numpy()).all()
