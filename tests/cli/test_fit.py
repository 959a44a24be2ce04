"""`vneuron fit`: every kind of file in, one JSON object and a run folder out."""

import gzip
import json
import math

import pandas as pd
import pytest

MODELS = ["EVE", "twin", "linear", "lowrank", "repeat_last", "seasonal_naive", "residual"]
JOINT = {"joint_nll", "path_crps", "path_coverage_80", "energy"}
STEPS = {"mse", "mae", "crps", "nll", "coverage_80", "coverage_95"}


def test_the_object_that_json_prints(fitted):
    said = fitted.said
    assert said.code == 0
    assert said.out.count("\n") == 1
    found = said.json
    assert {"test", "health", "seconds", "run"} <= found.keys()
    assert list(found["test"]) == MODELS
    assert found["run"] == str(fitted.run)
    assert found["seconds"] > 0
    assert found["windows"] == 2 * (30 - 6 + 1)
    assert found["outcome"] == "completed"
    for name, scores in found["test"].items():
        assert scores.keys() == STEPS | JOINT | {"raw"}
        assert scores["raw"].keys() == STEPS | JOINT
        for key in STEPS | JOINT:
            missing = scores[key] is None
            assert (scores["raw"][key] is None) == missing
            if name in MODELS[:4] or key in ("mse", "mae", "crps"):
                assert not missing, (name, key)
                assert math.isfinite(scores[key])
        if name in ("repeat_last", "seasonal_naive"):
            assert scores["nll"] is scores["coverage_80"] is scores["joint_nll"] is None
    assert set(found["health"]) >= {"counts", "ok", "layers"}
    assert sum(found["health"]["counts"].values()) == 3


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--prior", "autoregressive", "--lag", "12"], {"lag": 12, "prior": "autoregressive"}),
        (["--prior", "autoregressive"], {"lag": 24}),
        (["--prior", "autoregressive", "--control", "homeostasis"], {"control": "homeostasis"}),
        (["--prior", "macro", "--macro-dim", "2"], {"prior": "macro", "macro_dim": 2}),
        (["--network", "reference", "--activity", "raw", "--latent-dim", "2"], {"activity": "raw"}),
        (["--control", "projection", "--scale-form", "gauge"], {"scale_form": "gauge"}),
        (["--second", "window", "--second-size", "40"], {"second": "window", "second_size": 40}),
        (["--crps-weight", "4"], {"crps_weight": 4.0}),
        (["--precision", "bf16-mixed"], {"precision": "bf16-mixed", "compile": False}),
        pytest.param(
            ["--compile"],
            {"compile": True},
            marks=[
                pytest.mark.slow,
                # the compiler looks at .grad of what it traces, and torch warns of that
                pytest.mark.filterwarnings("default:The .grad attribute of a Tensor:UserWarning"),
            ],
        ),
    ],
)
def test_priors_and_forms_by_name(vneuron, small, place, table, options, found):
    table.to_csv("wide.csv", index=False)
    said = vneuron("fit", "wide.csv", *small, *options, "--no-baselines", "--out", "run", "--json")
    assert said.code == 0
    known = json.loads((place / "run" / "config.json").read_text())["model"]
    assert {name: known[name] for name in found} == found
    assert 0 < said.json["latent_share"]["variance"] < 1
    assert vneuron("evaluate", "run", "wide.csv", "--json").json["test"] == said.json["test"]
    vitals = pd.read_parquet(place / "run" / "vitals.parquet")
    assert vitals["drift"].notna().all()
    assert vitals["phi"].notna().all() == ("autoregressive" in options)


def test_progress_and_guesses_go_to_standard_error(fitted):
    err = fitted.said.err
    for part in ("times in 'date' (guessed)", "frequency h (guessed)", "'load', 'wind'",
                 "2 series", "EVE", "twin", "lowrank", "report.html"):  # fmt: skip
        assert part in err


def test_the_run_folder_is_whole(fitted):
    names = {p.name for p in fitted.run.iterdir()}
    assert names >= {
        "config.json", "events.jsonl", "vitals.parquet", "metrics.json", "forecasts.parquet",
        "report.html", "checksums.json", "checkpoints",
    }  # fmt: skip
    checkpoints = {p.name for p in (fitted.run / "checkpoints").glob("*.safetensors")}
    assert checkpoints >= {"best.safetensors", "last.safetensors", "twin-best.safetensors"}
    page = (fitted.run / "report.html").read_text()
    assert all(name in page for name in MODELS)


