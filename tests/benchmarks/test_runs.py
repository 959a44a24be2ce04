"""The command: every model on a small file, results whole, nothing run twice."""

from __future__ import annotations

import json
import sys

import numpy as np
import pandas as pd
import pytest
import run
from harness.benchmark import Benchmark, Request
from harness.models import DETERMINISTIC, MODELS
from harness.results import Results
from harness.scoring import SCORES, means, score_windows

from vneuron.forecasting.evaluation import evaluate

SMALL = {"units": 4, "hidden": 16, "epochs": 1, "encoder": "linear"}
SIZES = {"train_size": 0.7, "val_size": 0.1, "test_size": 0.2}


def request(path, model, protocol="A", **changes) -> Request:
    given = {"input_size": 24, "sizes": SIZES, "max_steps": 8, "settings": SMALL}
    return Request(path, protocol, 12, model, 0, **{**given, **changes})


@pytest.mark.parametrize("model", ["EVE", "lowrank", "ridge", "seasonal_naive"])
def test_means_over_windows_are_the_librarys_own_scores(small_csv, tmp_path, model) -> None:
    benchmark = Benchmark(tmp_path / "out")
    asked = request(small_csv, model)
    ready, windows = benchmark.ready(asked), benchmark.windows(asked)
    frame, facts = score_windows(ready.forecast, windows, joint=ready.joint, seed=0)
    joint = ready.joint
    own = evaluate(
        ready.forecast, windows, benchmark.workshop(asked).material.scaling, joint=joint, seed=0
    )
    found = means(frame)
    for name in SCORES:
        if own.scores[name] is None:
            assert found[name] is None
        else:
            assert found[name] == pytest.approx(own.scores[name], rel=1e-9), name
    assert facts["coverage"] is None or np.allclose(facts["coverage"], own.calibration["coverage"])


NOT_DEFINED = {
    "point_conformal": {"nll", "joint_nll"},
    "quantile": {"nll", "coverage_95", "joint_nll", "path_crps", "path_coverage_80", "energy"},
    "seasonal_naive": {"nll", "coverage_80", "coverage_95", "joint_nll", "path_coverage_80"},
    "repeat_last": {"nll", "coverage_80", "coverage_95", "joint_nll", "path_coverage_80"},
}


def test_every_model_has_a_row_and_says_what_it_does_not_define(small_csv, tmp_path) -> None:
    benchmark = Benchmark(tmp_path / "out")
    for model in MODELS:
        for protocol in "AB":
            asked = request(small_csv, model, protocol)
            assert not benchmark.results.has(asked.key())
            benchmark.run(asked)
            assert benchmark.results.has(asked.key())
    rows = benchmark.results.all()
    assert len(rows) == 2 * len(MODELS)
    for _, row in rows.iterrows():
        undefined = {name for name in SCORES if pd.isna(row[name])}
        assert undefined == NOT_DEFINED.get(row["model"], set()), row["model"]
        assert json.loads(row["options"])["set"] == SMALL
        windows = benchmark.results.windows(row["file"])
        assert len(windows) == row["windows"]
        assert (row["protocol"] == "B") is bool(pd.notna(row["probts_crps"]))
        assert row["model"] in DETERMINISTIC or row["train_cpu_seconds"] > 0
    for ensemble, member in (("ensemble", "twin"), ("EVE_ensemble", "EVE")):
        five, one = (rows[rows["model"] == name].iloc[0] for name in (ensemble, member))
        assert five["members"] == 5
        assert five["train_cpu_seconds"] > 3 * one["train_cpu_seconds"]
        assert five["mse"] != one["mse"]


def test_what_is_there_is_not_run_again(small_csv, tmp_path, monkeypatch, capsys) -> None:
    out = tmp_path / "out"
    command = ["run.py", str(small_csv), "--horizons", "12", "--input-size", "24", "--models"]
    command += ["linear", "repeat_last", "--seeds", "0", "1", "--max-steps", "5", "--out", str(out)]
    command += ["--set", "epochs=1", "encoder=linear", "hidden=16"]
    monkeypatch.setattr(sys, "argv", command)
    run.main()
    first = capsys.readouterr()
    assert "linear" in first.out
    assert first.err.count("CPU s") == 3  # a naive forecast has no seed
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    run.main()
    second = capsys.readouterr()
    assert "CPU s" not in second.err
    assert second.out == first.out
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")} == before
    monkeypatch.setattr(sys, "argv", [*command, "--again", "linear"])
    run.main()
    assert capsys.readouterr().err.count("CPU s") == 2
    again = Results(out).all()
    assert len(again) == 3


def test_the_same_run_has_the_same_scores(small_csv, tmp_path) -> None:
    found = []
    for name in ("first", "second"):
        row = Benchmark(tmp_path / name).run(request(small_csv, "ensemble", "B"))
        found.append({key: value for key, value in row.items() if "seconds" not in key})
    assert found[0] == found[1]


def test_a_run_that_was_cut_off_before_its_row_is_run(small_csv, tmp_path) -> None:
    benchmark = Benchmark(tmp_path / "out")
    asked = request(small_csv, "repeat_last")
    benchmark.run(asked)
    benchmark.results.path(asked.key(), "row.parquet").unlink()
    assert not benchmark.results.has(asked.key())
    assert benchmark.results.all().empty


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "colour=red"], "NAME=VALUE"),
        (["--models", "oracle"], "no model 'oracle'"),
    ],
)
def test_wrong_usage_is_one_line(small_csv, monkeypatch, capsys, more, message) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", str(small_csv), *more])
    with pytest.raises(SystemExit) as stopped:
        run.main()
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_theirs_are_skipped_with_a_word(small_csv, tmp_path, monkeypatch, capsys) -> None:
    command = ["run.py", str(small_csv), "--models", "nf_patchtst", "--out", str(tmp_path / "o")]
    monkeypatch.setattr(sys, "argv", command)
    run.main()
    assert "skipped without --neuralforecast" in capsys.readouterr().err


