"""Sample paths written as they are drawn: the file is the frame."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from vneuron.forecasting import EVEForecaster, path_file


@pytest.mark.parametrize("kind", ["text", "integer ids", "zone", "polars"])
def test_the_file_holds_the_frame(fitted, make_waves, tmp_path, monkeypatch, kind):
    frame = make_waves(series=5, rows=30)
    if kind == "integer ids":
        frame["unique_id"] = frame["unique_id"].str[1:].astype(int)
    if kind == "zone":
        frame["ds"] = frame["ds"].dt.tz_localize("Europe/Paris")
    given = pl.from_pandas(frame) if kind == "polars" else frame
    # two series at a time
    monkeypatch.setattr("vneuron.forecasting.frames.MOST_DRAWN", 7 * 6 * 2)
    expected = fitted.sample(7, given, seed=3)
    path = tmp_path / "paths.parquet"
    assert fitted.sample(7, given, seed=3, to=path) == len(expected) == 5 * 7 * 6
    if kind == "polars":
        found = pl.read_parquet(path).with_columns(pl.col("unique_id").cast(pl.String))
        assert found.equals(expected)
        return
    found = pd.read_parquet(path)
    found["unique_id"] = found["unique_id"].astype(expected["unique_id"].dtype)
    pd.testing.assert_frame_equal(found, expected)


def test_the_same_seed_gives_the_same_paths(fitted, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        fitted.sample(3, seed=seed, to=tmp_path / f"{name}.parquet")
    a, b, c = (pd.read_parquet(tmp_path / f"{name}.parquet")["y"] for name in "abc")
    assert a.equals(b)
    assert not np.isclose(a, c).any()


def test_what_fails_midway_leaves_the_old_file(fitted, tmp_path, monkeypatch):
    path = tmp_path / "paths.parquet"
    path.write_bytes(b"old")
    drawn = path_file.sampled

    def fails(*given):
        yield next(drawn(*given))
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(path_file, "sampled", fails)
    with pytest.raises(RuntimeError, match="the disk is full"):
        fitted.sample(3, to=path)
    assert [file.name for file in tmp_path.iterdir()] == ["paths.parquet"]
    assert path.read_bytes() == b"old"


def test_what_cannot_be_written_is_said(fitted, tmp_path):
    with pytest.raises(ValueError, match=r"expected the name of a \.parquet file"):
        fitted.sample(3, to=tmp_path / "paths.csv")
    with pytest.raises(ValueError, match="n is 0"):
        fitted.sample(0, to=tmp_path / "paths.parquet")
    assert not list(tmp_path.iterdir())
    assert isinstance(fitted, EVEForecaster)
