"""A Parquet file read in pieces: the panel that reading it whole gives, with its rows in files."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vneuron as vn
from vneuron.forecasting.data import pieces, rows
from vneuron.forecasting.data.errors import DataError
from vneuron.forecasting.data.tables import read_table


@pytest.fixture
def small(monkeypatch):
    """Pieces of seven rows, portions of ten."""
    monkeypatch.setattr(pieces, "IN_PIECES_FROM", 1)
    monkeypatch.setattr(pieces, "PIECE", 7)
    monkeypatch.setattr(rows, "PORTION", 10)
    return monkeypatch


def both(path, monkeypatch, **options):
    found = read_table(path, **options)
    with monkeypatch.context() as patch:
        patch.setattr(pieces, "IN_PIECES_FROM", 10**12)
        whole = read_table(path, **options)
    assert found.panel.mapped
    assert not whole.panel.mapped
    return found.panel, whole.panel


def assert_same(found, whole):
    assert found.ids == whole.ids
    assert found.id_values.to_list() == whole.id_values.to_list()
    assert found.freq == whole.freq
    assert found.time_kind == whole.time_kind
    np.testing.assert_array_equal(found.offsets, whole.offsets)
    np.testing.assert_array_equal(found.times, whole.times)
    np.testing.assert_array_equal(found.values, whole.values)


@st.composite
def frames(draw):
    lengths = draw(st.lists(st.integers(2, 14), min_size=1, max_size=6))
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat([f"s{9 - at}" for at in range(len(lengths))], lengths),
            "ds": np.concatenate([np.arange(n) for n in lengths]),
            "y": np.arange(sum(lengths)) / 7,
        }
    )
    frame["ds"] = pd.Timestamp("2026-01-01") + frame["ds"] * pd.Timedelta(hours=1)
    order = draw(st.permutations(range(len(frame))))
    return frame.iloc[list(order)] if draw(st.booleans()) else frame


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames())
def test_rows_in_any_order_are_the_panel_that_reading_it_whole_gives(small, frame):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "panel.parquet"
        frame.to_parquet(path, index=False, row_group_size=5)
        assert_same(*both(path, small))


@pytest.mark.parametrize(
    ("step", "ids", "times"),
    [
        ("h", lambda s: s, lambda t: t.dt.tz_localize("Europe/Berlin")),
        ("h", lambda s: s.astype("category"), lambda t: t.dt.as_unit("ms")),
        ("h", lambda s: s.str[1:].astype(int), lambda t: (t - t.min()) // pd.Timedelta(hours=1)),
        ("D", lambda s: s, lambda t: t.dt.date),
    ],
    ids=["zone", "categories", "integers", "days"],
)
def test_ids_and_times_come_back_as_they_were(small, tmp_path, step, ids, times):
    ds = pd.date_range("2026-03-01", periods=12, freq=step)
    frame = pd.DataFrame({"unique_id": np.repeat(["s2", "s1"], 12), "ds": np.tile(ds, 2)})
    frame["y"] = np.arange(24.0)
    frame = frame.assign(unique_id=ids(frame["unique_id"]), ds=times(frame["ds"]))
    path = tmp_path / "panel.parquet"
    frame.to_parquet(path, index=False, row_group_size=5)
    assert_same(*both(path, small))


@pytest.mark.parametrize("missing", ["mask", "interpolate"])
@pytest.mark.parametrize("duplicates", ["first", "last", "mean"])
def test_policies_act_series_by_series(small, tmp_path, missing, duplicates):
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(["a", "b", "c"], [9, 8, 3]),
            "ds": [0, 1, 2, 4, 5, 5, 6, 7, 9, 0, 1, 1, 2, 3, 4, 5, 8, 2, 3, 4],
            "y": [np.nan, 2, 3, 4, np.nan, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, np.nan],
        }
    )
    path = tmp_path / "panel.parquet"
    frame.to_parquet(path, index=False)
    found, whole = both(path, small, missing=missing, duplicates=duplicates, freq=1)
    assert_same(found, whole)
    assert any(note.startswith("series 'a' to 'a': ") for note in found.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(unique_id=f["unique_id"].where(f.index != 11)), "row 12.*no id"),
        (lambda f: f.assign(ds=f["ds"].where(f.index != 12)), "row 13, column 'ds'.*no time"),
        (lambda f: f.assign(y=f["y"].where(f.index != 13)), "missing value.*series 'b'"),
        (lambda f: f.assign(y=f["y"].mask(f.index == 13, np.inf)), "infinite.*series 'b'"),
        (lambda f: f.drop(index=12), "1 absent row.*series 'b'"),
        (lambda f: f.assign(more=1.0), "exogenous columns 'more'"),
        (lambda f: f.assign(y="word"), "row 1, column 'y'.*not a number"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_with_its_place(small, tmp_path, change, message):
    hours = pd.date_range("2026-01-01", periods=8, freq="h")
    frame = pd.DataFrame({"unique_id": np.repeat(["a", "b"], 8), "ds": np.tile(hours, 2)})
    path = tmp_path / "panel.parquet"
    change(frame.assign(y=np.arange(16.0))).to_parquet(path, index=False)
    with pytest.raises(DataError, match=message) as error:
        read_table(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("ds", [["2026-01-01", "2026-01-02"], [20260101, 20260102]])
def test_times_that_the_whole_column_decides_are_read_whole(small, tmp_path, ds):
    path = tmp_path / "panel.parquet"
    pd.DataFrame({"unique_id": "a", "ds": ds, "y": [1.0, 2.0]}).to_parquet(path, index=False)
    panel = read_table(path).panel
    assert not panel.mapped
    assert panel.freq == "D"


def test_an_empty_or_damaged_file_is_refused(small, tmp_path):
    small.setattr(pieces, "IN_PIECES_FROM", 0)
    path = tmp_path / "panel.parquet"
    schema = pa.schema([("unique_id", "string"), ("ds", "timestamp[ns]"), ("y", "double")])
    pq.write_table(schema.empty_table(), path)
    with pytest.raises(DataError, match="no rows"):
        read_table(path)
    path.write_bytes(b"PAR1 is not enough")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_table(path)


def test_no_file_is_left_and_a_fit_by_path_is_that_by_frame(small, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    small.setattr(tempfile, "tempdir", str(temporary))
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"unique_id": np.repeat(["a", "b"], 80), "ds": np.tile(np.arange(80), 2)}
    ).assign(y=rng.normal(size=160).cumsum())
    path = tmp_path / "panel.parquet"
    frame.to_parquet(path, index=False)
    options = {"units": 2, "hidden": 8, "epochs": 1, "encoder": "linear", "features": "full"}
    one, other = (
        vn.EVEForecaster(4, 8, **options, device="cpu", quiet=True).fit(given)
        for given in (path, frame)
    )
    assert not list(temporary.glob("vneuron-*"))
    pd.testing.assert_frame_equal(one.predict(level=[80]), other.predict(level=[80]))
    pd.testing.assert_frame_equal(one.predict(str(path)), other.predict(frame))


def test_ids_under_another_name(small, tmp_path):
    ids, hours = np.repeat(["b", "a"], 9), np.tile(np.arange(9), 2)
    frame = pd.DataFrame({"shop": ids, "ds": hours, "y": np.arange(18) / 7})
    frame.to_parquet(tmp_path / "a.parquet")
    assert_same(*both(tmp_path / "a.parquet", small, id_col="shop"))
    frame.loc[3, "shop"] = None
    frame.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="row 4, column 'shop': no id"):
        read_table(tmp_path / "a.parquet", id_col="shop")
