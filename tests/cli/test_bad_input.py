"""What users get wrong: one line on standard error, exit code 2, no traceback, no folder."""

import pandas as pd
import pytest


def long_of(table):
    return table.melt("date", var_name="unique_id", value_name="y").rename(columns={"date": "ds"})


def empty(table):
    open("a.csv", "w").close()


def header_only(table):
    table.head(0).to_csv("a.csv", index=False)


def semicolons(table):
    table.to_csv("a.csv", index=False, sep=";")


def text(table):
    table = table.astype({"load": object})
    table.loc[6, "load"] = "n/k"
    table.to_csv("a.csv", index=False)


def nan(table):
    table.loc[[6, 9], "load"] = None
    table.to_csv("a.csv", index=False)


def gap(table):
    table.drop(index=[20, 21, 22]).to_csv("a.csv", index=False)


def infinite(table):
    table.loc[6, "wind"] = float("inf")
    table.to_csv("a.csv", index=False)


def duplicates(table):
    pd.concat([table, table.iloc[[5]]]).to_csv("a.csv", index=False)


def mixed(table):
    late = table.iloc[100:300:3]
    pd.concat([table.iloc[:100], late]).to_csv("a.csv", index=False)


def irregular(table):
    table.loc[50, "date"] += pd.Timedelta("7min")
    table.to_csv("a.csv", index=False)


def short(table):
    table.head(29).to_csv("a.csv", index=False)


def one_row(table):
    table.head(1).to_csv("a.csv", index=False)


def exogenous(table):
    long_of(table).assign(holiday=0, price=1.0).to_csv("a.csv", index=False)


def words(table):
    table.assign(town="Bern").to_csv("a.csv", index=False)


def dates(table):
    table.astype({"date": str}).assign(date=lambda t: t["date"] + " o'clock").to_csv(
        "a.csv", index=False
    )


def nameless(table):
    long = long_of(table)
    long.loc[3, "unique_id"] = None
    long.to_csv("a.csv", index=False)


def binary(table):
    with open("a.csv", "wb") as file:
        file.write(bytes(range(256)) * 10)


def not_gzip(table):
    with open("a.csv.gz", "wb") as file:
        file.write(b"date,load\n2026-01-01,3\n")


def not_parquet(table):
    with open("a.parquet", "wb") as file:
        file.write(b"date,load\n2026-01-01,3\n")


def good(table):
    table.to_csv("a.csv", index=False)


