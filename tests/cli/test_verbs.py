"""forecast, evaluate, health, report, info: what a user reads out of a run."""

import io
import json
import os

import pandas as pd
import pytest

from vneuron.forecasting import EVEForecaster


def read(text):
    return pd.read_csv(io.StringIO(text), parse_dates=["ds"])


def test_forecasts_are_the_forecasters(vneuron, fitted):
    said = vneuron("forecast", fitted.run, "--level", "50", "--level", "90")
    assert said.code == 0
    assert said.err == ""
    expected = EVEForecaster.load(fitted.run).predict(level=[50, 90])
    pd.testing.assert_frame_equal(read(said.out), expected, check_dtype=False)


def test_default_levels_and_uncertainty(vneuron, fitted):
    found = read(vneuron("forecast", fitted.run, "--uncertainty").out)
    assert found.columns.tolist() == [
        "unique_id", "ds", "EVE", "EVE-median", "EVE-lo-80", "EVE-hi-80", "EVE-lo-95",
        "EVE-hi-95", "EVE-noise-sd", "EVE-unit-sd", "EVE-novelty",
    ]  # fmt: skip


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_forecasts_into_a_file(vneuron, fitted, place, suffix):
    said = vneuron("forecast", fitted.run, "--out", f"f.{suffix}")
    assert said.out == ""
    assert "12 rows written" in said.err
    found = pd.read_parquet("f.parquet") if suffix == "parquet" else read(
        (place / "f.csv").read_text()
    )  # fmt: skip
    pd.testing.assert_frame_equal(
        found, EVEForecaster.load(fitted.run).predict(), check_dtype=False
    )


def test_paths_follow_the_seed(vneuron, fitted):
    first, again, other = (
        vneuron("forecast", fitted.run, "--paths", "3", *seed).out
        for seed in ([], ["--seed", "0"], ["--seed", "1"])
    )
    assert first == again != other
    assert len(read(first)) == 2 * 3 * 6


def test_aggregates(vneuron, fitted):
    found = read(vneuron("forecast", fitted.run, "--aggregate", "sum", "--over", "3h").out)
    assert len(found) == 4
    steps = read(vneuron("forecast", fitted.run).out)
    assert found["EVE"].iloc[0] == pytest.approx(steps["EVE"].iloc[:3].sum())
    same = read(vneuron("forecast", fitted.run, "--aggregate", "sum", "--over", "3").out)
    pd.testing.assert_frame_equal(found, same)


def test_newer_data_move_the_forecast_on(vneuron, fitted, place, table):
    newer = table.assign(date=table["date"] + pd.Timedelta("10h"))
    newer.to_csv("newer.csv", index=False)
    found = read(vneuron("forecast", fitted.run, "newer.csv", "--quiet").out)
    assert found["ds"].min() == newer["date"].max() + pd.Timedelta("1h")
    assert found["unique_id"].unique().tolist() == ["load", "wind"]
    newer.tail(24).to_parquet("tail.parquet")
    tail = read(vneuron("forecast", fitted.run, "tail.parquet", "--quiet").out)
    pd.testing.assert_frame_equal(found, tail)


def test_evaluating_the_run_on_its_data_gives_the_scores_of_fit(vneuron, fitted):
    said = vneuron("evaluate", fitted.run, fitted.data, "--json")
    assert said.code == 0
    assert said.out.count("\n") == 1
    assert said.json["test"] == fitted.said.json["test"]
    assert said.json["windows"] == fitted.said.json["windows"]
    assert said.json["health"] == fitted.said.json["health"]
    assert said.json["latent_share"] == fitted.said.json["latent_share"]
    assert said.json["panel"] is None
    names = {"test", "windows", "health", "latent_share", "panel", "seconds", "run"}
    assert names == said.json.keys()


