"""The page: blocks written from result files, prose left alone, differences paired by window."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from harness.blocks import fill
from harness.chosen import case, newest, paired, stronger
from harness.results import Results, RunKey
from harness.summaries import Summaries
from harness.tables import bare, written


def load():
    """page.py under a name of its own: other benchmarks have a page too."""
    path = Path(__file__).resolve().parents[2] / "benchmarks/forecasting/page.py"
    spec = importlib.util.spec_from_file_location("forecasting_page", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


page = load()
OPTIONS = {"input_size": 96, "step": 1, "max_steps": None, "set": {}}


def put(results: Results, model: str, seed: int, joint: float, options=OPTIONS, **more) -> None:
    cutoffs = np.arange(40)
    rng = np.random.default_rng(seed)
    windows = pd.DataFrame(
        {
            "series": np.repeat([0, 1], 40),
            "cutoff": np.concatenate([cutoffs, 1000 + cutoffs]),
            "joint_nll": joint + rng.normal(0, 0.1, 80),
        }
    )
    row = {
        "windows": 80, "series": 2, "input_size": 96, "mse": 0.4, "mae": 0.4, "crps": 0.3,
        "nll": 0.6, "coverage_80": 0.81, "coverage_95": 0.95, "joint_nll": joint,
        "path_crps": 0.1, "path_coverage_80": 0.7, "energy": 0.4, "train_cpu_seconds": 10.0,
        "forecast_cpu_seconds": 1.0, "probts_crps": 0.3, "probts_nmae": 0.4, "exact_crps": 0.3,
        "exact_nmae": 0.4, "levels": [0.5, 0.8], "coverage": [0.5, 0.8],
        "path_coverage": [0.4, 0.7],
    }  # fmt: skip
    results.write(RunKey("ETTh1", "A", 96, model, seed, options), {**row, **more}, windows)


@pytest.fixture
def results(tmp_path) -> Results:
    found = Results(tmp_path)
    for seed in (0, 1):
        put(found, "EVE", seed, -0.5, mse=0.35)
        put(found, "twin", seed, 0.25, mse=0.36)
        put(found, "linear", seed, 0.5, mse=0.355)
    return found


def test_differences_are_paired_by_window_and_seed(results) -> None:
    rows = newest(results)
    mean, low, high = paired(results, rows, "EVE", "twin", "joint_nll")
    # the noise of a seed is the same for both models, so that the pairs differ by .75 exactly
    assert mean == pytest.approx(-0.75)
    assert high - low < 1e-9
    assert paired(results, rows, "EVE", "ensemble", "joint_nll") is None
    assert paired(results, rows, "EVE", "twin", "energy") is None
    assert stronger(rows, "mse") == "linear"
    assert stronger(rows, "joint_nll") == "twin"


def test_the_options_that_were_run_last_are_shown(results) -> None:
    import os

    other = {**OPTIONS, "set": {"epochs": 20}}
    put(results, "EVE", 0, -0.9, other)
    late = results.path(RunKey("ETTh1", "A", 96, "EVE", 0, other), "row.parquet")
    os.utime(late, (4e9, 4e9))
    rows = case(newest(results), "ETTh1", "A", 96)
    assert rows.loc[rows["model"] == "EVE", "joint_nll"].tolist() == [-0.9]
    assert len(rows[rows["model"] == "twin"]) == 2
    told = Summaries(results, rows, results.folder.parent).options()
    assert "epochs=20" in told


def test_blocks_are_filled_and_prose_is_kept(results, tmp_path, monkeypatch, capsys) -> None:
    text = "\n".join(
        [
            "# Results", "before", "<!-- generated: scores ETTh1 A 96 -->", "<!-- end -->",
            "between", "<!-- generated: accuracy -->", "old", "<!-- end -->", "<!-- generated: "
            "probts -->", "kept", "<!-- end -->", "after",
        ]
    )  # fmt: skip
    target = tmp_path / "page.md"
    target.write_text(text)
    command = ["page.py", str(tmp_path), "--page", str(target), "--no-plots"]
    monkeypatch.setattr(sys, "argv", command)
    page.main()
    told = capsys.readouterr()
    first = target.read_text()
    assert "| **EVE** | 2 | .3500" in first
    assert "| ETTh1 | 96 | .3500 |" in first
    assert ".986 (linear)" in first
    for prose in ("before", "between", "after", "kept"):
        assert prose in first
    assert "old" not in first
    assert "left as they are: probts" in told.err
    page.main()
    assert target.read_text() == first


def test_rows_of_all_runs_are_kept_in_one_file(results, tmp_path, monkeypatch) -> None:
    """New rows take the place of those of the same runs; the others stay."""
    kept, target = tmp_path / "kept" / "rows.parquet", tmp_path / "page.md"
    target.write_text("no block")
    elsewhere = Results(tmp_path / "elsewhere")
    put(elsewhere, "EVE", 0, -0.9)
    put(elsewhere, "EVE", 7, -0.7)
    for folder in (elsewhere, results):
        root = str(folder.folder.parent)
        command = ["page.py", root, "--page", str(target), "--no-plots", "--rows", str(kept)]
        monkeypatch.setattr(sys, "argv", command)
        page.main()
    found = pd.read_parquet(kept).set_index(["model", "seed"])
    assert found["joint_nll"].to_dict() == {
        ("EVE", 0): -0.5, ("EVE", 1): -0.5, ("EVE", 7): -0.7, ("linear", 0): 0.5,
        ("linear", 1): 0.5, ("twin", 0): 0.25, ("twin", 1): 0.25,
    }  # fmt: skip
    assert "file" not in found


def test_every_summary_is_a_table_or_nothing(results) -> None:
    summaries = Summaries(results, newest(results), results.folder.parent)
    for name in ("accuracy", "dependence", "coverage", "scores ETTh1 A 96"):
        assert summaries.write(name).startswith("| "), name
    for name in ("probts", "ensemble", "scores ETTh1 B 96", "intervals ETTh1 96", "nonsense"):
        assert summaries.write(name) is None, name


def test_a_block_without_an_end_is_refused() -> None:
    with pytest.raises(ValueError, match="has no <!-- end -->"):
        fill(
            "<!-- generated: a -->\ntext\n<!-- generated: b -->\n<!-- end -->",
            lambda name, old: "x",
        )


def test_rows_that_were_not_run_this_time_stay(results, tmp_path) -> None:
    path = tmp_path / "page.md"
    table = "| data | H | EVE | {} |\n|---|---|---|---|\n| ETTh1 | 720 | .8, .7 | x |\n"
    titles = "static low-rank | full correlation, t | deterministic twin | ensemble of 5 twins"
    same = f"| data | H | EVE | {titles} | point + conformal |\n{'|---' * 8}|\n"
    old = "| ETTh1 | 720 | .7, .6 |\n| ETTh1 | 96 | .1, .1 |\n| ILI | 24 | .5, .4 |"
    for head, kept in ((same, True), (table.format("other"), False)):
        path.write_text(f"<!-- generated: coverage -->\n{head}{old}\n<!-- end -->\n")
        argv = sys.argv
        sys.argv = ["page.py", str(tmp_path), "--page", str(path), "--no-plots"]
        try:
            page.main()
        finally:
            sys.argv = argv
        text = path.read_text()
        assert ("| ETTh1 | 720 | .7, .6 |" in text) == kept
        assert ("| ILI | 24 | .5, .4 |" in text) == kept
        assert "| ETTh1 | 96 | .1, .1 |" not in text
        assert "| ETTh1 | 96 | .810, .700 |" in text


def test_numbers_are_written_as_the_pages_have_them() -> None:
    assert bare(-0.0608, 4) == "−.0608"
    assert bare(1234.5, 0) == "1,234"
    assert written(0.5, float("nan"), 4) == ".5000"
    assert written(float("nan"), 0.1, 4) == "–"
    assert written(10.25, 0.1, 2) == "10.25 (.10)"


def test_plots_are_made_from_rows(results, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    from harness.plots import paths, reliability

    rows = newest(results)
    made = reliability(rows, tmp_path / "reliability.png")
    first = made.read_bytes()
    assert first.startswith(b"\x89PNG")
    assert reliability(rows, tmp_path / "reliability.png").read_bytes() == first
    assert paths(results, rows, "ETTh1", tmp_path / "paths.png") is None


def test_what_intervals_left_is_drawn(tmp_path) -> None:
    pytest.importorskip("matplotlib")
    from harness.plots import HELD, intervals

    folder = tmp_path / "ETTh1-96"
    assert intervals(folder, tmp_path / "intervals.png") is None
    folder.mkdir()
    kinds, levels = ["EVE", "twin"], [0.2, 0.5, 0.8]
    curves = pd.MultiIndex.from_product([kinds, HELD, levels], names=["model", "quantity", "level"])
    curves = curves.to_frame(index=False)
    curves.assign(coverage=curves["level"]).to_parquet(folder / "reliability.parquet")
    parts = pd.MultiIndex.from_product([kinds, ["1", "2", "10"]], names=["model", "part"])
    parts = parts.to_frame(index=False).assign(by="lead", coverage=0.8)
    parts.to_parquet(folder / "coverage.parquet")
    made = intervals(folder, tmp_path / "intervals.png")
    first = made.read_bytes()
    assert first.startswith(b"\x89PNG")
    curves.assign(coverage=curves["level"] ** 2).to_parquet(folder / "reliability.parquet")
    assert intervals(folder, made).read_bytes() != first


def test_options_are_told_from_their_json() -> None:
    key = RunKey("a", "A", 96, "EVE", 0, OPTIONS)
    assert json.loads(key.row()["options"]) == OPTIONS
    assert key.stem != RunKey("a", "A", 96, "EVE", 0, {**OPTIONS, "step": 4}).stem
