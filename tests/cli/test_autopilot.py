"""`vneuron autopilot`: what it prints, what it leaves, and what it refuses."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("optuna", reason="AutoPilot's tests need Optuna: pip install '.[autopilot]'")

SMALL = [
    "--horizon", "6", "--input-size", "24", "--device", "cpu", "--steps", "4", "--trials", "2",
    "--set", "hidden=8", "--set", "epochs=2", "--set", "encoder=linear", "--set",
    "features=window", "--set", "units=4",
]  # fmt: skip
SPACE = "units: [2, 4]\nbeta: {low: 1e-2, high: 1, log: true}\n"


def test_json_is_one_object_and_the_run_is_ordinary(vneuron, table, place):
    table.to_csv("a.csv", index=False)
    (place / "space.yaml").write_text(SPACE)
    words = ["a.csv", *SMALL, "--space", "space.yaml", "--target", "load", "--seeds", "1"]
    said = vneuron("autopilot", *words, "--out", "s", "--json")
    assert said.code == 0, said.err
    found = said.json
    assert {"best", "pareto", "run", "trials", "seconds"} <= found.keys()
    assert found["trials"] == 2
    assert found["best"]["horizon"] == 6
    assert found["comparison"]["seeds"] == 1
    scored = vneuron("evaluate", found["run"], "a.csv", "--json", "--quiet")
    assert scored.code == 0, scored.err
    assert scored.json["test"]["EVE"]["crps"] > 0
    assert vneuron("health", found["run"]).code in (0, 1)
    assert vneuron("report", found["run"]).code == 0
    assert vneuron("forecast", found["run"], "--out", "f.csv").code == 0
    facts = json.loads((place / "s" / "best" / "config.json").read_text())
    assert facts["data"]["target"] == ["load"]
    again = vneuron("autopilot", *words, "--out", "s", "--resume", "--trials", "3", "--quiet")
    assert again.code == 0, again.err
    assert str(place / "s") in str((place / again.out.split("run: ")[1].strip()).resolve())


CASES = {
    "no horizon": (["--trials", "1"], ["--horizon"]),
    "time as text": (["-H", "6", "--time", "soon"], ["time is 'soon'", "10m"]),
    "no time": (["-H", "6", "--time", "0s"], ["time is '0s'"]),
    "no trials": (["-H", "6", "--trials", "0"], ["trials is 0"]),
    "no workers": (["-H", "6", "--workers", "0"], ["workers is 0"]),
    "goal": (["-H", "6", "--goal", "best"], ["goal is 'best'"]),
    "objective": (["-H", "6", "--objective", "speed"], ["objective is 'speed'"]),
    "cost first": (["-H", "6", "--objective", "parameters"], ["a quality first"]),
    "pruner": (["-H", "6", "--pruner", "median"], ["pruner is 'median'"]),
    "space": (["-H", "6", "--space", "wide"], ["space is 'wide'"]),
    "space's file": (["-H", "6", "--space", "no.yaml"], ["no.yaml", "no such file"]),
    "storage": (["-H", "6", "-L", "24", "--storage", "redis://x"], ["redis://x"]),
    "setting": (["-H", "6", "--set", "epochs"], ["NAME=VALUE"]),
    "unknown setting": (["-H", "6", "--set", "colour=red"], ["'colour'"]),
    "part of a unit": (["-H", "6", "--trials", "1", "--set", "units=4.5"], ["units is 4.5"]),
    "bad setting": (["-H", "6", "--set", "epochs=0"], ["epochs is 0"]),
    "join": (["--join"], ["--storage"]),
    "resume": (["-H", "6", "-L", "24", "--resume", "--out", "no"], ["no such search"]),
    "too short": (["-H", "200", "-L", "200"], ["too short"]),
    "target": (["-H", "6", "--target", "sun"], ["'sun'"]),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_one_line(vneuron, table, place, name):
    words, parts = CASES[name]
    table.to_csv("a.csv", index=False)
    said = vneuron("autopilot", "a.csv", *words, "--quiet")
    assert said.code == 2
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    assert all(part in said.err for part in parts), said.err
    assert sorted(p.name for p in place.iterdir()) == ["a.csv"]