def test_evaluating_longer_data_scores_the_same_rows(vneuron, fitted, place, table):
    more = table.assign(date=table["date"] + pd.Timedelta("300h"))
    pd.concat([table, more]).to_csv("longer.csv", index=False)
    said = vneuron("evaluate", fitted.run, "longer.csv", "--json")
    assert said.json["test"] == fitted.said.json["test"]


def test_evaluating_every_sixth_window(vneuron, fitted):
    said = vneuron("evaluate", fitted.run, fitted.data, "--step", "6", "--quiet")
    assert "10 test windows" in said.out


def test_evaluation_changes_the_run_only_if_told(vneuron, fitted, place):
    import shutil

    shutil.copytree(fitted.run, "run")
    before = (place / "run" / "metrics.json").read_bytes()
    assert vneuron("evaluate", "run", fitted.data, "--step", "6", "--json").code == 0
    assert (place / "run" / "metrics.json").read_bytes() == before
    assert vneuron("evaluate", "run", fitted.data, "--step", "6", "--update", "-q").code == 0
    found = json.loads((place / "run" / "metrics.json").read_text())
    assert found["windows"] == 10
    assert found["seconds"] == json.loads(before)["seconds"] != {}
    assert vneuron("info", "run").code == 0  # checksums hold


def test_health_says_how_every_unit_is(vneuron, fitted):
    said = vneuron("health", fitted.run, "--json")
    found = said.json
    assert said.code == (0 if found["ok"] else 1)
    assert found["ok"] == fitted.said.json["health"]["ok"]
    assert len(found["units"]) == 3
    assert {"layer", "unit", "kl", "rate", "use", "dynamic_use", "outcome_information",
            "verdict"} <= found["units"][0].keys()  # fmt: skip
    table = vneuron("health", fitted.run)
    assert table.code == said.code
    assert "verdict" in table.out
    assert vneuron("health", fitted.run, "--quiet").out == ""


def test_a_sick_model_is_code_1_with_its_reason(vneuron, small, place, table):
    """At such a price of a nat units say nothing, and their network has no other path."""
    table.to_csv("wide.csv", index=False)
    options = ["--network", "reference", "--prior", "standard", "--control", "none"]
    options += [
        "--batch-size",
        "256",
        "--beta",
        "1e5",
        "--learning-rate",
        "0.01",
        "--epochs",
        "4",
        "--patience",
        "0",
    ]
    fit = vneuron("fit", "wide.csv", *small, *options, "--no-baselines", "--out", "run", "-q")
    assert fit.code == 0
    said = vneuron("health", "run", "--json")
    assert said.code == 1
    assert not said.json["ok"]
    assert said.json["counts"]["dead"] >= 1
    assert "KLBudget" in said.json["reasons"][0]
    assert said.json["latent_share"]["windows"] > 0
    assert "sick: " in vneuron("health", "run").out


def test_the_report_can_be_made_again(vneuron, fitted, place):
    import shutil

    shutil.copytree(fitted.run, "run")
    (place / "run" / "report.html").unlink()
    said = vneuron("report", "run")
    assert said.out.strip() == "run/report.html"
    assert (place / "run" / "report.html").stat().st_size > 10_000


def test_info_of_the_installation(vneuron):
    from vneuron import __version__

    found = vneuron("info", "--json").json
    assert found["vneuron"] == __version__
    assert found["torch"].startswith("2.")
    assert "torch" in vneuron("info").out


def test_info_of_a_run(vneuron, fitted):
    found = vneuron("info", fitted.run, "--json").json
    assert found["horizon"] == 6
    assert found["models"] == "EVE, twin, linear, lowrank"
    assert found["epochs of EVE"] == 2
    assert found["scored"] == "yes"


@pytest.mark.parametrize("verb", [[], ["fit"], ["forecast"], ["info"]])
def test_the_version(vneuron, verb):
    from vneuron import __version__

    said = vneuron(*verb, "--version")
    assert (said.code, said.out, said.err) == (0, f"vneuron {__version__}\n", "")