CASES = {
    "missing file": (None, "absent.csv", [], ["absent.csv"]),
    "a folder": (None, ".", [], ["."]),
    "empty file": (empty, "a.csv", [], ["a.csv", "empty"]),
    "header only": (header_only, "a.csv", [], ["a.csv", "no rows"]),
    "wrong delimiter": (semicolons, "a.csv", [], ["a.csv", "delimiter"]),
    "not text": (binary, "a.csv", [], ["a.csv"]),
    "not gzip": (not_gzip, "a.csv.gz", [], ["a.csv.gz"]),
    "not Parquet": (not_parquet, "a.parquet", [], ["a.parquet"]),
    "unknown target": (good, "a.csv", ["--target", "sun"], ["'sun'", "'load'"]),
    "unknown time column": (good, "a.csv", ["--time-col", "data"], ["'data'", "'date'"]),
    "text in numbers": (text, "a.csv", [], ["line 8", "'load'", "'n/k'"]),
    "no dates": (dates, "a.csv", ["--time-col", "date"], ["'date'", "o'clock"]),
    "a column of words": (words, "a.csv", [], ["'town'", "target"]),
    "NaN": (nan, "a.csv", [], ["2 ", "'load'", "2026-01-01 06:00:00", "missing"]),
    "gap": (gap, "a.csv", [], ["'load'", "2026-01-01 19:00:00", "missing"]),
    "infinity": (infinite, "a.csv", [], ["inf", "'wind'", "2026-01-01 06:00:00"]),
    "duplicates": (duplicates, "a.csv", [], ["'load'", "2026-01-01 05:00:00", "duplicates"]),
    "mixed frequency": (mixed, "a.csv", [], ["mixed frequency", "3 h", "1 h"]),
    "irregular stamp": (irregular, "a.csv", [], ["2026-01-03 02:07:00"]),
    "no such frequency": (good, "a.csv", ["--freq", "fortnight"], ["'fortnight'"]),
    "frequency of integers": (good, "a.csv", ["--freq", "3"], ["3", "dates"]),
    "too short": (short, "a.csv", [], ["29 rows", "'load'", "input_size 24", "horizon 6"]),
    "one row": (one_row, "a.csv", [], ["one row"]),
    "exogenous columns": (exogenous, "a.csv", [], ["'holiday', 'price'", "exogenous"]),
    "no id": (nameless, "a.csv", [], ["line 5", "unique_id"]),
    "horizon 0": (good, "a.csv", ["--horizon", "0"], ["horizon is 0"]),
    "horizon -1": (good, "a.csv", ["--horizon", "-1"], ["horizon is -1"]),
    "input size 0": (good, "a.csv", ["--input-size", "0"], ["input_size is 0"]),
    "horizon as text": (good, "a.csv", ["--horizon", "six"], ["horizon", "integer"]),
    "huge horizon": (good, "a.csv", ["--horizon", "999999"], ["too short"]),
    "no units": (good, "a.csv", ["--units", "0"], ["units is 0"]),
    "policy": (good, "a.csv", ["--missing", "guess"], ["missing is 'guess'"]),
    "likelihood": (good, "a.csv", ["--likelihood", "cauchy"], ["likelihood is 'cauchy'"]),
    "device": (good, "a.csv", ["--device", "abacus"], ["device is 'abacus'"]),
    "size as text": (good, "a.csv", ["--test-size", "some"], ["size is 'some'"]),
    "negative size": (good, "a.csv", ["--test-size", "-3"], ["test_size is -3"]),
    "share above one": (good, "a.csv", ["--val-size", "1.5"], ["val_size is 1.5"]),
    "size that is no number": (good, "a.csv", ["--val-size", "nan"], ["val_size is nan"]),
    "sizes beyond the data": (good, "a.csv", ["--train-size", "290"], ["too short"]),
    "no validation": (good, "a.csv", ["--val-size", "0"], ["no validation window"]),
    "two targets in a long file": (
        lambda table: long_of(table).assign(z=1.0).to_csv("a.csv", index=False),
        "a.csv",
        ["--target", "y", "--target", "z"],
        ["'y', 'z'"],
    ),
    "an unknown option": (good, "a.csv", ["--colour", "red"], ["--colour"]),
    "out is a file": (good, "a.csv", ["--out", "a.csv"], ["a.csv is a file"]),
    "out below a file": (good, "a.csv", ["--out", "a.csv/run"], ["a.csv/run"]),
}