def test_the_same_seed_gives_the_same_scores(vneuron, fitted, small, place):
    again = vneuron("fit", fitted.data, *small, "--out", "run", "--json", "--quiet")
    assert again.err == ""
    assert again.json["test"] == fitted.said.json["test"]
    other = vneuron("fit", fitted.data, *small, "--out", "b", "--json", "-q", "--seed", "1",
                    "--no-baselines")  # fmt: skip
    assert other.json["test"]["EVE"] != fitted.said.json["test"]["EVE"]
    assert list(other.json["test"]) == ["EVE", "repeat_last", "seasonal_naive"]


def long_of(table):
    long = table.melt("date", var_name="unique_id", value_name="y")
    return long.rename(columns={"date": "ds"})


def write(table, name):
    if name.endswith(".gz"):
        with gzip.open(name, "wt") as file:
            table.to_csv(file, index=False)
    elif name.endswith(".parquet"):
        table.to_parquet(name)
    else:
        table.to_csv(name, index=False)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
@pytest.mark.parametrize("kind", ["wide", "long"])
def test_every_kind_of_file_says_the_same(vneuron, fitted, small, place, table, name, kind):
    write(long_of(table) if kind == "long" else table, name)
    said = vneuron("fit", name, *small, "--no-baselines", "--out", "run", "--json")
    assert said.code == 0, said.err
    expected = fitted.said.json["test"]["EVE"]
    assert said.json["test"]["EVE"]["mse"] == pytest.approx(expected["mse"], rel=1e-6)
    assert f"{kind} file" in said.err