def test_help_names_every_verb(vneuron):
    said = vneuron("--help")
    assert said.code == 0
    for verb in ("demo", "fit", "forecast", "evaluate", "health", "report", "info"):
        assert verb in said.out
        assert vneuron(verb, "--help").code == 0


def test_paths_go_to_a_parquet_file_as_they_are_drawn(vneuron, fitted, place):
    said = vneuron("forecast", fitted.run, "--paths", "4", "--out", "paths.parquet", "--seed", "2")
    assert said.out == ""
    assert "48 rows written to paths.parquet" in said.err
    found = pd.read_parquet("paths.parquet")
    found["unique_id"] = found["unique_id"].astype(str)
    text = read(vneuron("forecast", fitted.run, "--paths", "4", "--seed", "2").out)
    pd.testing.assert_frame_equal(found, text, check_dtype=False)


def test_forecasts_given_what_is_known(vneuron, fitted, place):
    free = read(vneuron("forecast", fitted.run).out)
    given = (
        free.groupby("unique_id", sort=False).head(2)[["unique_id", "ds"]].assign(y=[1, 2, 3, 4])
    )
    given.to_csv(place / "seen.csv", index=False)
    said = vneuron("forecast", fitted.run, "--observed", "seen.csv")
    assert said.code == 0, said.err
    found = read(said.out)
    assert found["EVE"][[0, 1, 6, 7]].tolist() == [1, 2, 3, 4]
    expected = EVEForecaster.load(fitted.run).condition(observed=given).predict()
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    wide = pd.DataFrame({"date": given["ds"][:2], "load": [1, 2], "wind": [3, 4]})
    wide.to_csv(place / "wide.csv", index=False)
    same = read(vneuron("forecast", fitted.run, "--observed", "wide.csv").out)
    pd.testing.assert_frame_equal(found, same)
    given.assign(y=1e6).to_csv(place / "typed.csv", index=False)
    typed = vneuron("forecast", fitted.run, "--observed", "typed.csv")
    assert "4 observed values further than 8 scales from the forecast" in typed.err
    alone = vneuron("forecast", fitted.run, "--outlier", "3")
    assert (alone.code, alone.out) == (2, "")
    assert "--outlier says how far what is known counts for the rest: give --observed" in alone.err
    law = {"scale_weight": 1.0, "outlier": float("inf")}
    said = vneuron(
        *("forecast", fitted.run, "--observed", "seen.csv"),
        *("--scale-weight", "1", "--outlier", "inf"),
    )
    expected = EVEForecaster.load(fitted.run).condition(observed=given, **law).predict()
    pd.testing.assert_frame_equal(read(said.out), expected, check_dtype=False)
    absent = vneuron("forecast", fitted.run, "--observed", "none.csv")
    assert (absent.code, absent.out) == (2, "")
    assert "--observed is none.csv: there is no such file" in absent.err
    total = vneuron("forecast", fitted.run, "--total", "12.5", "--aggregate", "sum")
    assert read(total.out)["EVE"].tolist() == pytest.approx([12.5, 12.5])
    ends = vneuron("forecast", fitted.run, "--lower", "0.2", "--upper", "99", "--paths", "50")
    assert read(ends.out)["y"].min() >= 0.2
    assert "the bounds hold with probability" in ends.err


def test_sums_over_spans_from_a_file(vneuron, fitted, place):
    blocks = read(vneuron("forecast", fitted.run, "--aggregate", "sum", "--over", "3").out)
    spans = blocks[["unique_id", "ds", "ds_end"]].assign(y=blocks["EVE"] + 1)
    spans.to_csv(place / "sums.csv", index=False)
    arguments = ("--total", "sums.csv", "--aggregate", "sum", "--over", "3")
    again = read(vneuron("forecast", fitted.run, *arguments).out)
    assert again["EVE"].tolist() == pytest.approx(spans["y"].tolist())
    wrong = vneuron("forecast", fitted.run, "--total", "a lot")
    assert (wrong.code, wrong.out) == (2, "")
    assert "--total is a lot, neither a number nor a file" in wrong.err