@pytest.mark.parametrize("case", CASES)
def test_fit(vneuron, small, place, table, case):
    make, name, options, parts = CASES[case]
    if make is not None:
        make(table)
    before = sorted(place.rglob("*"))
    said = vneuron("fit", name, *small, "--out", "runs/a", *options, "--quiet")
    assert said.code == 2
    assert said.out == ""
    lines = said.err.splitlines()
    assert len(lines) == 1, said.err
    assert lines[0].startswith("vneuron: ")
    for part in parts:
        assert part in lines[0], lines[0]
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["forecast", "absent"], ["absent: no such folder"]),
        (["evaluate", "absent", "DATA"], ["absent: no such folder"]),
        (["health", "absent"], ["absent: no such folder"]),
        (["report", "absent"], ["absent: no such folder"]),
        (["info", "absent"], ["absent: no such folder"]),
        (["forecast", "."], ["not a run"]),
        (["forecast", "RUN", "absent.csv"], ["absent.csv"]),
        (["forecast", "RUN", "--level", "0.8"], ["level is 0.8", "per cent"]),
        (["forecast", "RUN", "--paths", "0"], ["n is 0"]),
        (["forecast", "RUN", "--aggregate", "mode"], ["statistic is 'mode'"]),
        (["forecast", "RUN", "--aggregate", "sum", "--over", "7"], ["7 steps"]),
        (["forecast", "RUN", "--aggregate", "sum", "--over", "moon"], ["moon"]),
        (["forecast", "RUN", "--paths", "2", "--aggregate", "sum"], ["--paths and --aggregate"]),
        (["forecast", "RUN", "--paths", "2", "--uncertainty"], ["--paths and --uncertainty"]),
        (["forecast", "RUN", "--over", "3"], ["--over", "--aggregate"]),
        (["forecast", "RUN", "--scale-weight", "0.5"], ["--scale-weight", "--observed"]),
        (["health", "RUN", "--device", "cuda"], ["no CUDA device"]),
        (["forecast", "RUN", "--out", "a.txt"], [".csv or .parquet"]),
        (["forecast", "RUN", "--out", "none/a.csv"], ["no folder"]),
        (["forecast", "RUN", "--device", "abacus"], ["device is 'abacus'"]),
        (["evaluate", "RUN", "DATA", "--step", "0"], ["step is 0"]),
        (["evaluate", "RUN", "DATA", "--target", "sun"], ["'sun'"]),
        (["evaluate", "RUN"], ["DATA"]),
        (["fit"], ["DATA"]),
        (["fit", "DATA", "-H", "6", "--resume"], ["--resume", "--out: name it"]),
        (["fit", "DATA", "-H", "6", "--out", "a", "--resume", "--overwrite"], ["give one"]),
        (["fit", "DATA", "-H", "6", "--seed", "99999999999999999999"], ["seed is 9999", "0 to 9"]),
        (["fly"], ["No such command 'fly'"]),
        ([], ["No command given"]),
    ],
)
def test_other_verbs(vneuron, fitted, place, arguments, parts):
    names = {"RUN": fitted.run, "DATA": fitted.data}
    said = vneuron(*(names.get(a, a) for a in arguments))
    assert said.code == 2
    errors = [line for line in said.err.splitlines() if not line.startswith("note: ")]
    assert len(errors) == 1, said.err
    for part in parts:
        assert part in errors[0], errors[0]
    assert list(place.iterdir()) == []


def test_data_that_do_not_go_on_beyond_the_fit(vneuron, fitted, place, table):
    table.head(200).to_csv("a.csv", index=False)
    said = vneuron("evaluate", fitted.run, "a.csv", "--quiet")
    assert said.code == 2
    assert "no whole window after the rows" in said.err


def test_data_of_another_frequency(vneuron, fitted, place, table):
    table.assign(date=pd.date_range("2026-03-01", periods=300, freq="D")).to_csv(
        "a.csv", index=False
    )
    for verb in ("forecast", "evaluate"):
        said = vneuron(verb, fitted.run, "a.csv", "--quiet")
        assert said.code == 2
        assert said.err.count("\n") == 1


def test_a_damaged_run(vneuron, fitted, place):
    import shutil

    shutil.copytree(fitted.run, "run")
    weights = place / "run" / "checkpoints" / "best.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    for verb in ("forecast", "health", "info"):
        said = vneuron(verb, "run")
        assert said.code == 2
        assert said.err.count("\n") == 1
        assert "best.safetensors: changed since it was written" in said.err


def test_counts_are_whole_and_fractions_named(vneuron, small, place, table):
    counts = table.assign(load=table["load"].round(), wind=table["wind"].abs().round())
    counts.to_csv("a.csv", index=False)
    options = (*small, "--likelihood", "negbinomial", "--units-family", "poisson", "--quiet")
    assert vneuron("fit", "a.csv", *options, "--out", "run", "--no-baselines").code == 0
    assert vneuron("forecast", "run", "--out", "f.csv").code == 0
    forecast = pd.read_csv("f.csv")
    assert (forecast["EVE-lo-80"] == forecast["EVE-lo-80"].round()).all()
    counts.loc[6, "wind"] = 2.5
    counts.to_csv("b.csv", index=False)
    said = vneuron("fit", "b.csv", *options, "--out", "other")
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert "'wind' has y = 2.5" in said.err