def test_some_columns_of_a_file_are_a_data_set_of_their_own(small_csv, tmp_path) -> None:
    benchmark = Benchmark(tmp_path / "out")
    both, one = request(small_csv, "linear"), request(small_csv, "linear", target=("a",))
    assert both.key().stem != one.key().stem
    assert benchmark.run(both)["series"] == 2
    found = benchmark.run(one)
    assert found["series"] == 1
    alone = tmp_path / "alone.csv"
    pd.read_csv(small_csv)[["date", "a"]].to_csv(alone, index=False)
    assert benchmark.run(request(alone, "linear"))["crps"] == pytest.approx(found["crps"])
    assert len(list((tmp_path / "out" / "trained").iterdir())) == 3


def test_too_little_data_is_said_and_the_rest_goes_on(
    small_csv, tmp_path, monkeypatch, capsys
) -> None:
    command = ["run.py", str(small_csv), "--models", "repeat_last", "--horizons", "300", "12"]
    command += ["--input-size", "24", "--seeds", "0", "--out", str(tmp_path / "o")]
    monkeypatch.setattr(sys, "argv", command)
    run.main()
    told = capsys.readouterr()
    assert "too short" in told.err
    assert "12 steps" in told.out


STUB = """
import json, sys
from pathlib import Path
import numpy as np

folder = Path(sys.argv[1])
job = json.loads((folder / "job.json").read_text())
contexts = np.load(folder / "contexts.npy")
train = np.load(folder / "train.npz")
assert train["offsets"].tolist() == [0, 280, 560], train["offsets"]
assert abs(train["values"].mean()) < 1e-3
loc = np.repeat(contexts[:, -1:], job["horizon"], 1)
found = {"loc": loc}
if job["model"].endswith("_student"):
    found |= {"scale": np.full_like(loc, 0.8), "df": np.full_like(loc, 5.0)}
np.savez(folder / "forecasts.npz", **found)
(folder / "facts.json").write_text(json.dumps({"train_cpu_seconds": 1.5, "neuralforecast": "0"}))
"""


@pytest.mark.parametrize("protocol", ["A", "B"])
def test_forecasts_of_another_environment_are_scored_on_our_windows(
    small_csv, tmp_path, monkeypatch, protocol
) -> None:
    script = tmp_path / "stub.py"
    script.write_text(STUB)
    monkeypatch.setattr("harness.neuralforecast.SCRIPT", script)
    benchmark = Benchmark(tmp_path / "out", sys.executable)
    naive = benchmark.run(request(small_csv, "repeat_last", protocol))
    point = benchmark.run(request(small_csv, "nf_patchtst", protocol, nf_steps=3))
    student = benchmark.run(request(small_csv, "nf_nhits_student", protocol, nf_steps=3))
    for score in ("mse", "mae", "path_crps", "energy", "probts_crps"):
        assert point[score] == (None if naive[score] is None else pytest.approx(naive[score]))
    assert student["mse"] == pytest.approx(naive["mse"])
    assert student["crps"] < naive["crps"]
    assert student["nll"] == pytest.approx(student["joint_nll"])
    assert student["train_cpu_seconds"] == 1.5


def test_windows_further_apart_are_another_training(small_csv, tmp_path, monkeypatch) -> None:
    """Of many training rows windows begin at every so-manieth only, and kept runs know it."""
    script = tmp_path / "stub.py"
    script.write_text(STUB)
    monkeypatch.setattr("harness.neuralforecast.SCRIPT", script)
    benchmark = Benchmark(tmp_path / "out", sys.executable)
    strides = []
    for most in (560, 559, 100):
        monkeypatch.setattr("harness.neuralforecast.MOST_WINDOWS", most)
        benchmark.run(request(small_csv, "nf_patchtst", nf_steps=3))
        kept = (tmp_path / "out" / "neuralforecast").glob("*/job.json")
        strides.append(sorted(json.loads(path.read_text())["stride"] for path in kept))
    assert strides == [[1], [1, 2], [1, 2, 6]]


def test_a_failure_over_there_is_one_line(small_csv, tmp_path, monkeypatch) -> None:
    script = tmp_path / "stub.py"
    script.write_text("raise SystemExit('no such library')")
    monkeypatch.setattr("harness.neuralforecast.SCRIPT", script)
    benchmark = Benchmark(tmp_path / "out", sys.executable)
    with pytest.raises(ValueError, match="neuralforecast failed: no such library"):
        benchmark.run(request(small_csv, "nf_patchtst", nf_steps=3))


def test_a_training_that_was_killed_at_its_start_begins_again(small_csv, tmp_path) -> None:
    benchmark = Benchmark(tmp_path / "out")
    asked = request(small_csv, "linear")
    (benchmark.workshop(asked).place / "linear" / "checkpoints").mkdir(parents=True)
    row = benchmark.run(asked)
    assert row["train_steps"] == 8


def test_look_back_by_validation_is_chosen_once(small_csv, tmp_path) -> None:
    asked = request(small_csv, "repeat_last", input_size=None)
    first = Benchmark(tmp_path / "out").run(asked)
    benchmark = Benchmark(tmp_path / "out")
    assert benchmark.workshop(asked).material.config.input_size == first["input_size"]
    assert benchmark.workshop(asked).choice_seconds == first["choice_cpu_seconds"] > 0