def test_what_is_known_of_some_series(vneuron, fitted, place):
    """A wide file with an empty column, or without it, is what a long one of the rest is."""
    ds = read(vneuron("forecast", fitted.run).out)["ds"][:2]
    long = pd.DataFrame({"unique_id": "load", "ds": ds, "y": [1, 2]})
    wide = pd.DataFrame({"date": ds, "load": [1, 2], "wind": ["", ""]})
    long.to_csv(place / "long.csv", index=False, sep=";")
    wide.to_csv(place / "empty.csv", index=False, sep=";")
    wide[["date", "load"]].to_csv(place / "without.csv", index=False, sep=";")
    arguments = [f"--observed={name}.csv" for name in ("long", "empty", "without")]
    said = [vneuron("forecast", fitted.run, each, "--delimiter", ";") for each in arguments]
    assert [each.code for each in said] == [0, 0, 0], [each.err for each in said]
    assert said[0].out == said[1].out == said[2].out
    assert read(said[0].out)["EVE"][:2].tolist() == [1, 2]
    long.assign(ds_end=ds).to_csv(place / "sums.csv", index=False, sep=";")
    sums = vneuron("forecast", fitted.run, "--total", "sums.csv", "--delimiter", ";")
    assert sums.code == 0, sums.err
    assert read(sums.out)["EVE"][:2].tolist() == pytest.approx([1, 2])


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("3", "3")])
def test_it_takes_one_thread_unless_told_otherwise(vneuron, monkeypatch, given, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", given or "")
    if given is None:
        monkeypatch.delenv("OMP_NUM_THREADS")
    assert vneuron("--version").code == 0
    assert os.environ["OMP_NUM_THREADS"] == expected


def test_forecasts_that_follow_recent_errors(vneuron, fitted):
    said = vneuron("forecast", fitted.run, fitted.data, "--follow")
    assert said.code == 0
    assert "next forecasts: spread × " in said.err
    follower = EVEForecaster.load(fitted.run).following(fitted.data)
    pd.testing.assert_frame_equal(read(said.out), follower.predict(), check_dtype=False)
    totals = vneuron("forecast", fitted.run, fitted.data, "--follow", "--aggregate", "sum", "-q")
    assert totals.err == ""
    pd.testing.assert_frame_equal(
        read(totals.out)[["EVE", "EVE-hi-95"]], follower.aggregate("sum")[["EVE", "EVE-hi-95"]]
    )


def test_scores_that_follow_recent_errors(vneuron, fitted):
    said = vneuron("evaluate", fitted.run, fitted.data, "--follow", "--json")
    expected = EVEForecaster.load(fitted.run).following(fitted.data).evaluate(fitted.data)
    assert said.json["test"]["EVE"]["nll"] == pytest.approx(expected["nll"])
    plain = vneuron("evaluate", fitted.run, fitted.data, "--json").json["test"]
    for name in ("EVE", "twin"):
        assert said.json["test"][name]["nll"] != plain[name]["nll"]
    for name in ("residual", "seasonal_naive"):
        assert said.json["test"][name] == plain[name]


def test_following_needs_rows_since_the_fit(vneuron, fitted, place):
    said = vneuron("forecast", fitted.run, "--follow")
    assert said.code == 2
    assert "give DATA too" in said.err
    frame = pd.read_csv(fitted.data)
    frame.head(len(frame) - 60).to_csv("early.csv", index=False)
    said = vneuron("forecast", fitted.run, "early.csv", "--follow")
    assert said.code == 0
    assert "forecasts are as fitted" in said.err
    plain = vneuron("forecast", fitted.run, "early.csv")
    assert said.out == plain.out


def test_followed_scores_are_not_the_runs(vneuron, fitted):
    said = vneuron("evaluate", fitted.run, fitted.data, "--follow", "--update")
    assert said.code == 2
    assert "give one of them" in said.err