def test_target_time_column_and_sizes(vneuron, small, place, table):
    table.rename(columns={"date": "when"}).assign(note="text").to_csv("a.csv", index=False)
    said = vneuron(
        "fit", "a.csv", *small, "--no-baselines", "--out", "run", "--json", "--time-col", "when",
        "--target", "wind", "--freq", "h", "--train-size", "150", "--val-size", "40",
        "--test-size", "30",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert said.json["windows"] == 30 - 6 + 1
    assert "80 rows beyond train_size + val_size + test_size are unused" in said.err
    assert "columns 'load', 'note' are not used" in said.err


def test_the_default_folder_is_below_runs(vneuron, small, place, table):
    table.to_csv("power.2026.csv", index=False)
    options = [*small, "--no-baselines", "-q", "--json"]
    assert vneuron("fit", "power.2026.csv", *options).json["run"] == "runs/power"
    assert vneuron("fit", "power.2026.csv", *options).json["run"] == "runs/power-2"


def test_without_json_it_prints_a_table(vneuron, small, place, table):
    table.to_csv("a.csv", index=False)
    said = vneuron("fit", "a.csv", *small, "--quiet", "--out", "run")
    assert said.err == ""
    for part in ("50 test windows", "seasonal_naive", "joint NLL", "–"):
        assert part in said.out


def test_without_test_rows_there_are_no_scores(vneuron, small, place, table):
    table.to_csv("a.csv", index=False)
    said = vneuron("fit", "a.csv", *small, "--no-baselines", "--test-size", "0", "--out", "run",
                   "--json")  # fmt: skip
    assert said.code == 0, said.err
    assert said.json["test"] == {}
    assert (place / "run" / "report.html").exists()


def test_gaps_under_each_policy(vneuron, small, place, table):
    table.loc[[40, 41, 260], "load"] = None
    table.drop(index=[100, 101]).to_csv("a.csv", index=False)
    options = [*small, "--no-baselines", "--json"]
    assert vneuron("fit", "a.csv", *options, "--out", "run").code == 2
    for policy in ("mask", "interpolate"):
        said = vneuron("fit", "a.csv", *options, "--out", policy, "--missing", policy)
        assert said.code == 0, said.err
        assert math.isfinite(said.json["test"]["EVE"]["joint_nll"])
        assert any("inserted 4 absent rows" in note for note in [said.err])
        assert vneuron("evaluate", policy, "a.csv", "--json").json["test"] == said.json["test"]


def test_series_that_ended_before_the_others(vneuron, small, place, table):
    table.loc[200:, "wind"] = None
    table.to_csv("a.csv", index=False)
    for sizes in (["--test-size", "0"], []):
        said = vneuron("fit", "a.csv", *small, "--no-baselines", "--missing", "mask", *sizes,
                       "--out", f"run{len(sizes)}", "--json")  # fmt: skip
        assert said.code == 0, said.err


def test_fitting_where_a_run_is(vneuron, fitted, small, place, table):
    table.to_csv("a.csv", index=False)
    options = ["fit", "a.csv", *small, "--no-baselines", "--out", "run", "--json"]
    first = vneuron(*options)
    refused = vneuron(*options)
    assert refused.code == 2
    assert "holds an earlier run" in refused.err
    assert vneuron(*options, "--resume").json["test"] == first.json["test"]
    other = vneuron(*options, "--overwrite", "--seed", "3")
    assert other.code == 0
    assert other.json["test"] != first.json["test"]
    changed = vneuron(*options, "--resume", "--seed", "4")
    assert changed.code == 2
    assert "started with seed = 3, now 4" in changed.err


def test_training_that_diverges_at_once_is_told(vneuron, small, place, table):
    table.to_csv("a.csv", index=False)
    said = vneuron("fit", "a.csv", *small, "--out", "run", "--learning-rate", "1e15", "-q")
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert "lower learning_rate" in said.err
    assert not (place / "run").exists()


def test_a_constant_series_is_a_note(vneuron, small, place, table):
    table.assign(wind=3.0).to_csv("a.csv", index=False)
    said = vneuron("fit", "a.csv", *small, "--out", "run", "--json")
    assert said.code == 0, said.err
    assert "constant in the training rows: 'wind'" in said.err
    assert said.json["test"]["repeat_last"]["mse"] is not None


def test_exogenous_columns_can_be_ignored(vneuron, small, place, table):
    long_of(table).assign(holiday=0).to_csv("a.csv", index=False)
    said = vneuron("fit", "a.csv", *small, "--no-baselines", "--exogenous", "ignore", "--out",
                   "run", "--json")  # fmt: skip
    assert said.code == 0, said.err
    assert "'holiday' ignored" in said.err
    assert vneuron("evaluate", "run", "a.csv", "--json").json["test"] == said.json["test"]


def test_what_json_notes_is_what_was_done(vneuron, small, place, table):
    table.sample(frac=1.0, random_state=0).to_csv("a.csv", index=False)
    said = vneuron("fit", "a.csv", *small, "--no-baselines", "--out", "run", "--json")
    assert any("sorted" in note for note in said.json["notes"])
    assert "sorted" in said.err


def test_ids_of_another_name_are_remembered(vneuron, small, place, table):
    long = table.melt("date", var_name="shop", value_name="sales")
    long.to_csv("a.csv", index=False)
    said = vneuron("fit", "a.csv", *small, "--no-baselines", "--id-col", "shop", "--out", "run",
                   "--json")  # fmt: skip
    assert said.code == 0, said.err
    assert "ids in 'shop', times in 'date', values in 'sales'" in said.err
    assert vneuron("evaluate", "run", "a.csv", "--json").json["test"] == said.json["test"]
    forecast = vneuron("forecast", "run", "a.csv")
    assert forecast.code == 0, forecast.err
    hours = pd.Series(pd.to_datetime(table["date"]))
    new = pd.DataFrame({"shop": "load", "date": [hours.max() + (hours[1] - hours[0])], "sales": 1})
    new.to_csv("new.csv", index=False)
    known = vneuron("forecast", "run", "a.csv", "--observed", "new.csv")
    assert known.code == 0, known.err
    assert known.out != forecast.out


def test_integer_time(vneuron, small, place, table):
    table.assign(date=range(0, 600, 2)).rename(columns={"date": "t"}).to_csv("a.csv", index=False)
    said = vneuron("fit", "a.csv", *small, "--no-baselines", "--time-col", "t", "--freq", "2",
                   "--out", "run", "--json")  # fmt: skip
    assert said.code == 0, said.err
    forecast = vneuron("forecast", "run")
    assert forecast.out.splitlines()[1].startswith("load,600,")


def test_a_table_of_results_is_a_frame(fitted):
    frame = pd.read_parquet(fitted.run / "forecasts.parquet")
    assert {"unique_id", "cutoff", "ds", "step", "y", "EVE", "EVE-lo-95", "EVE-path-20"} <= set(
        frame.columns
    )
    history = frame[frame["step"] <= 0]
    assert history["EVE"].isna().all()
    assert history["y"].notna().all()
    assert frame[frame["step"] > 0]["EVE"].notna().all()


def test_a_file_too_short_for_the_second_reader_is_forecast_with_a_note(
    vneuron, small, place, table
):
    table.to_csv("a.csv", index=False)
    far = ("--second", "window", "--second-size", "60", "--out", "run")
    assert vneuron("fit", "a.csv", *small, *far).code == 0
    table.tail(50).to_csv("new.csv", index=False)
    note = "note: series 'load' has 50 rows of the 60 that the second reader reads (second_size)"
    for verb in ("forecast", "evaluate"):
        said = vneuron(verb, "run", "new.csv")
        assert said.code == 0, said.err
        assert note in said.err
    table.tail(23).to_csv("shorter.csv", index=False)
    said = vneuron("forecast", "run", "shorter.csv")
    assert (said.code, "needs 24 (input_size)" in said.err) == (2, True)
