"""The scripts beside the command, on a small file: what they print, and what the page reads."""

from __future__ import annotations

import sys

import conditioning
import coupling
import following
import intervals
import look_backs
import novelty
import pandas as pd
import pytest
import readers
import widths
from harness.chosen import newest
from harness.results import Results
from harness.summaries import Summaries

pytestmark = pytest.mark.slow

COMMON = ["--horizon", "12", "--input-size", "48", "--max-steps", "4", "--seeds", "0", "1"]


@pytest.fixture
def small(small_csv, tmp_path):
    common = [str(small_csv), *COMMON, "--out", str(tmp_path / "out")]
    return lambda name, *more: [name, *common, *more]


def test_intervals_of_every_model_and_quantity(small, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", small("intervals.py", "--block", "4", "--step", "3"))
    intervals.main()
    assert "window sums by series" in capsys.readouterr().out
    folder = tmp_path / "out" / "intervals" / "waves-12"
    frame = pd.read_parquet(folder / "intervals.parquet")
    assert set(frame["model"]) == set(intervals.MODELS)
    drawn = {"maximum", "ramp", "maximum, widened", "ramp, widened"}
    assert set(frame["quantity"]) == {"step", "block", "window", *drawn}
    assert frame["cover 0.80"].between(frame["low 0.80"], frame["high 0.80"]).all()
    curve = pd.read_parquet(folder / "reliability.parquet")
    rising = curve.groupby(["model", "quantity"])["coverage"].apply(
        lambda c: c.is_monotonic_increasing
    )
    assert rising.all()
    out = tmp_path / "out"
    table = Summaries(Results(out), newest(Results(out)), out).write("intervals waves 12")
    assert table.count("\n") == 8
    assert "ensemble of 5 twins" in table


def test_widths_that_intervals_would_have_needed(small, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", small("widths.py", "--level", "0.9"))
    widths.main()
    assert "factors for 90%" in capsys.readouterr().out
    frame = pd.read_parquet(tmp_path / "out" / "widths" / "waves-12-usual.parquet")
    assert set(frame["model"]) == set(widths.MODELS)
    for span in widths.SPANS:  # a factor above one is what intervals that hold too rarely need
        assert ((frame[span] > 1.0) == (frame[f"{span} holds"] < 0.9)).all()


def test_look_backs_and_what_comes_of_a_bound(small_csv, tmp_path, monkeypatch, capsys) -> None:
    out = ["--out", str(tmp_path / "out")]
    sizes = ["--horizon", "12", "--seeds", "0", "--train-size", "160", "--val-size", "60"]
    monkeypatch.setattr(sys, "argv", ["look_backs.py", str(small_csv), *sizes, *out])
    look_backs.main()
    frame = pd.read_parquet(tmp_path / "out" / "look_backs" / "waves-12-160.parquet")
    assert sorted(set(frame["look-back"])) == [12, 21, 42, 64, 90]
    assert list(frame["encoder"][:3]) == list(look_backs.TRIED)
    shorter = ["--shares", "0.5"]
    monkeypatch.setattr(sys, "argv", ["look_backs.py", str(small_csv), *sizes, *out, *shorter])
    look_backs.main()
    assert (tmp_path / "out" / "look_backs" / "waves-12-160-0.5.parquet").exists()
    monkeypatch.setattr(sys, "argv", ["look_backs.py", "--table", *out])
    look_backs.main()
    said = capsys.readouterr().out
    assert said.count("1 choices") == 2
    assert "at least, of the horizon" in said
    free = look_backs.chosen(frame, 160.0)
    kept = frame[frame["windows"] >= 0.5 * frame["windows"].max()]
    assert free["validation crps"] == kept["validation crps"].min()
    assert look_backs.chosen(frame, 16.0)["look-back"] <= 24


def test_coupling_beside_independent_series(small, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", small("coupling.py", "--origins", "5", "--draws", "20"))
    coupling.main()
    assert "gain on validation windows" in capsys.readouterr().out
    frame = pd.read_parquet(tmp_path / "out" / "coupling" / "waves-12.parquet")
    assert set(frame["series"]) == {"independent", "static", "units", "noise", "coupled"}
    assert frame["total_coverage_80"].between(0, 1).all()


def test_ties_between_series(small, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", small("coupling.py", "--ties"))
    coupling.main()
    said = capsys.readouterr().out
    assert all(rows in said for rows in ("training", "validation", "test"))


@pytest.mark.parametrize("choose", [[], ["--choose", "level"], ["--choose", "spread"]])
def test_forecasts_that_follow(small, monkeypatch, capsys, choose) -> None:
    monkeypatch.setattr(sys, "argv", small("following.py", "--step", "7", *choose))
    following.main()
    said = capsys.readouterr().out
    assert all(name in said for name in (["half_life"] if choose else ["as fitted", "followed"]))


def test_novelty_of_faults(small, small_csv, tmp_path, monkeypatch, capsys) -> None:
    other = ["--other", str(small_csv), "--windows", "20"]
    monkeypatch.setattr(sys, "argv", small("novelty.py", *other))
    novelty.main()
    assert "mean of faults" in capsys.readouterr().out
    frame = pd.read_parquet(tmp_path / "out" / "novelty" / "waves-12.parquet")
    numbers = frame[list(novelty.SCORES)]
    assert ((numbers >= 0) & (numbers <= 1)).all().all()
    # the same model, the same windows with a fault: scores that see the spikes tell them
    assert frame.loc[frame["case"] == "spikes", "familiarity"].min() > 0.8


def test_conditioning_is_told_in_four_ways(small, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", small("conditioning.py", "--seen", "4", "--step", "2"))
    conditioning.main()
    assert "condition − none" in capsys.readouterr().out
    path = tmp_path / "out" / "conditioning" / "waves-12" / "conditioning.parquet"
    assert set(pd.read_parquet(path)["way"]) == set(conditioning.WAYS)


def test_readers_trained_apart_and_pooled(small, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", small("readers.py"))
    readers.main()
    assert "linear place" in capsys.readouterr().out
    frame = pd.read_parquet(tmp_path / "out" / "readers" / "waves-12.parquet")
    assert len(frame) == 2 * 30 * 6
    assert set(frame.loc[frame["auto"], "second"]) == {"mlp place", "linear window"}
    share = frame.pivot_table(index=["seed", "first", "second"], columns="way", values="share")
    assert ((share["chosen"] - 0.5).abs() <= (share["best"] - 0.5).abs()).all()
    alone = frame[frame["share"] == 0.0]
    assert alone["crps"].to_numpy() == pytest.approx(1.0)
    monkeypatch.setattr(sys, "argv", ["readers.py", "--table", "--out", str(tmp_path / "out")])
    readers.main()
    assert "pairs of auto, 1 sets" in capsys.readouterr().out


def test_readers_that_look_further_back_come_second(small, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", small("readers.py", "--far", "60"))
    readers.main()
    frame = pd.read_parquet(tmp_path / "out" / "readers" / "waves-12.parquet")
    assert len(frame) == 2 * 36 * 6
    far = frame[frame["second"] == "multiscale window 60"]
    assert far["auto"].all()
    assert set(far["first"]) == {str(kind) for kind in readers.KINDS}
    assert "multiscale window 60" not in set(frame["first"])
    assert (far.loc[far["way"] == "half, power 1", "crps"] != 1.0).all()
    monkeypatch.setattr(sys, "argv", ["readers.py", "--table", "--out", str(tmp_path / "out")])
    capsys.readouterr()
    readers.main()
    table = capsys.readouterr().out.split("by rows of the second")[1].split("\n\n")[0]
    assert [line.split()[-6] for line in table.splitlines()[-2:]] == ["0", "60"]


def test_readers_of_the_last_rows_stand_beside_a_linear_one_of_the_window(
    small, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(sys, "argv", small("readers.py", "--short", "4"))
    readers.main()
    frame = pd.read_parquet(tmp_path / "out" / "readers" / "waves-12.parquet")
    short = frame[(frame["second"] == "mlp window 4") & frame["auto"]]
    assert set(short["first"]) == {"linear window"}
    assert set(short["rows"]) == {4}
    assert "mlp window 4" not in set(frame["first"])
